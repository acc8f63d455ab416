"""What docs/api.md shows can be copied: each example is answered."""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from skyblend.cli.apps import apps, router
from skyblend.predict.serve import period, query
from skyblend.predict.serve.issue import issue
from skyblend.protos.v1.records_pb2 import Place, Run
from skyblend.runtime.place import Runtime
from werkzeug.test import Client

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
SERVER = "http://127.0.0.1:8080"
TOKEN = "Bearer $(cat data/token)"
ASKS_PROVIDERS = "/v1/collect"


@dataclass(frozen=True, slots=True)
class Example:
    """One curl command."""

    method: str
    url: str
    headers: dict[str, str]
    body: str


def _examples() -> Iterator[Example]:
    for command in re.findall(r"^    (curl (?:.*\\\n)*.*)$", GUIDE, re.MULTILINE):
        words = shlex.split(command.replace("\\\n", " "))
        options = dict(pairwise(words))
        headers = [words[at + 1] for at, word in enumerate(words) if word == "-H"]
        (url,) = (word for word in words if word.startswith(SERVER))
        yield Example(
            options.get("-X", "GET"),
            url.removeprefix(SERVER),
            dict(header.split(": ", 1) for header in headers),
            options.get("-d", ""),
        )


READS = [one for one in _examples() if one.method == "GET"]
CHANGES = [one for one in _examples() if one.method == "POST"]


@pytest.fixture
def client(
    runtime: Runtime, put: Callable[..., None], run_of: Callable[..., Run], now: datetime
) -> Client:
    """All services behind one port, with Berlin issued."""
    berlin = Place(id="Berlin", latitude=52.52, longitude=13.41, elevation=38)
    put(berlin, run_of("gfs", range(200)))
    issue(runtime, now=now)
    return Client(router(apps(runtime)))


def test_each_endpoint_has_an_example() -> None:
    assert {one.url.partition("?")[0] for one in READS} == {
        *("/v1/forecast", "/v1/places", "/v1/sources", "/v1/series", "/v1/skill"),
        *("/health", "/ready", "/metrics"),
    }
    assert {one.url.partition("?")[0] for one in CHANGES} == {
        *("/v1/places", "/v1/uploads", "/v1/collect", "/v1/issue"),
    }


@pytest.mark.parametrize("example", READS, ids=lambda one: one.url)
def test_each_read_is_answered(client: Client, example: Example) -> None:
    got = client.get(example.url, base_url=SERVER)
    assert got.status_code == 200
    if example.url.startswith("/v1/forecast"):
        assert got.json["skyblend"]["notes"] == []
        assert got.json["skyblend"]["place"] == "Berlin"


@pytest.mark.parametrize("example", CHANGES, ids=lambda one: one.url)
def test_each_change_wants_the_token_and_then_is_made(
    client: Client, runtime: Runtime, example: Example
) -> None:
    assert example.headers["Authorization"] == TOKEN
    kind = {"Content-Type": example.headers["Content-Type"]}
    bare = client.post(example.url, base_url=SERVER, headers=kind, data=example.body)
    assert bare.status_code == 401
    if example.url != ASKS_PROVIDERS:  # no network here; tests of ingest answer it
        headers = kind | {"Authorization": f"Bearer {runtime.token}"}
        got = client.post(example.url, base_url=SERVER, headers=headers, data=example.body)
        assert got.status_code in (200, 201)


def test_each_parameter_is_in_the_table() -> None:
    table = "".join(re.findall(r"^\| `.*$", GUIDE, re.MULTILINE))
    assert {name for name in query.KNOWN if f"`{name}`" not in table} == set()
    assert f"1 to {period.MOST_DAYS} from today on" in table
