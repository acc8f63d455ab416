"""All sources, one line each."""

from skyblend.sources.contract import Attribution, Source
from skyblend.sources.nws_scs import nws_scs
from skyblend.sources.open_meteo import open_meteo
from skyblend.sources.tidy import tidy

SOURCES: dict[str, Source] = {
    "open_meteo": open_meteo,
    "nws_scs": nws_scs,
    "tidy": tidy,
}


def source(name: str) -> Source:
    """The source of this name. Raises KeyError that lists the names there are."""
    if name not in SOURCES:
        raise KeyError(f"no source {name!r}; there are {', '.join(SOURCES)}")
    return SOURCES[name]


def terms(name: str) -> Attribution:
    """The terms of the data of a source as records name it; a name that only a tidy file states is
    the user's own."""
    return SOURCES.get(name, tidy).attribution


def recognise(name: str, head: bytes) -> Source | None:
    """The source of an uploaded member by its name and first bytes; None where none knows it."""
    return next((known for known in SOURCES.values() if known.recognises(name, head)), None)
