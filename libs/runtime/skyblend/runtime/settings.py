"""Settings: environment variables with the prefix SKYBLEND_, read once at the start."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

PREFIX = "SKYBLEND_"
REALMS = ("live", "simulated")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
FOLDER, GCS = "folder", "gcs"
SQLITE, PUBSUB = "sqlite", "pubsub"
DUCKDB, BIGQUERY = "duckdb", "bigquery"
AUTH = ("token", "iam", "oidc", "none")
SECRET = re.compile(r"(KEY|TOKEN)$")


class Misconfigured(Exception):
    """Settings that cannot be used; the text names every mistake."""


def text(given: str) -> str:
    """Any text."""
    return given


def whole(given: str) -> int:
    """A whole number that is not negative."""
    try:
        number = int(given)
    except ValueError:
        number = -1
    if number < 0:
        raise ValueError(f"must be a whole number, got {given[:40]!r}")
    return number


def port(given: str) -> int:
    """A port; 0 is one that the system chooses."""
    if (number := whole(given)) > 65535:
        raise ValueError(f"must be a port from 0 to 65535, got {given}")
    return number


def positive(given: str) -> float:
    """A number greater than 0."""
    try:
        number = float(given)
    except ValueError:
        number = float("nan")
    if not 0 < number < float("inf"):
        raise ValueError(f"must be a number greater than 0, got {given[:40]!r}")
    return number


def names(given: str) -> tuple[str, ...]:
    """Names with commas between."""
    return tuple(part.strip() for part in given.split(",") if part.strip())


def hours(given: str) -> tuple[int, ...]:
    """Hours of the day with commas between, in their order."""
    found = tuple(sorted({whole(part) for part in names(given)}))
    if found and found[-1] > 23:
        raise ValueError(f"must be hours from 0 to 23 with commas between, got {given[:40]!r}")
    return found


def one_of(*allowed: str) -> Callable[[str], str]:
    """One of the given words."""

    def parse(given: str) -> str:
        if given not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}, got {given[:40]!r}")
        return given

    return parse


def realm(given: str) -> str:
    """A half of the data folder; nothing said is the live one."""
    return one_of(*REALMS)(given or REALMS[0])


def memory(given: str) -> str:
    """An amount as DuckDB reads it: 256MB, 1GB."""
    if not re.fullmatch(r"[1-9][0-9]*(MB|GB)", given):
        raise ValueError(f"must be an amount like 512MB or 2GB, got {given[:40]!r}")
    return given


def setting(default: str, parse: Callable[[str], Any], about: str) -> Any:
    """A field of Settings: its default as it would be written in the environment, its parser, and a
    line for people."""
    metadata = {"default": default, "parse": parse, "about": about}
    return field(default_factory=lambda: parse(default), metadata=metadata)


MIB = 1 << 20
# Ending of a source's option -> what its value must look like, and in words.
_OPTIONS = {
    "_LIMIT": (re.compile(r"[0-9]+$"), "a whole number"),
    "_DAYS": (re.compile(r"[0-9]+$"), "a whole number"),
    "_URL": (re.compile(r"https?://[^/]"), "an http or https address"),
}


# ruff: noqa: RUF009 - `setting` is a field
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings; `.env.example` in the repository lists them. The keys of sources are behind
    `source_options`."""

    data: Path = setting("./data", Path, "Folder that holds everything: objects, bus, token.")
    realm: str = setting(
        "", realm, "live or simulated, kept apart in the folder; empty: live, or as `up` runs."
    )
    host: str = setting("127.0.0.1", text, "Address that the services bind to.")
    port: int = setting("8080", port, "Port of `skyblend up`.")
    allowed_hosts: tuple[str, ...] = setting(
        "", names, "Further names that a Host header may carry, with commas between."
    )
    contact: str = setting("", text, "Mail or web address that providers see in User-Agent.")
    upload_limit: int = setting(str(2048 * MIB), whole, "Largest upload, bytes.")
    member_limit: int = setting(
        str(512 * MIB), whole, "Largest file inside an upload, unpacked, bytes."
    )
    unpacked_limit: int = setting(
        str(16384 * MIB), whole, "Largest upload with all its files unpacked, bytes."
    )
    answer_limit: int = setting(str(64 * MIB), whole, "Largest answer of a provider, bytes.")
    nearest_km: float = setting(
        "30", positive, "A point without a place of its own is answered by one this near, km."
    )
    tables_memory: str = setting("256MB", memory, "Memory that reading the tables may take.")
    tables_threads: int = setting("2", whole, "Threads that read the tables.")
    log_level: str = setting("INFO", one_of(*LOG_LEVELS), "Least severity that is logged.")
    storage: str = setting(FOLDER, one_of(FOLDER, GCS), "Where objects lie: folder or gcs.")
    bus: str = setting(SQLITE, one_of(SQLITE, PUBSUB), "What carries events: sqlite or pubsub.")
    tables: str = setting(
        DUCKDB, one_of(DUCKDB, BIGQUERY), "What reads the records: duckdb or bigquery."
    )
    auth: str = setting(
        "token",
        one_of(*AUTH),
        "Who may change something: token, iam, oidc or none; in the cloud it must be said.",
    )
    audience: tuple[str, ...] = setting(
        "", names, "Audiences that an identity token may name, with commas between."
    )
    callers: tuple[str, ...] = setting(
        "", names, "E-mails of the accounts that may change something, with commas between."
    )
    project: str = setting("", text, "Google Cloud project.")
    bucket: str = setting("", text, "Bucket in Cloud Storage.")
    dataset: str = setting("skyblend", text, "Data set in BigQuery.")
    location: str = setting("EU", text, "Location of the data set.")
    topic_prefix: str = setting(
        "skyblend-", text, "What the names of topics and subscriptions begin with."
    )
    query_limit: int = setting(
        str(20 << 30), whole, "Largest query in BigQuery, bytes billed; above it is refused."
    )
    fan_out: int = setting(
        "0", whole, "Tasks of a tick above which they go over the bus, one by one; 0: never."
    )
    issue_on: str = setting(
        "records",
        one_of("records", "clock"),
        "When forecasts are issued: with new records and by the clock, or by the clock only.",
    )
    train_days: int = setting("0", whole, "Days of history that a training reads; 0: all.")
    train_hours: tuple[int, ...] = setting(
        "", hours, "Hours of the day (UTC) whose runs a training reads, with commas; empty: all."
    )
    traces: str = setting(
        "", text, "Where OpenTelemetry traces go: gcp, or the http(s) address of a collector."
    )
    environ: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ, *, serves: bool = True) -> "Settings":
        """The settings of an environment; raises Misconfigured with every mistake in it. An empty
        value is the default. What serves nobody need not say who may change something."""
        ours = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
        values: dict[str, Any] = {}
        mistakes = [*_option_mistakes(ours)]
        for one in declared():
            given = ours.get(variable(one), "").strip()
            try:
                values[one.name] = one.metadata["parse"](given or one.metadata["default"])
            except ValueError as mistake:
                mistakes.append(f"{variable(one)} {mistake}")
        if mistakes:
            raise Misconfigured("; ".join(mistakes))
        settings = cls(**values, environ=ours)
        if contradictions := [*_contradictions(settings, serves=serves)]:
            raise Misconfigured("; ".join(contradictions))
        return settings

    @property
    def is_simulated(self) -> bool:
        """Whether all weather is made up; every answer says so."""
        return self.realm == "simulated"

    @property
    def is_cloud(self) -> bool:
        """Whether any part of it is Google's."""
        return self.storage == GCS or self.bus == PUBSUB or self.tables == BIGQUERY

    @property
    def root(self) -> Path:
        """The folder of the realm."""
        return self.data / self.realm

    def source_options(self, source: str) -> Mapping[str, str]:
        """The settings of a source by their short lower-case name: SKYBLEND_OPEN_METEO_URL is `url`
        of open_meteo."""
        prefix = f"{PREFIX}{source.upper()}_"
        options = {
            n.removeprefix(prefix).lower(): v
            for n, v in self.environ.items()
            if n.startswith(prefix)
        }
        return {name: value for name, value in options.items() if value}

    def secrets(self) -> frozenset[str]:
        """The values that must never be shown."""
        return frozenset(v for n, v in self.environ.items() if SECRET.search(n) and v)


def declared() -> tuple[Field[Any], ...]:
    """The fields that are read from the environment."""
    return tuple(one for one in fields(Settings) if "parse" in one.metadata)


def variable(one: Field[Any]) -> str:
    """The environment variable of a field."""
    return PREFIX + one.name.upper()


def _contradictions(settings: Settings, *, serves: bool) -> Iterator[str]:
    """What cannot go together, or lacks what it needs."""
    if settings.storage == GCS and not settings.bucket:
        yield "SKYBLEND_STORAGE is gcs, so SKYBLEND_BUCKET must name a bucket"
    if settings.is_cloud and not settings.project:
        yield "SKYBLEND_PROJECT must name the Google Cloud project"
    if (settings.storage == GCS) != (settings.tables == BIGQUERY):
        yield (
            "SKYBLEND_STORAGE=gcs and SKYBLEND_TABLES=bigquery go together, got"
            f" {settings.storage} and {settings.tables}"
        )
    if serves and settings.storage == GCS and settings.bus == SQLITE:
        yield (
            "SKYBLEND_STORAGE is gcs, so SKYBLEND_BUS must be pubsub: events in a file of this"
            " machine reach no other"
        )
    if serves and settings.is_cloud and settings.auth == "token":
        yield (
            "SKYBLEND_AUTH must say who may change something: iam (Cloud Run checks), oidc (we do),"
            " or none; the token of a data folder is for one machine"
        )
    if serves and settings.auth == "oidc" and not (settings.audience and settings.callers):
        yield "SKYBLEND_AUTH is oidc, so SKYBLEND_AUDIENCE and SKYBLEND_CALLERS must be given"


def _option_mistakes(ours: Mapping[str, str]) -> list[str]:
    """Mistakes in what is no setting of ours, but perhaps an option of a source."""
    known = {variable(one) for one in declared()}
    return [m for name in sorted(ours.keys() - known) if (m := _mistake(name, ours[name], known))]


def _mistake(name: str, value: str, known: set[str]) -> str | None:
    import difflib  # noqa: PLC0415 - only where an unknown name is there

    ours = [one.removeprefix(PREFIX) for one in known]
    if close := difflib.get_close_matches(name.removeprefix(PREFIX), ours, n=1, cutoff=0.8):
        return f"{name} is no setting, perhaps {PREFIX}{close[0]} is meant"
    for ending, (form, expected) in _OPTIONS.items():
        if value and name.endswith(ending) and not form.match(value):
            return f"{name} must be {expected}, got {value[:40]!r}"
    return None
