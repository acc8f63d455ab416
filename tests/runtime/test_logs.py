"""Logs and metrics: one JSON object per line, with the trace and without secrets."""

import io
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from skyblend.runtime import logs, metrics
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("INFO", secret_values=["s3cret", 'quo"te', ""], stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_time_severity_message_logger_trace_and_fields(stream: io.StringIO) -> None:
    with logs.trace("abc"):
        logging.getLogger("skyblend.x").warning("%d rows", 3, extra={"source": "y", "n": 3})
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "severity": "WARNING", "message": "3 rows", "logger": "skyblend.x", "trace": "abc",
        "source": "y", "n": 3,
    }  # fmt: skip


def test_a_message_of_several_lines_stays_one_line(stream: io.StringIO) -> None:
    logging.getLogger("x").info('a\nb "c" é')
    assert lines(stream)[0]["message"] == 'a\nb "c" é'


def test_secrets_are_masked_wherever_they_stand(stream: io.StringIO) -> None:
    logger = logging.getLogger("x")
    try:
        raise ValueError("https://x/?key=s3cret")
    except ValueError:
        logger.exception("sent %s", 'quo"te', extra={"url": "https://x/?key=s3cret"})
    text = stream.getvalue()
    assert "s3cret" not in text
    assert "quo" not in text
    assert lines(stream)[0]["url"] == "https://x/?key=***"
    assert "ValueError: https://x/?key=***" in lines(stream)[0]["exception"]


def test_a_secret_is_masked_in_its_quoted_form_too(stream: io.StringIO) -> None:
    logs.hide("pä ss/w", "e")
    logging.getLogger("x").info("?a=p%C3%A4%20ss%2Fw&b=p%C3%A4+ss%2Fw and the rest")
    assert lines(stream)[0]["message"] == "?a=***&b=*** and the rest"


def test_the_token_of_a_runtime_is_never_logged(stream: io.StringIO, tmp_path: Path) -> None:
    settings = Settings.read({"SKYBLEND_DATA": str(tmp_path), "SKYBLEND_X_KEY": "provider-key"})
    runtime = runtime_for(settings)
    logging.getLogger("x").info("%s %s", runtime.token, settings.environ)
    assert runtime.token not in stream.getvalue()
    assert "provider-key" not in stream.getvalue()


def test_what_is_less_severe_is_not_logged(stream: io.StringIO) -> None:
    logging.getLogger("x").debug("quiet")
    assert stream.getvalue() == ""


def test_traces_nest_and_end() -> None:
    assert logs.current_trace() == ""
    with logs.trace("one"):
        with logs.trace() as same:
            assert same == "one"
        with logs.trace("two"):
            assert logs.current_trace() == "two"
        assert logs.current_trace() == "one"
    assert logs.current_trace() == ""


def test_a_new_trace_is_made_where_there_is_none() -> None:
    with logs.trace() as made:
        assert len(made) == 32
        assert int(made, 16) > 0
    assert logs.new_trace() != logs.new_trace()


def test_another_thread_has_its_own_trace() -> None:
    with logs.trace("mine"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(logs.current_trace).result() == ""


def test_metrics_are_ours_by_name_and_readable() -> None:
    metrics.RECORDS.labels("x", "forecasts").inc(5)
    text = metrics.exposition().decode()
    assert 'skyblend_records_total{kind="forecasts",source="x"} 5.0' in text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert names
    assert all(name.startswith("skyblend_") for name in names)
