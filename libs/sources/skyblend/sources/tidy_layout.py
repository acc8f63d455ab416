"""The columns of tidy files, of forecasts and of observations, and what is wrong with a header."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skyblend.sources.contract import BadPayload
from skyblend.weather.variables import BY_NAME

NAME = "tidy"

POSITION = ("latitude", "longitude", "elevation")
_IGNORED = ("flags",)


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of one kind of tidy file.

    `texts` have the default of a column that is absent or empty, None where it must be there.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    texts: Mapping[str, str | None]
    time: str  # of the key; known_at is this where the file names none
    times: tuple[str, ...]


FORECASTS = Layout(
    required=("source", "place_id", *POSITION, "issued_at", "valid_at"),
    optional=("model", "member", "period", "known_at"),
    texts={"source": None, "model": "", "member": "", "place_id": None},
    time="issued_at",
    times=("issued_at", "valid_at"),
)
OBSERVATIONS = Layout(
    required=("place_id", *POSITION, "observed_at"),
    optional=("source", "kind", "period", "known_at"),
    texts={"source": "upload", "kind": "station", "place_id": None},
    time="observed_at",
    times=("observed_at",),
)


def layout_of(header: Sequence[str]) -> Layout:
    """Forecasts or observations, by the header.

    Raises BadPayload that names the columns that are wrong.
    """
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise _bad_header("each column once", f"repeated: {', '.join(repeated)}")
    layout = OBSERVATIONS if "observed_at" in header else FORECASTS
    missing = [name for name in layout.required if name not in header]
    if missing:
        raise _bad_header(f"columns {', '.join(layout.required)}", f"missing: {', '.join(missing)}")
    known = {*layout.required, *layout.optional, *_IGNORED, *BY_NAME}
    unknown = [name for name in header if name not in known]
    if unknown:
        raise _bad_header("columns of the tidy format", f"unknown: {', '.join(unknown)}"[:200])
    if not any(name in BY_NAME for name in header):
        raise _bad_header("a column of a variable", "none")
    return layout


def _bad_header(expected: str, got: str) -> BadPayload:
    return BadPayload(NAME, where="the header", expected=expected, got=got)
