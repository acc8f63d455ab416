"""Uploads by the hundred for the proofs that kill: files whose rows are known, and what became of
them in the export."""

import csv
import subprocess
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import requests
from processes import skyblend

ROWS = 24  # of an upload
HEADER = "place_id,latitude,longitude,elevation,observed_at,known_at,temperature_2m"
# Little for the simulator and the training to do: the uploads are what is proved.
FEW = {"SKYBLEND_OPEN_METEO_MODELS": "ecmwf_ifs025", "SKYBLEND_OPEN_METEO_BACKFILL_DAYS": "1"}

Row = tuple[str, ...]


def rows(name: str) -> list[Row]:
    """The observations of the file of this name: place, time, time known, value."""
    day = "2026-01-05T"
    return [(name, f"{day}{n:02d}:00:00Z", f"{day}{n:02d}:30:00Z", f"{n}.5") for n in range(ROWS)]


def text(name: str) -> str:
    lines = (f"{place},48,10,400,{at},{known},{value}" for place, at, known, value in rows(name))
    return "\n".join([HEADER, *lines, ""])


def upload(address: str, name: str, **headers: str) -> bool:
    """Whether the file of this name was acknowledged; one that got no answer is not sent again."""
    try:
        answer = requests.post(
            f"{address}/v1/uploads",
            params={"name": f"{name}.csv", "source": "tidy"},
            data=text(name).encode(),
            headers={"Content-Type": "application/octet-stream", **headers},
            timeout=20,
        )
    except requests.RequestException:
        return False
    return answer.status_code in (200, 201)


def children(pid: int) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(line) for line in found.stdout.split()]


def exported(data: Path, kind: str) -> list[dict[str, str]]:
    out = data.parent / f"{kind}.csv"
    done = skyblend(data, "--simulate", "export", kind, "--out", out)
    assert done.returncode == 0, done.stderr
    with out.open(newline="") as stream:
        return list(csv.DictReader(stream))


def twice(table: list[dict[str, str]]) -> list[str]:
    """The keys, with known_at, that stand in more than one row."""
    parts = ("source", "model", "member", "place_id", "issued_at", "valid_at", "observed_at")
    keys = Counter(
        tuple(row.get(part, "") for part in (*parts, "period", "known_at")) for row in table
    )
    return [f"{key} is there {count} times" for key, count in keys.items() if count > 1]


def lost(
    sent: Collection[str], acknowledged: Collection[str], observed: list[dict[str, str]]
) -> list[str]:
    """The files that were acknowledged and are not there, and those that are there in part."""
    columns = ("place_id", "observed_at", "known_at", "temperature_2m")
    there = {tuple(row[name] for name in columns) for row in observed}
    found = {name: len(there.intersection(rows(name))) for name in sent}
    missing = [name for name in acknowledged if found[name] < ROWS]
    return [
        f"{name} was acknowledged, {found[name]} of {ROWS} rows are there" for name in missing
    ] + [
        f"{name} is there in part: {count} rows"
        for name, count in found.items()
        if 0 < count < ROWS
    ]
