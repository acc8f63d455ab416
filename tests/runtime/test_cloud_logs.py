"""Logs as Cloud Logging and Error Reporting read them, and the line of each request."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from skyblend.runtime import cloud_logs, contexts, logs
from skyblend.runtime.entry import watched
from skyblend.runtime.requests_log import RequestLog

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CLOUD_RUN = {"K_SERVICE": "skyblend-ingest", "K_REVISION": "r-7", "SKYBLEND_PROJECT": "weather"}
PREFIX = "logging.googleapis.com/"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    lines = cloud_logs.CloudLines(CLOUD_RUN)
    logs.configure("INFO", secret_values=["s3cret"], stream=stream, lines=lines)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_the_fields_of_cloud_logging(stream: io.StringIO) -> None:
    with logs.trace(f"00-{TRACE}-{SPAN}-01"):
        logging.getLogger("skyblend.x").warning("%d rows", 3, extra={"source": "y"})
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    place = line.pop(f"{PREFIX}sourceLocation")
    assert place["file"].endswith("test_cloud_logs.py")
    assert place["line"].isdecimal()
    assert place["function"] == "test_a_line_has_the_fields_of_cloud_logging"
    assert line == {
        "severity": "WARNING", "message": "3 rows", "logger": "skyblend.x", "source": "y",
        f"{PREFIX}trace": f"projects/weather/traces/{TRACE}", f"{PREFIX}spanId": SPAN,
        f"{PREFIX}trace_sampled": True,
    }  # fmt: skip


def test_a_bare_trace_id_names_no_span(stream: io.StringIO) -> None:
    with logs.trace(TRACE):
        logging.getLogger("x").info("here")
    with logs.trace("of my own"):
        logging.getLogger("x").info("there")
    logging.getLogger("x").info("nowhere")
    here, there, nowhere = lines(stream)
    assert here[f"{PREFIX}trace"] == f"projects/weather/traces/{TRACE}"
    assert f"{PREFIX}spanId" not in here
    assert there["trace"] == "of my own"
    assert not [name for name in nowhere if "trace" in name]


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (logging.DEBUG, "DEBUG"),
        (logging.INFO, "INFO"),
        (25, "INFO"),
        (logging.WARNING, "WARNING"),
        (logging.ERROR, "ERROR"),
        (logging.CRITICAL, "CRITICAL"),
        (60, "CRITICAL"),
    ],
)
def test_a_severity_is_one_that_cloud_logging_names(level: int, severity: str) -> None:
    record = logging.LogRecord("x", level, "x.py", 1, "m", (), None)
    assert json.loads(cloud_logs.CloudLines({}).format(record))["severity"] == severity


def test_an_error_with_an_exception_is_an_event_of_error_reporting(stream: io.StringIO) -> None:
    try:
        raise ValueError("https://x/?key=s3cret")
    except ValueError:
        logging.getLogger("x").exception("sent")
    (line,) = lines(stream)
    assert line["@type"].endswith("clouderrorreporting.v1beta1.ReportedErrorEvent")
    assert line["serviceContext"] == {"service": "skyblend-ingest", "version": "r-7"}
    assert line["stack_trace"].startswith("Traceback (most recent call last):")
    assert line["stack_trace"].endswith("ValueError: https://x/?key=***")
    assert "s3cret" not in stream.getvalue()


def test_a_warning_with_an_exception_is_no_error_event(stream: io.StringIO) -> None:
    try:
        raise ValueError("late")
    except ValueError:
        logging.getLogger("x").warning("again", exc_info=True)
    (line,) = lines(stream)
    assert line["stack_trace"].endswith("ValueError: late")
    assert "@type" not in line


def test_a_line_stays_within_what_an_entry_holds(stream: io.StringIO) -> None:
    logging.getLogger("x").info("begin %s end", "x" * 300_000)
    (line,) = lines(stream)
    assert len(line["message"]) < cloud_logs.LONGEST_TEXT + 100
    assert line["message"].startswith("begin x")
    assert line["message"].endswith("x end")


def test_what_the_server_and_python_say_comes_in_the_same_form() -> None:
    program = (
        "import logging, os, sys, threading, warnings\n"
        "server = logging.getLogger('gunicorn.error')\n"
        "server.addHandler(logging.StreamHandler()); server.propagate = False\n"
        "from skyblend.runtime.entry import begin\n"
        "begin('ingest')\n"
        "server.error('Worker was sent SIGKILL')\n"
        "warnings.warn('old')\n"
        "thread = threading.Thread(target=lambda: 1 / 0, name='deliver')\n"
        "thread.start(); thread.join()\n"
        "raise RuntimeError('the end')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | CLOUD_RUN,
        capture_output=True,
        text=True,
        check=False,
    )
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1
    assert [line["severity"] for line in told] == ["ERROR", "WARNING", "ERROR", "CRITICAL"]
    assert told[0]["message"] == "Worker was sent SIGKILL"
    assert "old" in told[1]["message"]
    assert "ZeroDivisionError" in told[2]["stack_trace"]
    assert told[3]["stack_trace"].endswith("RuntimeError: the end")


def test_settings_that_cannot_be_used_are_told_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from skyblend.runtime.entry import begin; begin('ingest')"],
        env=os.environ | CLOUD_RUN | {"SKYBLEND_PORT": "many"},
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = done.stderr.splitlines()
    assert "SKYBLEND_PORT must be a whole number" in json.loads(line)["stack_trace"]


def test_lines_of_the_servers_themselves_have_the_same_form() -> None:
    program = """
import json, logging.config
from importlib.resources import files
from granian.log import LogLevels, configure_logging
from gunicorn.config import Config
from skyblend.runtime.server_logs import GunicornLogger
GunicornLogger(Config()).error("Worker failed to boot %s", 'in "time"')
given = json.loads(files("skyblend.runtime").joinpath("granian.json").read_text())
configure_logging(LogLevels.info, given)
logging.getLogger("_granian").warning("Killing worker-%d", 1)
"""
    for environ, is_json in ((CLOUD_RUN, True), ({}, False)):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | environ,
            capture_output=True,
            text=True,
            check=True,
        )
        (gunicorn,), (granian,) = done.stderr.splitlines(), done.stdout.splitlines()
        if is_json:
            assert json.loads(gunicorn)["message"] == 'Worker failed to boot in "time"'
            assert json.loads(granian)["severity"] == "WARNING"
        else:
            assert gunicorn.endswith('[ERROR] Worker failed to boot in "time"')
            assert granian == "[WARNING] Killing worker-1"


# The trace of a request.


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Trace": TRACE, "traceparent": f"00-{'1' * 32}-{SPAN}-01"}, (TRACE, "", False)),
        ({"X-Trace": f"00-{TRACE}-{SPAN}-01"}, (TRACE, SPAN, True)),
        ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, (TRACE, SPAN, True)),
        ({"traceparent": f"00-{TRACE}-{SPAN}-00"}, (TRACE, SPAN, False)),
        # 13239165250862609201 = 0xb7bad5f6c1f86b31
        (
            {"X-Cloud-Trace-Context": f"{TRACE}/13239165250862609201;o=1"},
            (TRACE, f"{13239165250862609201:016x}", True),
        ),
        ({"X-Cloud-Trace-Context": f"{TRACE}/7"}, (TRACE, "0000000000000007", False)),
        ({"X-Cloud-Trace-Context": TRACE.upper()}, (TRACE, "", False)),
        ({"X-Cloud-Trace-Context": f"{TRACE}/99999999999999999999"}, (TRACE, "", False)),
        ({"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, ("", "", False)),
        ({"traceparent": "00-<script>-01", "X-Cloud-Trace-Context": "x/y"}, ("", "", False)),
        ({"X-Trace": "a" * 100}, ("a" * 64, "", False)),
        ({"X-Trace": "a\x1b[31m"}, ("", "", False)),
        ({"X-Trace": "\ud800"}, ("", "", False)),
        ({}, ("", "", False)),
    ],
)
def test_the_trace_of_a_request_comes_from_its_headers(
    headers: dict[str, str], expected: tuple[str, str, bool]
) -> None:
    assert contexts.of_request(headers.get) == expected


def test_what_is_carried_is_read_again() -> None:
    for context in (contexts.Context(TRACE, SPAN, True), contexts.Context(TRACE)):
        assert contexts.parse(context.carried()) == context
    assert contexts.Context(TRACE, SPAN, True).carried() == f"00-{TRACE}-{SPAN}-01"
    assert contexts.Context("mine", SPAN, True).carried() == "mine"


# The line of a request.


def asked(path: str = "/v1/forecast", **environ: str) -> dict[str, Any]:
    return {"REQUEST_METHOD": "GET", "PATH_INFO": path, **environ}


def answering(status: str, body: Iterable[bytes], *headers: tuple[str, str]) -> RequestLog:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, [*headers])
        return body

    ticks = iter([10.0, 10.25, 10.5])
    return RequestLog(app, clock=lambda: next(ticks))


def started(*_: object) -> None:
    pass


def test_a_request_is_one_line_without_its_query_and_headers(stream: io.StringIO) -> None:
    app = answering("200 OK", [b"12345"])
    environ = asked(
        QUERY_STRING="latitude=1&apikey=abc",
        HTTP_AUTHORIZATION="Bearer abcdef",
        HTTP_USER_AGENT="curl" + "x" * 500,
        HTTP_X_CLOUD_TRACE_CONTEXT=f"{TRACE}/7;o=1",
        REMOTE_ADDR="192.0.2.7",
    )
    assert app(environ, started) == [b"12345"]
    (line,) = lines(stream)
    assert line["severity"] == "INFO"
    assert line["message"] == "GET /v1/forecast 200"
    assert line[f"{PREFIX}trace"].endswith(TRACE)
    agent = line["httpRequest"].pop("userAgent")
    assert len(agent) == 120
    assert line["httpRequest"] == {
        "requestMethod": "GET", "requestUrl": "/v1/forecast", "requestSize": "0", "status": 200,
        "responseSize": "5", "latency": "0.250000s",
    }  # fmt: skip
    for hidden in ("apikey", "abcdef", "192.0.2.7"):
        assert hidden not in stream.getvalue()


def test_an_answer_in_pieces_has_its_line_when_it_is_closed(stream: io.StringIO) -> None:
    closed: list[bool] = []

    class Pieces:
        def __iter__(self) -> Iterator[bytes]:
            yield from (b"12", b"3")

        def close(self) -> None:
            closed.append(True)

    body = answering("200 OK", Pieces())(asked("/"), started)
    assert b"".join(body) == b"123"
    assert not lines(stream)
    body.close()  # type: ignore[attr-defined]
    assert closed == [True]
    assert lines(stream)[0]["httpRequest"]["responseSize"] == "3"


@pytest.mark.parametrize(
    ("status", "severity"),
    [("304 Not Modified", "INFO"), ("404 Not Found", "WARNING"), ("503 x", "ERROR")],
)
def test_a_refusal_is_a_warning_and_our_trouble_an_error(
    stream: io.StringIO, status: str, severity: str
) -> None:
    answering(status, [], ("Content-Length", "7"))(asked(), started)
    (line,) = lines(stream)
    assert (line["severity"], line["httpRequest"]["responseSize"]) == (severity, "7")


def test_a_failure_of_the_application_has_a_line_and_goes_on(stream: io.StringIO) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        raise KeyError("x")

    with pytest.raises(KeyError):
        RequestLog(app)(asked(), started)
    assert lines(stream)[0]["httpRequest"]["status"] == 500


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_probes_have_no_line(stream: io.StringIO, path: str) -> None:
    answering("200 OK", [])(asked(path), started)
    assert not lines(stream)


def test_lines_of_an_application_belong_to_the_trace_of_its_request(stream: io.StringIO) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        logging.getLogger("x").info("inside")
        start_response("204 No Content", [])
        return []

    RequestLog(app)(asked(HTTP_TRACEPARENT=f"00-{TRACE}-{SPAN}-01"), started)
    inside, line = lines(stream)
    assert inside[f"{PREFIX}trace"] == line[f"{PREFIX}trace"] == f"projects/weather/traces/{TRACE}"
    assert logs.current_trace() == ""


def test_requests_are_logged_where_cloud_run_runs_us_alone() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return []

    assert watched(app, environ={"SKYBLEND_BUS": "pubsub"}) is app
    assert isinstance(watched(app, environ=CLOUD_RUN), RequestLog)
