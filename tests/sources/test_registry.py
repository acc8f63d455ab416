"""The contract fits providers that are fetched, scraped, and only uploaded."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from skyblend.protos.v1.records_pb2 import Place
from skyblend.sources.contract import (
    Attribution,
    BadPayload,
    Decoded,
    Observations,
    Payload,
    Request,
    Schedule,
    Source,
)
from skyblend.sources.registry import SOURCES, recognise, source
from skyblend.sources.times import instant

TERMS = Attribution(licence="none", text="Toy", url="", commercial=False)
PAGE = Schedule(endpoint="page", every=timedelta(minutes=10), batch=1)


@dataclass(frozen=True, slots=True)
class Lighthouse:
    """A toy provider whose page of readings is scraped."""

    name: str = "lighthouse"
    publication_delay: timedelta = timedelta(minutes=5)
    attribution: Attribution = TERMS
    schedules: tuple[Schedule, ...] = (PAGE,)

    def requests(
        self, endpoint: str, places: Sequence[Place], *, slot: datetime, options: Mapping[str, str]
    ) -> Iterator[Request]:
        base = options.get("page_url", "https://lighthouse.example/now")
        for place in places:
            yield Request(endpoint=endpoint, url=f"{base}/{place.id}", params={}, places=(place,))

    def recognises(self, name: str, head: bytes) -> bool:
        return b"<h1>Lighthouse" in head

    def decode(self, payload: Payload) -> Iterator[Decoded]:
        page = payload.body.read().decode()
        match = re.search(r"<td>(-?\d+) C</td>", page)
        if match is None:
            raise BadPayload(self.name, where="td", expected="a temperature", got=page[:40])
        moment = instant(payload.received_at)
        yield Observations(
            source=self.name,
            place_id=payload.places[0].id,
            observed_at=np.array([moment]),
            period=0,
            known_at=moment,
            values={"temperature_2m": np.array([float(match[1])])},
        )


def test_a_scraped_provider_fits_the_contract():
    toy: Source = Lighthouse()
    slot = datetime(2026, 11, 20, 10, tzinfo=UTC)
    (request,) = toy.requests("page", [Place(id="cape")], slot=slot, options={})
    page = io.BytesIO(b"<h1>Lighthouse</h1><td>-3 C</td>")
    payload = Payload(body=page, received_at=slot, url=request.url, places=request.places)
    (batch,) = toy.decode(payload)
    assert batch.values["temperature_2m"].tolist() == [-3.0]
    with pytest.raises(BadPayload, match="lighthouse: at td expected a temperature"):
        list(toy.decode(Payload(body=io.BytesIO(b"closed"), received_at=slot)))


def test_every_source_is_registered_under_its_own_name():
    assert {name: known.name for name, known in SOURCES.items()} == {name: name for name in SOURCES}
    assert list(SOURCES) == ["open_meteo", "nws_scs", "tidy"]


@pytest.mark.parametrize("name", SOURCES)
def test_only_sources_with_schedules_ask(name):
    known = source(name)
    asked = list(
        known.requests(
            "forecast",
            [Place(id="a", latitude=1, longitude=2)],
            slot=datetime(2026, 1, 1, tzinfo=UTC),
            options={},
        )
    )
    assert bool(known.schedules) == bool(asked)
    assert known.attribution.text


def test_an_unknown_name_lists_the_sources():
    with pytest.raises(KeyError, match="no source 'metno'; there are open_meteo, nws_scs, tidy"):
        source("metno")


def test_uploads_are_recognised_by_content():
    bulletin = recognise("x.txt", b"FPUS20 KWBN 301250\nSCS01\n")
    assert bulletin is not None
    assert bulletin.name == "nws_scs"
    table = recognise("x", b"place_id,latitude,longitude,elevation,observed_at,temperature_2m\n")
    assert table is not None
    assert table.name == "tidy"
    answer = recognise("x.json", b'{"latitude":52.52,"longitude":13.41,"generationtime_ms":0.4')
    assert answer is not None
    assert answer.name == "open_meteo"
    assert recognise("x.json", b'{"latitude":52.52,"longitude":13.41}') is None
    assert recognise("x.jpg", b"\xff\xd8\xff") is None


@pytest.mark.parametrize(
    "head",
    [
        b'{"elevation": 38, "generationtime_ms": 0.4, "latitude": 52.52}',
        b'[{"latitude": 52.52, "hourly": {}}, {"latitude": 59.91, "hourly": {}}]',
        b'{"daily": {}, "latitude": 52.52}',
        b'{"reason": "Cannot initialize", "error": true}',
    ],
)
def test_an_answer_is_recognised_whatever_the_order_of_its_keys(head):
    known = recognise("x.json", head)
    assert known is not None
    assert known.name == "open_meteo"
