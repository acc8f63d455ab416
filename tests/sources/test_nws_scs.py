# ruff: noqa: E501 (tables of cases)
"""The bulletins of 2021 against the reference tables made from them by others."""

import csv
import gzip
import io
import tarfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skyblend.sources.contract import BadPayload, Forecasts, Observations, Payload
from skyblend.sources.nws_scs import nws_scs

RECEIVED = datetime(2026, 11, 21, tzinfo=UTC)

TABLE = """\
FPUS20 KWBN 301250
SCS01
SELECTED CITIES WEATHER SUMMARY AND FORECASTS...PART 1 OF 4
NWS/NDFD TELECOMMUNICATION OPERATIONS CENTER SILVER SPRING MD
750 AM EST SAT JAN 30 2021

TEMPERATURES INDICATE DAYTIME HIGH...NIGHTTIME LOW

                                FORECAST        FORECAST
                 FRI...JAN 29   SAT....JAN 30   SUN....JAN 31
CITY             HI/LO   PCPN   WEA     HI/LO   WEA     HI/LO

BUFFALO          20  11   .01   MOCLDY  24/15   MOCLDY  27/20
CARIBOU          B02  05B       SUNNY   B14/06B MISG    MM/MM
YUMA             101  72   MM   SUNNY   102/73  SUNNY   100/70
"""
# A bulletin of part 1 has 36 cities: the three above and 33 more.
FILLING = "".join(
    f"CITY {chr(65 + n // 26)}{chr(65 + n % 26)}          20  11         SUNNY   24/15   SUNNY   27/20\n"
    for n in range(33)
)
BULLETIN = TABLE + FILLING + "\n\n$$\n"


def decode(text: str | bytes, received_at: datetime = RECEIVED) -> tuple[Forecasts, Observations]:
    body = text.encode() if isinstance(text, str) else text
    payload = Payload(body=io.BytesIO(body), received_at=received_at, upload=True)
    forecasts, observations = nws_scs.decode(payload)
    return forecasts, observations


def rows(batch: Forecasts | Observations) -> dict[tuple[str, str, str, int], float]:
    """(place, variable, valid time, period) -> value."""
    ids = [batch.place_id.names[code] for code in batch.place_id.codes]
    times = batch.valid_at if isinstance(batch, Forecasts) else batch.observed_at
    texts = np.datetime_as_string(times, unit="m").tolist()
    periods = np.broadcast_to(batch.period, len(ids)).tolist()
    return {
        (place, name, text, period): value
        for name, column in batch.values.items()
        for place, text, period, value in zip(ids, texts, periods, column.tolist(), strict=True)
        if not np.isnan(value)
    }


def test_highs_and_lows_of_the_morning_layout():
    forecasts, observations = decode(BULLETIN)
    assert str(forecasts.issued_at) == "2021-01-30T12:50:00.000000"
    assert forecasts.known_at == forecasts.issued_at == observations.known_at
    fc, ob = rows(forecasts), rows(observations)
    # 24 F = -8 * 5 / 9 = -4.444 degC; the high of the 30th ends at 00Z of the 31st.
    high = fc["BUFFALO", "temperature_2m_max", "2021-01-31T00:00", 43200]
    assert high == pytest.approx(-40 / 9)
    # 15 F, the low of the night after: the morning of the 31st.
    low = fc["BUFFALO", "temperature_2m_min", "2021-01-31T12:00", 43200]
    assert low == pytest.approx(-85 / 9)
    assert ob["BUFFALO", "temperature_2m_max", "2021-01-30T00:00", 43200] == pytest.approx(-60 / 9)
    assert ob["BUFFALO", "temperature_2m_min", "2021-01-30T12:00", 43200] == pytest.approx(-105 / 9)
    # .01 inch in the 24 h that end at 12Z of the next day.
    rain = ob["BUFFALO", "precipitation_sum", "2021-01-30T12:00", 86400]
    assert rain == pytest.approx(0.254)


def test_below_zero_is_a_b_on_either_side():
    forecasts, observations = decode(BULLETIN)
    fc, ob = rows(forecasts), rows(observations)
    assert ob["CARIBOU", "temperature_2m_max", "2021-01-30T00:00", 43200] == pytest.approx(-170 / 9)
    assert ob["CARIBOU", "temperature_2m_min", "2021-01-30T12:00", 43200] == pytest.approx(-185 / 9)
    assert fc["CARIBOU", "temperature_2m_max", "2021-01-31T00:00", 43200] == pytest.approx(-230 / 9)


def test_missing_makes_no_record_and_blank_rain_is_none():
    forecasts, observations = decode(BULLETIN)
    caribou = [key for key in rows(forecasts) if key[0] == "CARIBOU"]
    assert len(caribou) == 2  # the second pair is MM/MM
    ob = rows(observations)
    assert ob["CARIBOU", "precipitation_sum", "2021-01-30T12:00", 86400] == 0.0
    assert ("YUMA", "precipitation_sum", "2021-01-30T12:00", 86400) not in ob


def test_the_evening_layout_puts_the_low_first():
    evening = (
        BULLETIN.replace("HI/LO", "LO/HI")
        .replace("301250", "310050")
        .replace("750 AM EST", "750 PM EST")
    )
    forecasts, observations = decode(evening)
    assert str(forecasts.issued_at) == "2021-01-31T00:50:00.000000"
    fc, ob = rows(forecasts), rows(observations)
    # 24 F is now a low, of the morning of the printed date itself.
    assert fc["BUFFALO", "temperature_2m_min", "2021-01-30T12:00", 43200] == pytest.approx(-40 / 9)
    assert ob["BUFFALO", "precipitation_sum", "2021-01-30T00:00", 86400] == pytest.approx(0.254)


def test_year_turns_between_the_columns():
    text = (
        BULLETIN.replace("301250", "311250")
        .replace("SAT JAN 30 2021", "FRI DEC 31 2021")
        .replace("FRI...JAN 29", "THU...DEC 30")
        .replace("SAT....JAN 30", "FRI....DEC 31")
        .replace("SUN....JAN 31", "SAT....JAN 01")
    )
    forecasts, _ = decode(text)
    key = ("BUFFALO", "temperature_2m_min", "2022-01-02T12:00", 43200)
    assert rows(forecasts)[key] == pytest.approx(-60 / 9)  # 20 F


@pytest.mark.parametrize(
    ("text", "where", "expected"),
    [
        (BULLETIN[:900], "line", "two forecasts"),  # cut within a line
        (TABLE + FILLING, "line", r"\$\$"),
        (TABLE + FILLING[: len(FILLING) // 33 * 30] + "$$\n", "line 11", "36 cities"),
        (BULLETIN.replace("20  11   .01", "2?  11   .01"), "line 13", "city, pair"),
        (BULLETIN.replace("SAT....JAN 30", "MON....JAN 30"), "line 10", "three consecutive dates"),
        (BULLETIN.replace("SAT....JAN 30", "SUN....JAN 31"), "line 10", "three consecutive dates"),
        (BULLETIN.replace("WEA     HI/LO   WEA     HI/LO", "WEA     LO/HI   WEA     HI/LO"), "line 11", "one order"),
        (BULLETIN.replace("301250", "322570"), "line 1", "a day, hour and minute"),
        (BULLETIN.replace("750 AM EST", "7 o'clock"), "line 5", "local time"),
        (BULLETIN.replace("SCS01", "SCS09"), "line 2", "SCS01"),
        ("<html>\n", "line 1", "FPUS20 KWBN"),
        (BULLETIN + BULLETIN, "line 52", r"nothing after \$\$"),
        ("", "line 1", "FPUS20 KWBN"),
        (BULLETIN.encode().replace(b"BUFFALO", b"BUFF\xc4LO"), f"byte {BULLETIN.index('BUFFALO') + 4}", "ASCII"),
        (BULLETIN + " " * 70_000, "byte 65536", "at most 65536 bytes"),
    ],
)  # fmt: skip
def test_what_is_not_a_whole_bulletin_is_refused(text, where, expected):
    with pytest.raises(BadPayload, match=expected) as caught:
        decode(text)
    assert caught.value.where.startswith(where)


def test_a_bulletin_from_the_future_is_refused():
    with pytest.raises(BadPayload, match="a WMO time that is past"):
        decode(BULLETIN, datetime(2021, 1, 30, 12, 30, tzinfo=UTC))
    decode(BULLETIN, datetime(2021, 1, 30, 12, 45, tzinfo=UTC))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_bulletin_is_read_or_refused(data):
    body = bytearray(BULLETIN.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body) - 1))
        end = start + data.draw(st.integers(0, 40))
        body[start:end] = data.draw(st.binary(max_size=20))
    try:
        forecasts, _ = decode(bytes(body))
    except BadPayload:
        return
    assert len(forecasts.valid_at) > 0


def test_recognised_by_its_heading():
    assert nws_scs.recognises("SCS01_20210130T1250Z.txt", BULLETIN.encode()[:4096])
    assert not nws_scs.recognises("a.csv", b"place_id,observed_at\n")


def bulletins(folder: Path, month: str) -> list[bytes]:
    with tarfile.open(folder / f"scs_2021-{month}.tar.gz") as tar:
        return [file.read() for member in tar if (file := tar.extractfile(member))]


@cache
def after(day: str, hours: int) -> str:
    return (datetime.fromisoformat(day) + timedelta(hours=hours)).isoformat()[:16]


def expected_rows(row: dict[str, str]) -> dict[tuple[str, str, str, int], float]:
    """What one row of the parsed table says, by the definitions of its README."""
    expected = {}
    morning = row["header_order"] == "HL"
    for column in ("obs", "fc1", "fc2"):
        day = row[f"{column}_date"]
        ends = {"high": after(day, 24), "low": after(day, 36 if morning else 12)}
        for element, name in (("high", "temperature_2m_max"), ("low", "temperature_2m_min")):
            text = row[f"{column}_{element}_f"]
            if text:
                key = (row["city"], name, ends[element], 43200)
                expected[key if column == "obs" else ("fc", *key)] = (int(text) - 32) / 1.8
    if row["obs_pcpn_raw"] != "MM":
        end = after(row["obs_date"], 36 if morning else 24)
        rain = float(row["obs_pcpn_raw"] or 0) * 25.4
        expected[row["city"], "precipitation_sum", end, 86400] = rain
    return expected


def test_every_bulletin_of_2021_gives_every_value_of_the_parsed_table(archives):
    folder = archives / "nws_scs"
    printed: dict[tuple[str, str], list[dict[str, str]]] = {}
    with gzip.open(folder / "scs_parsed_2021.csv.gz", "rt") as table:
        for row in csv.DictReader(table):
            printed.setdefault((row["issued_utc"], row["part"]), []).append(row)
    count = Counter()
    for month in range(1, 13):
        for body in bulletins(folder / "raw", f"{month:02d}"):
            forecasts, observations = decode(body)
            issued = f"{str(forecasts.issued_at)[:16]}Z"
            table_rows = printed.pop((issued, body[19:24].decode()))
            expected = {key: v for row in table_rows for key, v in expected_rows(row).items()}
            got = {("fc", *key): value for key, value in rows(forecasts).items()} | rows(
                observations
            )
            assert got.keys() == expected.keys()
            assert max(abs(value - expected[key]) for key, value in got.items()) < 1e-9
            count.update(bulletins=1, cities=len(table_rows))
    assert not printed
    assert count == {"bulletins": 2761, "cities": 113_185}


def test_forecasts_and_final_observations_of_a_month_are_those_of_the_pairs(archives):
    folder = archives / "nws_scs"
    final: dict[tuple[str, str, str, int], tuple[str, float]] = {}
    issued: dict[tuple[str, tuple[str, str, str, int]], float] = {}
    for month in ("01", "02", "03"):
        for body in bulletins(folder / "raw", month):
            forecasts, observations = decode(body)
            moment = f"{str(forecasts.issued_at)[:16]}Z"
            issued |= {(moment, key): value for key, value in rows(forecasts).items()}
            for key, value in rows(observations).items():
                final[key] = max(final.get(key, ("", 0.0)), (moment, value))
    compared = 0
    with gzip.open(folder / "scs_pairs_2021.csv.gz", "rt") as table:
        for row in csv.DictReader(table):
            if row["issued_utc"] > "2021-02-20":
                break
            is_high = row["element"] == "high"
            end = after(row["target_date"], 24 if is_high else 12)
            name = "temperature_2m_max" if is_high else "temperature_2m_min"
            key = (row["city"], name, end, 43200)
            forecast, observed = issued.get((row["issued_utc"], key)), final.get(key)
            assert (forecast is None) == (row["forecast_f"] == "")
            assert (observed is None) == (row["obs_f"] == "")
            if forecast is not None:
                assert round(forecast * 1.8 + 32) == int(row["forecast_f"])
            if observed is not None:
                assert round(observed[1] * 1.8 + 32) == int(row["obs_f"])
            compared += 1
    assert compared > 20_000
