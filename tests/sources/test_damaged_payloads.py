"""What damaged payloads taught: each of these was once read as if it were whole."""

import io
from datetime import UTC, datetime

import numpy as np
import pytest
from skyblend.sources.contract import BadPayload, Observations, Payload, Refusal
from skyblend.sources.nws_scs import nws_scs
from skyblend.sources.open_meteo import open_meteo
from skyblend.sources.tidy import tidy
from skyblend.weather.units import convert

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ANSWER = (
    '{"latitude": 48.1, "longitude": 11.6, "utc_offset_seconds": 0, "timezone": "GMT",'
    ' "hourly_units": {"time": "iso8601", "temperature_2m": "°C"},'
    ' "hourly": {"time": ["2026-11-20T13:00"], "temperature_2m": [4.5]MORE}}'
)


def answered(text: str) -> list[object]:
    body = io.BytesIO(text.encode())
    return list(open_meteo.decode(Payload(body=body, received_at=NOW, endpoint="forecast")))


def test_a_key_that_stands_twice_refuses_the_answer() -> None:
    assert len(answered(ANSWER.replace("MORE", ""))) == 1
    with pytest.raises(BadPayload, match=r"temperature_2m.*each key once"):
        answered(ANSWER.replace("MORE", ', "temperature_2m" : [5.5]'))


def test_a_colon_in_a_text_is_no_second_key() -> None:
    whole = ANSWER.replace("MORE", "")
    assert len(answered(whole.replace('"GMT"', '"GMT", "note": "say \\":\\" twice"'))) == 2


@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_an_answer_nested_hundreds_deep_is_refused(opening: str) -> None:
    closing = "}" if opening.startswith("{") else "]"
    with pytest.raises(BadPayload):
        answered(opening * 990 + '{"a":1,"a":2}' + closing * 990)


def test_digits_of_another_script_are_no_number_and_no_time() -> None:
    text = (
        "place_id,latitude,longitude,elevation,observed_at,temperature_2m\n"
        "P,48.1,11.6,520,2026-11-20T10:00:00Z,٣\n"
        "P,48.1,11.6,520,2026-11-2٠T11:00:00Z,3\n"
        "P,48.1,11.6,520,2026-11-20T12:00:00Z,3\n"
    )
    payload = Payload(body=io.BytesIO(text.encode()), received_at=NOW, upload=True)
    found = list(tidy.decode(payload))
    refused = [item.where for item in found if isinstance(item, Refusal)]
    assert refused == ["line 3 column observed_at", "line 2 column temperature_2m"]
    assert [len(item.observed_at) for item in found if isinstance(item, Observations)] == [1]


@pytest.mark.parametrize(
    ("said", "garbled", "where"),
    [
        ("SAT JAN 30 2021", "SAT JUN 30 2021", "line 5"),  # that was a Wednesday
        ("SAT JAN 30 2021", "SUN JAN 31 2021", "line 1"),  # the WMO time is of the 30th
        ("FPUS20 KWBN 301250", "FPUS20 KWBN 201250", "line 1"),
    ],
)
def test_dates_of_a_bulletin_must_agree(archives, said: str, garbled: str, where: str) -> None:
    import tarfile  # noqa: PLC0415 - only here

    with tarfile.open(archives / "nws_scs" / "raw" / "scs_2021-01.tar.gz") as tar:
        content = tar.extractfile("SCS01_20210130T1250Z.txt")
        assert content is not None
        text = content.read().decode("ascii")
    assert said in text
    body = io.BytesIO(text.replace(said, garbled).encode())
    with pytest.raises(BadPayload) as refused:
        list(nws_scs.decode(Payload(body=body, received_at=NOW, upload=True)))
    assert refused.value.where == where


def test_what_came_is_said_even_where_nothing_came() -> None:
    body = io.BytesIO(b"FPUS20 KWBN 301250\n\n")
    with pytest.raises(BadPayload) as refused:
        list(nws_scs.decode(Payload(body=body, received_at=NOW, upload=True)))
    assert refused.value.got


def test_a_value_too_large_for_the_unit_is_infinite_and_no_warning() -> None:
    assert convert(np.array([1e308]), "km", "mm").tolist() == [np.inf]
