"""Damaged payloads: a decoder refuses with words that help, or gives what the whole payload gives.

Recorded answers of Open-Meteo, real bulletins and tidy files are damaged at random. Nothing but
BadPayload may come out of `decode`, and every refusal says where, what was expected and what came.
A fault of the structure (keys, types, units, lengths, lines, encoding, the end) never yields a
record that the undamaged payload does not hold. A fault within a value (a flipped digit, 1e308)
cannot be told from another value by its looks; there only the first statement is held, and that
1e308 is flagged where it comes through.
"""

import csv
import gzip
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skyblend.sources.contract import (
    BadPayload,
    Decoded,
    Forecasts,
    Labels,
    Observations,
    Payload,
    Refusal,
)
from skyblend.sources.registry import SOURCES
from skyblend.weather.quality import check_values

SEED = 19_970_321
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LEAD, DELAY = timedelta(hours=48), timedelta(hours=1)
_CASES = {"open_meteo": 8_000, "tidy": 6_000, "nws_scs": 6_000}

Key = tuple[object, ...]
Records = dict[Key, tuple[object, ...]]
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Whole:
    """An undamaged payload: its source, bytes, the facts of its receipt, and what it holds."""

    name: str
    source: str
    body: bytes
    facts: dict[str, Any]
    records: Records = field(default_factory=dict)

    def decoded(self, body: bytes) -> list[Decoded]:
        payload = Payload(body=io.BytesIO(body), **self.facts)
        return list(SOURCES[self.source].decode(payload))


@dataclass(frozen=True, slots=True)
class Damage:
    """A way to damage a payload; gives None where it does not apply. `is_structural`: no record may
    differ."""

    name: str
    apply: Callable[[bytes, Random], bytes | None]
    is_structural: bool = True


# What a payload holds, value by value


def spread(column: Any, count: int) -> list[Any]:
    """A column of an item as a list, whatever its form."""
    if isinstance(column, Labels):
        return [column.names[code] for code in column.codes.tolist()]
    if isinstance(column, np.ndarray) and column.ndim:
        return list(column.tolist())
    return [column.item() if isinstance(column, np.generic) else column] * count


def held(items: list[Decoded]) -> Records:
    """Each value by its key and variable, with known_at and position; of two the first counts, as
    it does in preprocess."""
    found: Records = {}
    for item in items:
        if not isinstance(item, (Forecasts, Observations)):
            continue
        names = ("source", "model", "member", "place_id", "issued_at", "valid_at", "period")
        if isinstance(item, Observations):
            names = ("source", "place_id", "kind", "observed_at", "period")
        count = len(item.valid_at if isinstance(item, Forecasts) else item.observed_at)
        keys = list(zip(*(spread(getattr(item, n), count) for n in names), strict=True))
        facts = (spread(getattr(item, n), count) for n in ("known_at", "latitude", "longitude"))
        told = list(zip(*facts, strict=True))
        for variable, column in item.values.items():
            for row in np.flatnonzero(~np.isnan(column)).tolist():
                found.setdefault((*keys[row], variable), (float(column[row]), repr(told[row])))
    return found


def problem(whole: Whole, damage: Damage, body: bytes) -> str | None:
    """What is wrong with how a damaged payload is read, None where nothing is."""
    try:
        items = whole.decoded(body)
    except BadPayload as bad:
        return None if all((bad.where, bad.expected, bad.got)) else f"says too little: {bad!r}"
    except Exception as error:  # noqa: BLE001 - that no other error comes is what is proved
        return f"{type(error).__name__}: {error}"
    for item in items:
        if isinstance(item, Refusal) and not all((item.where, item.expected, item.got)):
            return f"says too little: {item}"
    if not damage.is_structural:
        return unflagged(items)
    for key, value in held(items).items():
        if whole.records.get(key) != value:
            return f"record {key}: {value} where it was {whole.records.get(key)}"
    return None


def unflagged(items: list[Decoded]) -> str | None:
    """A value beyond all reason that no check flags."""
    for item in items:
        if isinstance(item, (Forecasts, Observations)):
            flags = {(flag.row, flag.variable) for flag in check_values(item.values)}
            for name, column in item.values.items():
                for row in np.flatnonzero(np.abs(column) > 1e300).tolist():
                    if (row, name) not in flags and np.isfinite(column[row]):
                        return f"{name} {column[row]} is not flagged"
    return None


def celsius(kelvin: str) -> str:
    return f"{float(kelvin) - 273.15:.3f}"


# Damages of any payload

_HTML = b"<!DOCTYPE html><html><body><h1>503 Service Unavailable</h1></body></html>\n"


def truncated(body: bytes, rng: Random) -> bytes:
    return body[: int(rng.integers(0, len(body)))]


def flipped(body: bytes, rng: Random) -> bytes:
    """One to three random bits."""
    damaged = bytearray(body)
    for at in rng.integers(0, len(body), int(rng.integers(1, 4))).tolist():
        damaged[at] ^= 1 << int(rng.integers(0, 8))
    return bytes(damaged)


def html(body: bytes, rng: Random) -> bytes:
    return _HTML if rng.random() < 0.5 else _HTML + body


def badly_encoded(body: bytes, rng: Random) -> bytes:
    """Bytes that no UTF-8 has, or another encoding of the whole."""
    if rng.random() < 0.2:
        return body.decode("utf-8").encode("utf-16")
    at = int(rng.integers(0, len(body)))
    return body[:at] + bytes([int(rng.choice([0xFF, 0xC3, 0x80, 0xF5]))]) + b"(" + body[at:]


def line_removed(body: bytes, rng: Random) -> bytes | None:
    lines = body.splitlines(keepends=True)
    if len(lines) < 2:
        return None
    del lines[int(rng.integers(0, len(lines)))]
    return b"".join(lines)


def lines_swapped(body: bytes, rng: Random) -> bytes | None:
    lines = body.splitlines(keepends=True)
    if len(lines) < 2 or not body.endswith(b"\n"):
        return None
    one, other = rng.integers(0, len(lines), 2).tolist()
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


# Damages of JSON


def nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all keys, and of some items of arrays."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield (*path, name)
            yield from nodes(child, (*path, name))
    elif isinstance(value, list):
        for index in sorted({0, len(value) // 2, len(value) - 1}) if value else ():
            yield (*path, index)
            yield from nodes(value[index], (*path, index))


def at_random(
    change: Callable[[Any, Any, Random], bool],
) -> Callable[[bytes, Random], bytes | None]:
    """The damage that changes the tree at a random node: `change(parent, name, rng)`."""

    def damage(body: bytes, rng: Random) -> bytes | None:
        tree = json.loads(body)
        paths = list(nodes(tree))
        *path, name = paths[int(rng.integers(0, len(paths)))]
        parent = tree
        for part in path:
            parent = parent[part]
        return json.dumps(tree).encode() if change(parent, name, rng) else None

    return damage


def _dropped(parent: Any, name: Any, rng: Random) -> bool:
    del parent[name]
    return True


def _renamed(parent: Any, name: Any, rng: Random) -> bool:
    if not isinstance(parent, dict):
        return False
    letters = "".join(rng.choice(list("bcdfghjk"), 4))
    new = f"{letters}_{name}" if rng.random() < 0.5 else f"{name}_{letters}"
    items = [(new if key == name else key, value) for key, value in parent.items()]
    parent.clear()
    parent.update(items)
    return True


_OTHERS: tuple[Any, ...] = ("many", "", "12.5", True, [], {}, [[1.0]], {"value": 1.0})


def _retyped(parent: Any, name: Any, rng: Random) -> bool:
    others = [other for other in _OTHERS if type(other) is not type(parent[name])]
    parent[name] = others[int(rng.integers(0, len(others)))]
    return True


def _shortened(parent: Any, name: Any, rng: Random) -> bool:
    if not isinstance(parent[name], list) or not parent[name]:
        return False
    del parent[name][int(rng.integers(0, len(parent[name]))) :]
    return True


def _other_unit(parent: Any, name: Any, rng: Random) -> bool:
    """A unit that is none, or none of this variable."""
    if not isinstance(parent[name], str) or name in ("time", "timezone", "timezone_abbreviation"):
        return False
    parent[name] = str(rng.choice(["", "furlong", "°X", "undefined", "Pa s", "deg C/h"]))
    return True


def not_a_number(body: bytes, rng: Random) -> bytes | None:
    """A bare nan where a number was."""
    return _number_replaced(body, rng, rng.choice([b"nan", b"NaN", b"-nan", b"Infinity"]))


def huge(body: bytes, rng: Random) -> bytes | None:
    return _number_replaced(body, rng, b"1e308")


def _number_replaced(body: bytes, rng: Random, text: bytes) -> bytes | None:
    found = list(re.finditer(rb"(?<=[\[,:])\s*-?\d+(?:\.\d+)?(?=[,\]}])", body))
    if not found:
        return None
    match = found[int(rng.integers(0, len(found)))]
    return body[: match.start()] + text + body[match.end() :]


def key_twice(body: bytes, rng: Random) -> bytes | None:
    """A key a second time in its object, with something else in it; most readers take the last."""
    tree = json.loads(body)
    paths = [path for path in nodes(tree) if isinstance(path[-1], str)]
    *path, name = paths[int(rng.integers(0, len(paths)))]
    parent = tree
    for part in path:
        parent = parent[part]
    value = parent[name]
    if isinstance(value, list) and all(type(item) in (int, float) for item in value):
        parent["twice"] = [item + 1 for item in value]
    elif isinstance(value, (int, float)):
        parent["twice"] = value + 1
    else:
        parent["twice"] = None
    return json.dumps(tree).replace('"twice"', json.dumps(name)).encode()


_ANY = (Damage("html", html), Damage("badly encoded", badly_encoded))
_JSON = (
    *_ANY,
    Damage("truncated", truncated),
    Damage("bits flipped", flipped, is_structural=False),
    Damage("key dropped", at_random(_dropped)),
    Damage("key renamed", at_random(_renamed)),
    Damage("retyped", at_random(_retyped)),
    Damage("array shortened", at_random(_shortened)),
    Damage("another unit", at_random(_other_unit)),
    Damage("nan", not_a_number),
    Damage("1e308", huge, is_structural=False),
    Damage("key twice", key_twice),
)


# Damages of tidy files


def _table(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode())))


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def truncated_csv(body: bytes, rng: Random) -> bytes | None:
    """Cut before the last field of a row: a cut within it leaves a row that looks whole."""
    cut = truncated(body, rng)
    last = cut.rsplit(b"\n", 1)[-1]
    return None if last.count(b",") == body.split(b"\n", 1)[0].count(b",") else cut


def column_dropped(body: bytes, rng: Random) -> bytes:
    """Any column but known_at, which a file may leave out."""
    rows = _table(body)
    column = int(rng.choice([n for n, name in enumerate(rows[0]) if name != "known_at"]))
    return _csv([[cell for n, cell in enumerate(row) if n != column] for row in rows])


def column_renamed(body: bytes, rng: Random) -> bytes:
    rows = _table(body)
    column = int(rng.integers(0, len(rows[0])))
    rows[0][column] += "".join(rng.choice(list("bcdfghjk"), 4))
    return _csv(rows)


def column_twice(body: bytes, rng: Random) -> bytes:
    """A name a second time in the header, over other cells."""
    rows = _table(body)
    name, cells = rng.integers(0, len(rows[0]), 2).tolist()
    return _csv([[*rows[0], rows[0][name]], *([*row, row[cells]] for row in rows[1:])])


def field_removed(body: bytes, rng: Random) -> bytes:
    rows = _table(body)
    del rows[int(rng.integers(0, len(rows)))][int(rng.integers(0, len(rows[0])))]
    return _csv(rows)


_WORDS = ("many", "nan", "NaN", "inf", "12,5", "--", "0x1f", "1e999", "1_000", "٣", "null")


def cell_replaced(body: bytes, rng: Random) -> bytes:
    """No number where a number stands, no time where a time stands."""
    rows = _table(body)
    columns = [n for n, name in enumerate(rows[0]) if name not in ("source", "place_id")]
    row = int(rng.integers(1, len(rows)))
    rows[row][int(rng.choice(columns))] = _WORDS[int(rng.integers(0, len(_WORDS)))]
    return _csv(rows)


def without_zone(body: bytes, rng: Random) -> bytes:
    rows = _table(body)
    columns = [n for n, name in enumerate(rows[0]) if name.endswith("_at")]
    row, column = int(rng.integers(1, len(rows))), int(rng.choice(columns))
    rows[row][column] = rows[row][column].removesuffix("Z")
    return _csv(rows)


def quote_inserted(body: bytes, rng: Random) -> bytes:
    """A quote in a cell of a number or a time, or one that opens a cell; within a name it would be
    another name."""
    lines = [line.split(b",") for line in body.split(b"\n")[:-1]]
    row = lines[int(rng.integers(0, len(lines)))]
    column = int(rng.integers(0, len(row)))
    named = lines[0][column] in (b"source", b"place_id")
    at = 0 if named else int(rng.integers(0, len(row[column]) + 1))
    row[column] = row[column][:at] + b'"' + row[column][at:]
    return b"\n".join(b",".join(line) for line in lines) + b"\n"


def row_contradicted(body: bytes, rng: Random) -> bytes:
    """A row again, farther down, with another value."""
    rows = _table(body)
    row = list(rows[int(rng.integers(1, len(rows)))])
    row[-1] = str(float(row[-1] or 0) + 1)
    return _csv([*rows, row])


def huge_cell(body: bytes, rng: Random) -> bytes:
    rows = _table(body)
    rows[int(rng.integers(1, len(rows)))][-1] = str(rng.choice(["1e308", "-1e308"]))
    return _csv(rows)


_TIDY = (
    *_ANY,
    Damage("truncated", truncated_csv),
    Damage("bits flipped", flipped, is_structural=False),
    Damage("line removed", line_removed),
    Damage("lines swapped", lines_swapped),
    Damage("column dropped", column_dropped),
    Damage("column renamed", column_renamed),
    Damage("column twice", column_twice),
    Damage("field removed", field_removed),
    Damage("cell replaced", cell_replaced),
    Damage("time without zone", without_zone),
    Damage("quote inserted", quote_inserted),
    Damage("row contradicted", row_contradicted),
    Damage("1e308", huge_cell, is_structural=False),
)

# Damages of bulletins


def letter_changed(body: bytes, rng: Random) -> bytes | None:
    """Another letter in a line that is no city's: headings, dates, the line of columns."""
    found = [m.start() for m in re.finditer(rb"[A-Z]", body) if not _is_citys(body, m.start())]
    at = found[int(rng.integers(0, len(found)))]
    letters = [letter for letter in range(65, 91) if letter != body[at]]
    return body[:at] + bytes([int(rng.choice(letters))]) + body[at + 1 :]


def _is_citys(body: bytes, at: int) -> bool:
    start = body.rfind(b"\n", 0, at) + 1
    end = body.find(b"\n", at)
    return re.search(rb"[B\dM]+/", body[start:end]) is not None


def month_changed(body: bytes, rng: Random) -> bytes:
    """Another month in one of the dates."""
    found = list(re.finditer(rb"(?<=[ .])(JAN|FEB|MAR)(?= +\d)", body))
    match = found[int(rng.integers(0, len(found)))]
    months = (b"JAN", b"FEB", b"MAR", b"APR", b"MAY", b"JUN", b"JUL", b"AUG", b"NOV", b"DEC")
    return body[: match.start()] + months[int(rng.integers(0, 10))] + body[match.end() :]


def character_more_or_less(body: bytes, rng: Random) -> bytes:
    """A blank more, or one character less, somewhere."""
    at = int(rng.integers(0, len(body)))
    return body[:at] + b" " + body[at:] if rng.random() < 0.5 else body[:at] + body[at + 1 :]


_BULLETIN = (
    *_ANY,
    Damage("truncated", truncated),
    Damage("bits flipped", flipped, is_structural=False),
    Damage("line removed", line_removed),
    Damage("lines swapped", lines_swapped),
    Damage("letter changed", letter_changed),
    Damage("month changed", month_changed),
    Damage("character more or less", character_more_or_less, is_structural=False),
)
_DAMAGES = {"open_meteo": _JSON, "tidy": _TIDY, "nws_scs": _BULLETIN}

# file -> when it was received; the endpoint is that of the name, else forecast
_ANSWERS = {
    "all_blocks_weather_code_2023-11": "2023-11-13T10:47",
    "archive_hourly_brasilia_2023-10": "2023-10-25T11:00",
    "current_weather_unixtime_munich": "2026-02-07T15:20",
    "daily_alaska_2026-01": "2026-01-20T19:20",
    "ensemble_gem_2026-10": "2026-10-03T00:30",
    "forecast_current_hourly_daily_nyc_2026-02": "2026-02-06T21:40",
    "forecast_models_2026-10": "2026-10-03T11:05",
    "historical_forecast_2024": "2026-10-03T12:00",
    "hourly_2day_london_2026-01": "2026-01-19T05:02",
    "hourly_2day_nyc_2026-01": "2026-01-19T05:02",
    "hourly_brasilia_2023-10": "2023-10-25T11:00",
    "multi_location_list_ecmwf_2024-01": "2024-01-26T09:10",
    "multi_model_best_match_gfs_2023-11": "2023-11-13T10:53",
    "previous_runs_2026-10": "2026-10-03T18:40",
}
_ENDPOINTS = {"archive": "archive", "historical": "archive", "previous": "previous_runs"}


def answers(folder: Path) -> Iterator[Whole]:
    """The recorded answers with the facts of their recording."""
    for name, received in _ANSWERS.items():
        path = folder / "open-meteo" / f"{name}.json"
        recording = Path(f"{path}.meta.json")
        meta = json.loads(recording.read_text()) if recording.exists() else {}
        facts = {
            "received_at": datetime.fromisoformat(received).replace(tzinfo=UTC),
            "endpoint": _ENDPOINTS.get(name.split("_")[0], "forecast"),
            "url": meta.get("url", ""),
        }
        yield Whole(name, "open_meteo", path.read_bytes(), facts)


def bulletins(folder: Path) -> Iterator[Whole]:
    """Real bulletins of February, spread over the month, the four parts and the two layouts."""
    with tarfile.open(folder / "nws_scs" / "raw" / "scs_2021-02.tar.gz") as tar:
        for number, member in enumerate(tar):
            content = tar.extractfile(member) if member.isfile() and number % 11 == 0 else None
            if content is not None:
                facts = {"received_at": NOW, "name": member.name, "upload": True}
                yield Whole(member.name, "nws_scs", content.read(), facts)


def tidy_files(folder: Path) -> Iterator[Whole]:
    """Forecasts and observations of the first rows of UWME, as its tidy files have them."""
    path = sorted((folder / "uwme_t2m_48h").glob("*.csv.gz"))[0]
    with gzip.open(path, "rt", newline="") as text:
        rows = [row for row, _ in zip(csv.DictReader(text), range(40), strict=False)]
    place = ("place_id", "latitude", "longitude", "elevation")
    told = [["source", *place, "issued_at", "valid_at", "temperature_2m"]]
    seen = [[*place, "observed_at", "known_at", "temperature_2m"]]
    for row in rows:
        where = [row["station"].strip(), row["latitude"], row["longitude"], row["elevation"]]
        valid = datetime.strptime(row["valid_utc"], "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
        times = [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (valid - LEAD, valid, valid + DELAY)]
        told += [[model, *where, *times[:2], celsius(row[model])] for model in ("GFS", "ETA")]
        seen.append([*where, *times[1:], celsius(row["observation"])])
    facts = {"received_at": NOW, "upload": True}
    yield Whole("forecasts", "tidy", _csv(told), facts)
    yield Whole("observations", "tidy", _csv(seen), facts)


@pytest.fixture(scope="module")
def wholes(payloads: Path, archives: Path) -> dict[str, list[Whole]]:
    """The undamaged payloads of each source; each of them holds records."""
    found: dict[str, list[Whole]] = {}
    for whole in (*answers(payloads), *bulletins(archives), *tidy_files(archives)):
        whole.records.update(held(whole.decoded(whole.body)))
        assert whole.records, whole.name
        found.setdefault(whole.source, []).append(whole)
    return found


@pytest.mark.archives
@pytest.mark.parametrize("source", sorted(_DAMAGES))
def test_a_damaged_payload_is_refused_or_read_right(proof, wholes, source: str):
    rng = np.random.default_rng([SEED, *source.encode()])
    with proof(f"damaged payloads: {source}") as one:
        wanted, tries = one.size(_CASES[source]), 0
        while one.cases < wanted:
            tries += 1
            whole = wholes[source][int(rng.integers(0, len(wholes[source])))]
            damage = _DAMAGES[source][int(rng.integers(0, len(_DAMAGES[source])))]
            body = damage.apply(whole.body, rng)
            if body is None or body == whole.body:
                continue
            one.cases += 1
            if (wrong := problem(whole, damage, body)) is not None:
                one.failures.append(f"{whole.name}, {damage.name}, try {tries}: {wrong}")
