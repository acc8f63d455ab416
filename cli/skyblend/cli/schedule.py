"""What happens by the clock: ticks, issues, trainings and daily chores, each in its own thread."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event, Thread

from skyblend.cli import child, times
from skyblend.cli.drain import is_elsewhere
from skyblend.ingest.announce import reannounce
from skyblend.preprocess.compaction import compact_closed_days
from skyblend.runtime import names
from skyblend.runtime.bus.delivery import Deliverer, Post, Unreachable
from skyblend.runtime.bus.sqlite import local
from skyblend.runtime.place import Runtime
from skyblend.runtime.storage import Absent
from skyblend.runtime.tokens import bearer

_LOG = logging.getLogger(__name__)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# A training that failed or found too little is tried again after this.
_TRAIN_AGAIN = HOUR
_IDLE_LOOK_SECONDS = 1.0
# A training waits so long for what Pub/Sub has on its way.
_MOST_WAIT = 10 * MINUTE
# What failed is tried again after this, in the same slot; a service may be just starting.
_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do in each slot of `every`, at once for the slot that runs now; `run` gives
    whether it is done."""

    name: str
    every: timedelta
    run: Callable[[datetime], bool]


class Schedule:
    """Delivers the bus's messages, where Pub/Sub does not, and does the jobs until `stop`; a slow
    one holds up no other."""

    def __init__(
        self,
        runtime: Runtime,
        post: Post,
        *,
        stop: Event,
    ) -> None:
        self._runtime, self._post = runtime, post
        self._bus = None if is_elsewhere(runtime.bus) else local(runtime.bus)
        self.stop = stop
        self.collected = Event()  # the first tick is through
        self.trained = Event()  # the first training is through
        self._tried: datetime | None = None
        self._due: datetime | None = None

    def start(self) -> None:
        """Start all threads; daemons, since each step may be cut off anywhere and is repeated."""
        loops: dict[str, Callable[[], None]] = {
            "chores": lambda: self._keep(Job("chores", DAY, self._do_chores)),
            "collect": self._announce_and_collect,
            "issue": lambda: self._keep(Job("issue", HOUR, self._issue)),
            "train": self._train_when_due,
        }
        if self._bus is not None:
            deliverer = Deliverer(self._bus, self._post, token=self._runtime.token)
            loops["deliver"] = lambda: deliverer.run(self.stop)
        for name, loop in loops.items():
            Thread(target=self._guard, args=(name, loop), name=name, daemon=True).start()

    def _guard(self, name: str, loop: Callable[[], None]) -> None:
        """A loop that fails, on a full disk for one, begins again."""
        while not self.stop.is_set():
            try:
                loop()
            except Exception:  # noqa: BLE001 - logged, and the loop goes on
                _LOG.exception("%s failed and begins again", name)
                self.stop.wait(_AGAIN_SECONDS)

    def _keep(self, job: Job) -> None:
        while not self.stop.is_set():
            slot = times.floor(times.now(), job.every)
            is_done = job.run(slot)
            rest = (slot + job.every - times.now()).total_seconds()
            self.stop.wait(max(rest, 0.0) if is_done else _AGAIN_SECONDS)

    def _announce_and_collect(self) -> None:
        """All that a process which is gone left stored and unannounced comes first."""
        reannounce(self._runtime, times.now(), every=timedelta(0))
        self._keep(Job("collect", MINUTE, self._collect))

    def repeat_lost(self) -> None:
        """Do again what a bus that lost its messages had carried: announce what is not processed,
        and issue."""
        reannounce(self._runtime, times.now(), every=timedelta(0))
        self._issue(times.now())

    def _collect(self, tick: datetime) -> bool:
        is_done = self._call("/v1/collect", {"tick": times.text(tick)})
        if is_done:
            self.collected.set()
        return is_done

    def _issue(self, _: datetime) -> bool:
        return self._call("/v1/issue", {})

    def _do_chores(self, _: datetime) -> bool:
        """The small record files of a day that is over become one."""
        compact_closed_days(self._runtime, now=times.now())
        return True

    def _call(self, path: str, body: Mapping[str, object]) -> bool:
        """POST to one of our own endpoints; trouble is logged, and the next slot tries again."""
        headers = {
            "Authorization": bearer(self._runtime.token),
            "Content-Type": "application/json",
        }
        try:
            status = self._post(path, json.dumps(body).encode(), headers)
        except Unreachable as error:
            _LOG.warning("%s", error)
            return False
        if status >= 300:
            _LOG.error("%s answered %d", path, status)
        return status < 300

    def _train_when_due(self) -> None:
        self.collected.wait()
        while not self.stop.wait(_IDLE_LOOK_SECONDS):
            if not self._training_is_due(times.now()):
                self.trained.set()
            elif self._is_quiet(times.now()):
                self._train()

    def _training_is_due(self, now: datetime) -> bool:
        if self._tried is not None and now - self._tried < _TRAIN_AGAIN:
            return False
        last = last_training(self._runtime)
        return last is None or now - last >= DAY

    def _is_quiet(self, now: datetime) -> bool:
        """Whether nothing is on its way that a training would miss. Pub/Sub does not tell: then
        whether all that is stored is processed, or has been waited for long enough."""
        if self._bus is not None:
            return not self._bus.pending()
        self._due = self._due or now
        return now - self._due >= _MOST_WAIT or all_processed(self._runtime)

    def _train(self) -> None:
        """In a process of its own, so that serving goes on at its pace."""
        self._tried, self._due = times.now(), None
        done = child.run("skyblend.predict.train", environ=self._runtime.settings.environ)
        level = logging.ERROR if done.returncode else logging.INFO
        _LOG.log(level, "training ended with %d: %s%s", done.returncode, done.stdout, done.stderr)
        self.trained.set()


def all_processed(runtime: Runtime) -> bool:
    """Whether each raw object has its mark."""
    storage = runtime.storage
    return all(storage.generation(names.processed(raw.name)) for raw in storage.list(names.RAW))


def last_training(runtime: Runtime) -> datetime | None:
    """When the last training was through, as skill.json tells."""
    try:
        skill = json.loads(runtime.storage.read("skill.json").data)
    except Absent:
        return None
    return datetime.fromisoformat(skill["at"])
