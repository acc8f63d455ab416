"""The page in a real browser, on the real service."""

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from skyblend.predict.serve.app import create_app
from skyblend.protos.v1.api_pb2 import Issued
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names
from skyblend.runtime.access import TokenAccess
from skyblend.runtime.bus.sqlite import SqliteBus
from skyblend.runtime.place import Runtime
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage.memory import MemoryStorage
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import Client

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TOKEN = "secret-of-the-test"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
MODELS = ("ecmwf_ifs025", "gfs_seamless", "icon_seamless")
SCORE = {"crps": 0.6, "mae": 0.9, "n": 1200, "coverage80": 0.81}
SOURCES = {
    f"open_meteo/{m}": {"mae": 1.0 + i, "bias": 0.5, "n": 1200} for i, m in enumerate(MODELS)
}
SKILL = {
    "at": "2026-11-20T10:00:00Z",
    "series": {
        "temperature_2m/0": {
            "against": "analysis",
            "window_days": 30,
            "blend": SCORE,
            "mean": SCORE | {"mae": 1.1},
            "sources": SOURCES,
            "places": {},
        }
    },
}


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


@dataclass
class Visit:
    """An open page and what happened on it."""

    page: Any
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def listen(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def runtime(tmp_path) -> Iterator[Runtime]:
    """A runtime of the simulated realm, still empty."""
    made = Runtime(
        settings=Settings.read({"SKYBLEND_DATA": str(tmp_path), "SKYBLEND_REALM": "simulated"}),
        storage=MemoryStorage(),
        bus=SqliteBus(tmp_path / "bus.sqlite"),
        access=TokenAccess(TOKEN),
        token=TOKEN,
    )
    yield made
    made.bus.close()


@pytest.fixture
def app(runtime, clock) -> Any:
    """The service at NOW."""
    return create_app(runtime, now=lambda: clock.now, clock=lambda: clock.seconds)


@pytest.fixture
def visit(browser, app, now) -> Iterator[Callable[..., Visit]]:
    """Open the page of the runtime as it is, at NOW in the browser too."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    contexts = []

    def open_page(size=DESKTOP, *, path="/", **options) -> Visit:
        contexts.append(
            browser.new_context(
                viewport=size, timezone_id="Europe/Berlin", locale="en-GB", **options
            )
        )
        contexts[-1].clock.set_fixed_time(now)
        visit = Visit(contexts[-1].new_page())
        visit.listen()
        visit.page.goto(f"http://127.0.0.1:{server.port}{path}")
        visit.page.wait_for_selector('main[aria-busy="false"]')
        return visit

    yield open_page
    for context in contexts:
        context.close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def forecast(runtime, app, now, put, run_of) -> Callable[..., None]:
    """Issue for three places from three forecasters that begin 6 hours ago, hourly and daily."""

    def issue(*, age=HOUR) -> None:
        begin = now.replace(minute=0) - 6 * HOUR
        issued_at = begin + 6 * HOUR - age
        midnight = begin.replace(hour=0) + DAY

        def day_series(variable: str, value: float) -> Any:
            values = [value + day for day in range(4)]
            return run_of(
                "", values, first=midnight, variable=variable, period=86400, step=86400
            ).series

        for number, name in enumerate(("Berlin", "Zürich", "São Paulo")):
            place = Place(id=f"p{number}", name=name, latitude=number, longitude=10, collect=True)
            hourly = [8 + 5 * math.sin(hour / 24 * math.tau) for hour in range(120)]
            runs = [
                run_of(model, [v + rank for v in hourly], first=begin, issued_at=issued_at)
                for rank, model in enumerate(MODELS)
            ]
            for rank, run in enumerate(runs):
                run.series.extend(day_series("TEMPERATURE_2M_MAX", 13 + rank))
                run.series.extend(day_series("TEMPERATURE_2M_MIN", 3 + rank))
            put(place, *runs)
        runtime.storage.write("skill.json", json.dumps(SKILL).encode())
        answer = Client(app).post(
            "/v1/issue",
            json={},
            headers={"Authorization": f"Bearer {TOKEN}", "Host": "127.0.0.1"},
        )
        assert len(answer.json["issued"]) == 3
        assert runtime.storage.generation(names.issued("p0"))

    return issue


def drawn(visit: Visit) -> int:
    """Pixels of the chart that are not transparent."""
    return visit.page.evaluate(
        """() => { const c = document.querySelector("#chart canvas");
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; }"""
    )


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"]
)
def test_the_page_shows_a_forecast_without_an_error_and_asks_nobody_else(
    visit, forecast, size, scheme
):
    forecast()
    seen = visit(size, color_scheme=scheme)
    assert seen.errors == []
    assert len(seen.hosts) == 1
    assert seen.page.inner_text("#place-name") == "Berlin"
    assert drawn(seen) > 5000
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert seen.page.locator("#legend button").all_inner_texts() == [
        "ECMWF IFS",
        "NOAA GFS",
        "DWD ICON",
    ]
    assert seen.page.locator(".day").count() >= 3


def test_a_simulated_forecast_says_so_loudly(visit, forecast):
    forecast()
    banner = visit().page.locator("#simulated")
    assert banner.is_visible()
    assert "SIMULATED" in banner.inner_text().upper()


def test_a_spread_that_no_model_gave_is_named(visit, forecast):
    forecast()
    assert "default spread" in visit().page.inner_text("#note")


def test_an_old_source_is_named(visit, forecast):
    forecast(age=20 * HOUR)
    seen = visit()
    assert "20 h ago" in seen.page.inner_text("#sources")
    assert seen.page.locator("#sources .old").count() == 3


def test_the_terms_of_the_data_stand_beside_the_sources_with_a_link(visit, forecast):
    forecast()
    seen = visit()
    assert seen.page.inner_text("#sources .terms") == "Weather data by Open-Meteo.com (CC BY 4.0)"
    link = seen.page.locator("#sources .terms a")
    assert link.get_attribute("href") == "https://open-meteo.com/"


def test_terms_are_text_and_only_https_is_a_link(visit, forecast, runtime):
    forecast()
    issued = Issued.FromString(runtime.storage.read(names.issued("p0")).data)
    for source in issued.sources:
        source.attribution.text, source.attribution.url = "<b>Ours</b>", "javascript:alert(1)"
    runtime.storage.write(names.issued("p0"), issued.SerializeToString())
    seen = visit()
    assert seen.page.inner_text("#sources .terms") == "<b>Ours</b> (CC BY 4.0)"
    assert seen.page.locator("#sources .terms a").count() == 0


def test_the_scores_are_shown_best_first_with_what_they_are_against(visit, forecast):
    forecast()
    page = visit().page
    rows = page.locator("#skill tbody th").all_inner_texts()
    assert rows == ["Skyblend", "ECMWF IFS", "plain mean of the sources", "NOAA GFS", "DWD ICON"]
    assert "a weather model's own analysis" in page.inner_text("#skill")
    assert "81 % of 1,200 cases" in page.inner_text("#skill")


def test_places_are_found_without_accents_and_chosen(visit, forecast):
    forecast()
    page = visit().page
    page.fill("#search", "zurich")
    assert page.locator("#places button span").all_inner_texts() == ["Zürich"]
    page.press("#search", "Enter")
    page.locator("#place-name", has_text="Zürich").wait_for()
    assert page.url.endswith("#place=p1")
    page.fill("#search", "atlantis")
    assert page.locator("#places-none").is_visible()


def test_a_link_to_a_place_opens_it(visit, forecast):
    forecast()
    assert visit(path="/#place=p2").page.inner_text("#place-name") == "São Paulo"


def test_a_source_is_switched_off_and_on_by_keyboard(visit, forecast):
    forecast()
    page = visit().page
    button = page.locator("#legend button").nth(1)
    button.focus()
    page.keyboard.press("Space")
    assert button.get_attribute("aria-pressed") == "false"
    assert page.evaluate("document.activeElement.title") == "open_meteo/gfs_seamless"
    page.keyboard.press("Space")
    assert button.get_attribute("aria-pressed") == "true"


def test_the_chart_is_read_by_arrow_keys(visit, forecast):
    forecast()
    page = visit().page
    page.focus("#chart")
    page.keyboard.press("ArrowRight")
    first = page.inner_text("#chart-live")
    page.keyboard.press("ArrowRight")
    assert "80 % from" in first
    assert page.inner_text("#chart-live") != first
    assert page.locator(".tip").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator(".tip").is_visible()


def test_degrees_fahrenheit_are_remembered(visit, forecast):
    forecast()
    page = visit().page
    page.click("#unit")
    assert "°F" in page.inner_text("#sentence")
    page.reload()
    page.wait_for_selector("#content:not([hidden])")
    assert page.inner_text("#unit") == "°F"


def test_without_places_it_says_how_to_add_one(visit):
    seen = visit()
    assert "skyblend places add" in seen.page.inner_text("#empty")
    assert seen.errors == []


def test_before_the_first_issue_it_waits(visit, put, forecast):
    put(Place(id="p0", name="Berlin", latitude=0, longitude=10, collect=True))
    seen = visit()
    assert "on its way" in seen.page.inner_text("#empty")
    assert seen.errors == []


def test_a_name_is_shown_as_text_never_as_markup(visit, put, forecast):
    forecast()
    put(Place(id="p0", name="<img src=x onerror=alert(1)>", latitude=0, longitude=10))
    seen = visit()
    assert seen.page.inner_text("#place-name") == "<img src=x onerror=alert(1)>"
    assert seen.errors == []


def test_a_service_that_stops_answering_is_named_and_the_last_forecast_stays(visit, forecast):
    forecast()
    page = visit().page
    page.route("**/v1/**", lambda route: route.abort())
    page.evaluate("dispatchEvent(new HashChangeEvent('hashchange'))")
    page.wait_for_selector("#trouble:not([hidden])")
    assert "does not answer" in page.inner_text("#trouble")
    assert page.locator("#content").is_visible()
