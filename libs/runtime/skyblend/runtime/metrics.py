"""Prometheus metrics: every name begins with skyblend_, every label has few values (never a place
or an URL)."""

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST
REGISTRY = CollectorRegistry()

REQUESTS = Counter(
    "skyblend_requests", "Requests answered", ["service", "path", "status"], registry=REGISTRY
)
FETCHES = Counter(
    "skyblend_fetches", "Calls to providers", ["source", "endpoint", "status"], registry=REGISTRY
)
FETCH_SECONDS = Histogram(
    "skyblend_fetch_seconds", "Time of calls to providers", ["source"], registry=REGISTRY
)
DELIVERIES = Counter(
    "skyblend_deliveries", "Pushes of the bus", ["type", "outcome"], registry=REGISTRY
)
RECORDS = Counter(
    "skyblend_records", "Rows written to records", ["source", "kind"], registry=REGISTRY
)
QUARANTINED = Counter(
    "skyblend_quarantined", "Payloads and rows refused", ["source"], registry=REGISTRY
)
UNKNOWN_FIELDS = Counter(
    "skyblend_unknown_fields", "Fields that no contract knows", ["source"], registry=REGISTRY
)
ISSUED = Counter("skyblend_issued", "Forecasts issued", registry=REGISTRY)
INPUT_AGE = Gauge(
    "skyblend_input_age_seconds",
    "Age of the newest forecast of a source",
    ["source"],
    registry=REGISTRY,
)
TRAININGS = Counter("skyblend_trainings", "Training runs", ["outcome"], registry=REGISTRY)

SPANS = Counter("skyblend_spans", "Spans of traces", ["outcome"], registry=REGISTRY)


def exposition() -> bytes:
    """All metrics as Prometheus reads them, with content type CONTENT_TYPE."""
    return generate_latest(REGISTRY)
