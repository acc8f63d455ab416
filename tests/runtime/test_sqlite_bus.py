"""What is particular to the laptop's bus: leases, several processes, kill -9."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.runtime.bus import BusError
from skyblend.runtime.bus.delivery import Counts, Deliverer, Unreachable
from skyblend.runtime.bus.post import into_wsgi, over_http
from skyblend.runtime.bus.sqlite import LEASE_SECONDS, SqliteBus, back_off

T0 = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_bus(tmp_path: Path, clock: Clock) -> Iterator[Callable[[], SqliteBus]]:
    opened: list[SqliteBus] = []

    def open_one() -> SqliteBus:
        opened.append(SqliteBus(tmp_path / "live" / "bus.sqlite", clock=clock))
        return opened[-1]

    yield open_one
    for bus in opened:
        bus.close()


def publish(bus: SqliteBus, *names: str) -> list[str]:
    return bus.publish_all([RawStored(object=name) for name in names], trace="t")


def test_the_file_is_durable_and_shared(open_bus: Callable[[], SqliteBus]) -> None:
    bus = open_bus()
    publish(bus, "a")
    with bus._transaction() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert open_bus().pending() == 1


def test_a_leased_message_is_not_leased_twice(open_bus: Callable[[], SqliteBus]) -> None:
    one, two = open_bus(), open_bus()
    ids = publish(one, "a", "b", "c")
    assert [delivery.id for delivery in one.lease(2)] == ids[:2]
    assert [delivery.id for delivery in two.lease(2)] == ids[2:]
    assert one.lease(2) == two.lease(2) == []


def test_a_lease_ends_with_its_time(open_bus: Callable[[], SqliteBus], clock: Clock) -> None:
    one, two = open_bus(), open_bus()
    publish(one, "a")
    (held,) = one.lease(1)
    clock.now += LEASE_SECONDS - 1
    assert two.lease(1) == []
    clock.now += 1
    assert two.lease(1) == [held]  # the same attempt: there was no answer


def test_a_lease_that_is_extended_goes_on(open_bus: Callable[[], SqliteBus], clock: Clock) -> None:
    bus = open_bus()
    publish(bus, "a")
    (held,) = bus.lease(1)
    clock.now += LEASE_SECONDS - 1
    bus.extend([held.id])
    clock.now += LEASE_SECONDS - 1
    assert bus.lease(1) == []


def test_what_a_closed_or_dead_holder_had_is_free_at_once(
    open_bus: Callable[[], SqliteBus],
) -> None:
    one, two = open_bus(), open_bus()
    publish(one, "a", "b")
    one.lease(2)
    assert two.recover() == 0
    one.close()
    assert two.recover() == 2
    assert len(two.lease(9)) == 2


HOLDER = """
import sys
from pathlib import Path
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.runtime.bus.sqlite import SqliteBus
bus = SqliteBus(Path(sys.argv[1]))
bus.publish_all([RawStored(object=str(n)) for n in range(5)], trace="t")
assert len(bus.lease(3)) == 3
print("leased", flush=True)
sys.stdin.read()
"""


def test_kill_9_of_a_holder_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == "leased\n"
        bus = SqliteBus(path)
        assert len(bus.lease(9)) == 2  # the other three are in the living holder's hands
        assert bus.recover() == 0
        holder.kill()
        holder.wait()
    assert bus.recover() == 3
    assert len(bus.lease(9)) == 3
    bus.close()


def test_waits_double_up_to_ten_minutes() -> None:
    for failures, longest in ((1, 1), (2, 2), (3, 4), (10, 512), (11, 600), (10_000, 600)):
        waits = [back_off(failures) for _ in range(50)]
        assert longest / 2 <= min(waits) <= max(waits) <= longest


def test_a_refused_message_waits_before_it_is_tried_again(
    open_bus: Callable[[], SqliteBus], clock: Clock
) -> None:
    bus = open_bus()
    (id_,) = publish(bus, "a")
    bus.lease(1)
    assert not bus.nack(id_, "answer 500")
    assert bus.lease(1) == []
    clock.now += 1.0
    assert [delivery.attempt for delivery in bus.lease(1)] == [2]


def test_a_dead_letter_tells_its_reason_and_can_be_replayed(
    open_bus: Callable[[], SqliteBus], clock: Clock
) -> None:
    bus = open_bus()
    (id_,) = publish(bus, "a")
    dead = [bus.nack(id_, f"answer 50{n}") for n in range(5)]
    assert dead == [False] * 4 + [True]
    assert [(letter.id, letter.reason) for letter in bus.dead_letters()] == [(id_, "answer 504")]
    assert bus.is_done(id_)
    assert bus.pending() == 0
    assert not bus.replay("other")
    assert bus.replay(id_)
    assert not bus.is_done(id_)
    assert [delivery.attempt for delivery in bus.lease(1)] == [1]


def test_waiting_for_another_process_ends_with_the_acknowledgement(
    open_bus: Callable[[], SqliteBus],
) -> None:
    mine, theirs = open_bus(), open_bus()
    ids = publish(mine, "a", "b")
    assert mine.wait(ids, timeout=0) == ids
    theirs.ack(ids[0])
    assert mine.wait(ids, timeout=0) == ids[1:]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(mine.wait, ids, 30.0, poll=0.001)
        theirs.ack(ids[1])
        assert waiting.result() == []


def test_events_of_one_publication_are_there_together_or_not_at_all(
    open_bus: Callable[[], SqliteBus],
) -> None:
    bus = open_bus()
    with pytest.raises(TypeError):
        bus.publish_all([RawStored(object="a"), RawStored().received_at], trace="t")
    assert bus.pending() == 0


def test_threads_and_processes_publish_and_lease_without_loss(tmp_path: Path) -> None:
    buses = [SqliteBus(tmp_path / "bus.sqlite") for _ in range(3)]
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda n: publish(buses[n % 3], str(n)), range(60)))
        leased = list(pool.map(lambda n: buses[n % 3].lease(10), range(12)))
    ids = [delivery.id for deliveries in leased for delivery in deliveries]
    assert len(ids) == len(set(ids)) == 60
    for bus in buses:
        bus.close()


def test_a_drain_may_be_limited_to_a_commands_own_messages(
    open_bus: Callable[[], SqliteBus],
) -> None:
    bus = open_bus()
    mine, others = publish(bus, "a", "b"), publish(bus, "c")
    deliverer = Deliverer(bus, lambda path, body, headers: 204, token="t")
    assert deliverer.drain(set(mine).__contains__) == Counts(done=2)
    assert bus.pending() == 1
    assert not bus.is_done(others[0])


def test_a_drain_counts_what_became_of_its_messages(open_bus: Callable[[], SqliteBus]) -> None:
    bus = open_bus()
    publish(bus, "a", "b", "c")
    statuses = iter([204, 500, 204])
    deliverer = Deliverer(bus, lambda path, body, headers: next(statuses), token="t")
    assert deliverer.drain() == Counts(done=2, later=1)


def test_a_running_deliverer_is_woken_by_a_publication_and_ends_when_told(
    open_bus: Callable[[], SqliteBus],
) -> None:
    bus, stop, arrived = open_bus(), threading.Event(), threading.Event()

    def post(path: str, body: bytes, headers: Mapping[str, str]) -> int:
        assert headers["Authorization"] == "Bearer secret"
        arrived.set()
        return 204

    thread = threading.Thread(target=Deliverer(bus, post, token="secret").run, args=(stop,))
    thread.start()
    (id_,) = publish(bus, "a")
    assert arrived.wait(10)
    assert bus.wait([id_], 10, poll=0.001) == []
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_two_are_in_flight_at_once(open_bus: Callable[[], SqliteBus]) -> None:
    bus, together = open_bus(), threading.Barrier(2, timeout=10)
    publish(bus, "a", "b", "c", "d")

    def post(path: str, body: bytes, headers: Mapping[str, str]) -> int:
        together.wait()
        return 204

    assert Deliverer(bus, post, token="t").drain() == Counts(done=4)


def test_only_204_is_an_acknowledgement(open_bus: Callable[[], SqliteBus]) -> None:
    bus = open_bus()
    publish(bus, "a")
    assert Deliverer(bus, lambda *_: 200, token="t").drain() == Counts(later=1)
    assert bus.pending() == 1


def test_a_push_into_an_application_of_the_same_process() -> None:
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        seen.update(environ, body=environ["wsgi.input"].read())
        start_response("204 No Content", [])
        return []

    post = into_wsgi(application)
    headers = {"Authorization": "Bearer t", "Content-Type": "application/json"}
    assert post("/v1/events/raw-stored", b"{}", headers) == 204
    assert seen["body"] == b"{}"
    assert seen["PATH_INFO"] == "/v1/events/raw-stored"
    assert seen["HTTP_AUTHORIZATION"] == "Bearer t"
    assert seen["CONTENT_TYPE"] == "application/json"


def test_an_application_that_raises_is_our_own_trouble() -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        raise RuntimeError("broken")

    assert into_wsgi(application)("/v1/events/raw-stored", b"{}", {}) == 500


def test_a_refused_connection_is_no_answer() -> None:
    post = over_http(lambda path: f"http://127.0.0.1:1{path}")
    with pytest.raises(Unreachable):
        post("/v1/events/raw-stored", b"{}", {})


def test_a_connection_that_breaks_off_is_an_answer() -> None:
    """Whoever was killed by a message would else be killed by it for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"

        def take_and_hang_up() -> None:
            taken, _ = server.accept()
            taken.recv(65536)
            taken.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(take_and_hang_up)
            assert over_http(lambda path: address + path)("/v1/events/raw-stored", b"{}", {}) == 502


def test_a_full_disk_is_an_error_of_the_bus_and_passes(
    open_bus: Callable[[], SqliteBus],
) -> None:
    bus = open_bus()
    publish(bus, "a")
    with bus._transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1")  # as many as there are, and no more
    with pytest.raises(BusError, match=r"bus\.sqlite cannot be used: .*full"):
        publish(bus, "b" * 1_000_000)
    with bus._transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    publish(bus, "c")
    assert bus.pending() == 2
