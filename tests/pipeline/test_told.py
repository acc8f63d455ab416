"""What the images tell of themselves where Cloud Run runs them: lines, and spans also of the last
moment."""

import json
import urllib.request
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from otlp_collector import collecting
from skyblend.runtime.tokens import bearer
from stopping import Running, drained, running

TRACE = "0af7651916cd43dd8448eb211c80319c"


def post(service: Running, path: str) -> int:
    """Order something, as Cloud Scheduler does through Cloud Run's front."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{service.port}{path}?token=in-a-query",
        data=b"{}",
        headers={
            "Content-Type": "application/json",
            "Authorization": bearer(service.token),
            "X-Cloud-Trace-Context": f"{TRACE}/7;o=0",
            "User-Agent": "Google-Cloud-Scheduler",
        },
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        status: int = answer.status
        return status


def lines(service: Running) -> list[dict[str, Any]]:
    """All that it and its server wrote."""
    written = (service.data / "output.txt").read_text().splitlines()
    return [json.loads(line) for line in written]


@pytest.mark.parametrize(
    ("image", "path", "span"), [("ingest", "/v1/collect", "tick"), ("serve", "/v1/issue", "issue")]
)
def test_a_request_is_a_line_and_its_spans_are_sent_before_the_end(
    image: str, path: str, span: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as collector:
        for name, value in {
            "K_SERVICE": f"skyblend-{image}",
            "K_REVISION": "r-1",
            "SKYBLEND_PROJECT": "weather",
            "SKYBLEND_TRACES": collector.url,
        }.items():
            monkeypatch.setenv(name, value)
        with running(image, tmp_path) as service:
            rmtree(tmp_path / "live" / "bucket" / "raw")  # what is there for preprocess
            assert post(service, path) == 200
            assert len(collector.named(span)) == 1  # sent before the answer was
            assert post(service, path) == 200
            assert drained(service) == 0
        assert len(collector.named(span)) == 2
        assert {one.trace for one in collector.spans} == {TRACE}
        assert collector.resource["service.name"] == f"skyblend-{image}"
    told = [line for line in lines(service) if "httpRequest" in line]
    assert [line["httpRequest"]["requestUrl"] for line in told] == [path, path]
    assert told[0]["httpRequest"]["userAgent"] == "Google-Cloud-Scheduler"
    assert told[0]["logging.googleapis.com/trace"] == f"projects/weather/traces/{TRACE}"
    written = (tmp_path / "output.txt").read_text()
    assert service.token not in written
    assert "in-a-query" not in written
