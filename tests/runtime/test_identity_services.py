"""Every endpoint of the three services refuses whom it should: forged tokens change nothing, and no
route that changes something is open in any mode."""

import inspect
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from types import ModuleType

import pytest
from identities import AUDIENCE, CALLER, FORGED, iam, oidc, stripped, token
from skyblend.cli import apps
from skyblend.ingest import service as ingest
from skyblend.predict.serve.forecasts import Forecasts
from skyblend.predict.serve.routes import flask_app
from skyblend.preprocess import service as preprocess
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names, places
from skyblend.runtime.access import Access, OpenAccess, TokenAccess
from skyblend.runtime.bus import ROUTES, push
from skyblend.runtime.place import Runtime
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage.memory import MemoryStorage
from werkzeug.test import Client, TestResponse

RUN_APP = "skyblend-serve-abc-ew.a.run.app"
SERVICES = ("ingest", "preprocess", "predict")
CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
READ = ("/health", "/ready", "/metrics")
PLACE = b'{"id": "berlin", "latitude": 52.5, "longitude": 13.4}'
RAW = f"{names.RAW}open_meteo/2026-11-20/x.pb"


class SilentBus:
    """Counts what is published."""

    def __init__(self) -> None:
        self.published = []

    def publish(self, event, *, trace):
        self.published.append(event)
        return str(len(self.published))

    def dead_letters(self):
        return []

    def replay(self, id_):
        return False

    def close(self):
        pass


class Asked:
    """The three services on one runtime in memory."""

    def __init__(self, access: Access, **environ: str) -> None:
        self.storage, self.bus = MemoryStorage(), SilentBus()
        settings = Settings.read(environ)
        self.runtime = Runtime(settings=settings, storage=self.storage, bus=self.bus, access=access)
        self.clients = {name: Client(app) for name, app in apps.apps(self.runtime).items()}

    def __call__(
        self,
        service: str,
        path: str,
        body: bytes = b"{}",
        *,
        method: str = "POST",
        kind: str = "application/json",
        **headers: str | None,
    ) -> TestResponse:
        sent = {"Host": RUN_APP, "Content-Type": kind} | {
            name.replace("_", "-"): value for name, value in headers.items() if value is not None
        }
        return self.clients[service].open(
            path, method=method, data=body, headers=sent, buffered=True
        )

    def state(self) -> object:
        return list(self.storage.list("")), list(self.bus.published)


def change(ask: Asked, service: str, name: str = "berlin", **headers: str | None) -> TestResponse:
    """A request that changes something there if it is let in."""
    if service == "ingest":
        return ask(service, "/v1/places", PLACE, **headers)
    if service == "preprocess":
        event = RawStored(object=RAW)
        body = push.encode(event, trace="t", message_id="1", published_at=datetime.now(UTC))
        return ask(service, ROUTES["RawStored"], body, **headers)
    return ask(service, "/v1/issue", **headers)


def prepared(access: Access) -> Asked:
    """With a raw object that is stored and not processed, and a place."""
    asked = Asked(access)
    asked.storage.write(RAW, b"")
    places.add(asked.storage, [Place(id="paris", latitude=48.9, longitude=2.3)])
    return asked


@pytest.fixture(scope="module")
def in_process() -> Asked:
    """The services where tokens are verified in process; what is refused changes nothing there."""
    return prepared(oidc())


@pytest.fixture(scope="module")
def behind_cloud_run() -> Asked:
    return prepared(iam())


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_changes_nothing(in_process, name):
    make, status = FORGED[name]
    before, header = in_process.state(), make()
    parts = [part for part in (header or "").split(".") if len(part) > 8]
    for service in SERVICES:
        answer = change(in_process, service, Authorization=header)
        assert answer.status_code == status, service
        assert answer.content_type == "application/problem+json"
        assert (answer.headers.get("WWW-Authenticate") == "Bearer") == (status == 401)
        assert not [part for part in parts if part in answer.text]
        assert in_process.state() == before, service


@pytest.mark.parametrize("name", sorted(FORGED.keys() - {"a signature removed"}))
def test_behind_cloud_run_it_changes_nothing_either(behind_cloud_run, name):
    make, status = FORGED[name]
    before, header = behind_cloud_run.state(), make()
    for service in SERVICES:
        answer = change(behind_cloud_run, service, Authorization=header)
        assert answer.status_code == status, service
        assert behind_cloud_run.state() == before, service


@pytest.mark.parametrize("mode", ["oidc", "iam"])
def test_the_right_caller_changes_something_everywhere(mode):
    asked = prepared(oidc() if mode == "oidc" else iam())
    shown = f"Bearer {token() if mode == 'oidc' else stripped()}"
    before = asked.state()
    answers = {name: change(asked, name, Authorization=shown) for name in SERVICES}
    found = {name: answer.status_code for name, answer in answers.items()}
    assert found == {"ingest": 200, "preprocess": 204, "predict": 200}, answers["preprocess"].text
    assert asked.state() != before


# No route is open by oversight.


def routes() -> Iterator[tuple[str, str, str]]:
    """Service, method and path of all that is no GET, from the tables of the services."""
    asked = Asked(OpenAccess())
    forecasts = Forecasts(asked.storage, nearest_km=1, now=lambda: datetime.now(UTC))
    app = flask_app(asked.runtime, forecasts, lambda: datetime.now(UTC))
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) & CHANGING:
            yield "predict", method, rule.rule
    for method, path in ingest._ROUTES:
        if method in CHANGING:
            yield "ingest", method, path
    yield from (("preprocess", "POST", path) for path in _paths(preprocess))
    for (method, path), service in apps._ROUTES.items():
        yield service, method, path


def _paths(module: ModuleType) -> set[str]:
    """The paths that stand in the text of a module."""
    return {ROUTES["RawStored"], *re.findall(r'"(/v1/[a-z0-9/-]+)"', inspect.getsource(module))}


MODES: dict[str, Callable[[], Access]] = {
    "token": lambda: TokenAccess("secret-of-the-test"),
    "oidc": oidc,
    "iam": iam,
}


@pytest.mark.parametrize("mode", MODES)
def test_every_route_that_changes_something_asks_who_it_is(mode):
    asked = Asked(MODES[mode](), SKYBLEND_ALLOWED_HOSTS=RUN_APP)
    found = set(routes())
    assert {service for service, _, _ in found} == set(SERVICES)
    assert len(found) >= 8
    events = {(name, "POST", path) for name in SERVICES for path in ROUTES.values()}
    unknown = {(name, m, p) for name in SERVICES for m in CHANGING for p in ("/v1/new", "/", "/x")}
    for service, method, path in found | events | unknown:
        answer = asked(service, path, method=method)
        assert answer.status_code == 401, (service, method, path)
    assert asked.state() == ([], [])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("service", SERVICES)
def test_reading_asks_for_no_credential(mode, service):
    asked = Asked(MODES[mode]())
    for path in READ:
        answer = asked(service, path, b"", method="GET", Host="127.0.0.1:8080")
        assert answer.status_code in (200, 503), path  # 503: nothing has been issued yet


PAGES = ("/v1/forecast", "/", "/v1/places", "/v1/skill")


@pytest.mark.parametrize("service", SERVICES)
def test_on_a_laptop_another_name_is_refused_and_in_the_cloud_any_is_ours(service):
    paths = ["/metrics", *(PAGES if service == "predict" else ())]
    for mode, is_refused in (("token", True), ("oidc", False), ("iam", False)):
        asked = Asked(MODES[mode]())
        for path, method in product(paths, ("GET", "HEAD")):
            answer = asked(service, path, b"", method=method)
            assert (answer.status_code == 421) == is_refused, (mode, method, path)
    none = Asked(OpenAccess())
    assert none(service, "/metrics", b"", method="GET").status_code == 421
    assert none(service, "/v1/collect").status_code == 421


@pytest.mark.parametrize("mode", ["oidc", "iam"])
@pytest.mark.parametrize("service", SERVICES)
def test_a_list_of_hosts_that_somebody_wrote_holds_in_the_cloud_too(mode, service):
    asked = Asked(MODES[mode](), SKYBLEND_ALLOWED_HOSTS="weather.example")
    assert asked(service, "/metrics", b"", method="GET").status_code == 421
    assert asked(service, "/metrics", b"", method="GET", Host="weather.example").status_code == 200


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("service", SERVICES)
def test_only_the_two_probes_ask_nothing_and_only_to_be_read(mode, service):
    asked = Asked(MODES[mode]())
    for path in ("/health", "/ready"):
        assert asked(service, path, b"", method="GET").status_code == 200
        assert asked(service, path).status_code in (401, 421)


def test_the_names_of_the_matrix_are_those_of_the_settings():
    environ = {
        "SKYBLEND_AUTH": "oidc",
        "SKYBLEND_AUDIENCE": f" {AUDIENCE} , https://other.example",
        "SKYBLEND_CALLERS": CALLER,
    }
    settings = Settings.read(environ)
    assert AUDIENCE in settings.audience
    assert settings.callers == (CALLER,)
