"""List prices of Google Cloud in europe-west1, as data with the day they were read and where."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

KIB, MIB, GIB, TIB = 2**10, 2**20, 2**30, 2**40
_THOUSAND, _MILLION = 1e3, 1e6
_RUN, _STORAGE = "cloud.google.com/run/pricing", "cloud.google.com/storage/pricing"
_BIGQUERY = "cloud.google.com/bigquery/pricing"


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for `per` of a unit, of which `free` a month cost nothing; `known` is when the
    page was last read by the authors, from a stored copy."""

    service: str
    usd: float
    per: float
    unit: str
    free: float
    known: str
    page: str

    def cost(self, amount: float, *, with_free: bool) -> float:
        """US dollars for a month's amount."""
        billed = max(0.0, amount - self.free) if with_free else amount
        return billed / self.per * self.usd


# The 5 GB and 5,000 operations that Cloud Storage gives away are for three regions of the US.
PRICES: Mapping[str, Price] = {
    "run_requests": Price("Cloud Run", 0.40, _MILLION, "requests", 2 * _MILLION, "2025", _RUN),
    "run_cpu": Price("Cloud Run", 0.000024, 1, "vCPU s", 180_000, "2025", _RUN),
    "run_memory": Price("Cloud Run", 0.0000025, 1, "GiB s", 360_000, "2025", _RUN),
    "job_cpu": Price("Cloud Run jobs", 0.000018, 1, "vCPU s", 240_000, "2025", _RUN),
    "job_memory": Price("Cloud Run jobs", 0.000002, 1, "GiB s", 450_000, "2025", _RUN),
    "pubsub": Price(
        "Pub/Sub", 40.0, TIB, "bytes", 10 * GIB, "2025", "cloud.google.com/pubsub/pricing"
    ),
    "standard": Price("Cloud Storage", 0.020, GIB, "byte months", 0, "2025", _STORAGE),
    "nearline": Price("Cloud Storage", 0.010, GIB, "byte months", 0, "2025", _STORAGE),
    "coldline": Price("Cloud Storage", 0.004, GIB, "byte months", 0, "2025", _STORAGE),
    "archive": Price("Cloud Storage", 0.0012, GIB, "byte months", 0, "2025", _STORAGE),
    "class_a": Price("Storage calls", 0.005, _THOUSAND, "class A", 0, "2025", _STORAGE),
    "class_b": Price("Storage calls", 0.0004, _THOUSAND, "class B", 0, "2025", _STORAGE),
    "nearline_a": Price("Storage calls", 0.01, _THOUSAND, "moves", 0, "2025", _STORAGE),
    "coldline_a": Price("Storage calls", 0.02, _THOUSAND, "moves", 0, "2025", _STORAGE),
    "archive_a": Price("Storage calls", 0.05, _THOUSAND, "moves", 0, "2025", _STORAGE),
    "bigquery_active": Price("BigQuery", 0.02, GIB, "byte months", 10 * GIB, "2025", _BIGQUERY),
    "bigquery_long": Price("BigQuery", 0.01, GIB, "byte months", 0, "2025", _BIGQUERY),
    "bigquery_query": Price("BigQuery", 6.25, TIB, "bytes", TIB, "2025", _BIGQUERY),
    "scheduler": Price(
        "Scheduler", 0.10, 1, "jobs", 3, "2025", "cloud.google.com/scheduler/pricing"
    ),
    "logging": Price(
        "Logging", 0.50, GIB, "bytes", 50 * GIB, "2025", "cloud.google.com/logging/pricing"
    ),
    "registry": Price(
        "Registry",
        0.10,
        GIB,
        "byte months",
        0.5 * GIB,
        "2025",
        "cloud.google.com/artifact-registry/pricing",
    ),
    "secrets": Price(
        "Secrets", 0.06, 1, "versions", 6, "2025", "cloud.google.com/secret-manager/pricing"
    ),
    "build": Price(
        "Cloud Build", 0.006, 1, "minutes", 2_500, "2025", "cloud.google.com/build/pricing"
    ),
    "egress": Price(
        "Network", 0.12, GIB, "bytes out", 0, "2025", "cloud.google.com/vpc/network-pricing"
    ),
}


def overridden(given: Iterable[str]) -> dict[str, Price]:
    """The prices with those replaced that are given as NAME=VALUE. Raises ValueError."""
    prices = dict(PRICES)
    for one in given:
        name, _, value = one.partition("=")
        if name not in prices:
            raise ValueError(f"--price: expected one of {', '.join(prices)}, got {name[:40]!r}")
        try:
            usd = float(value)
        except ValueError:
            usd = -1.0
        if not 0 <= usd < float("inf"):
            raise ValueError(f"--price {name}: expected US dollars, got {value[:40]!r}")
        prices[name] = replace(prices[name], usd=usd, known="as given")
    return prices


def listing(prices: Mapping[str, Price]) -> Iterator[str]:
    """The prices as lines for people."""
    for name, one in prices.items():
        usd = f"{one.usd:.8f}".rstrip("0").rstrip(".")
        free = f"{_told(one, one.free)} free" if one.free else "none free"
        yield f"{name:16} {usd:>10} USD for {_told(one, one.per)}; {free}; {one.known}, {one.page}"


def _told(one: Price, amount: float) -> str:
    """An amount with its unit."""
    if one.per in (GIB, TIB):
        return f"{amount / GIB:g} GiB{one.unit.removeprefix('byte').removeprefix('s')}"
    return f"{amount:,.0f} {one.unit}"
