"""One call to a provider, and the answer as it is stored: whatever it says, nothing is decoded."""

import hashlib
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from skyblend.protos.v1.records_pb2 import FetchRecord, RawAnswer
from skyblend.runtime import metrics
from skyblend.runtime.http import Answer, Retry, Unusable
from skyblend.sources.contract import Request

# What tells of a payload or its caching; any other header may hold what is nobody's business.
KEPT_HEADERS = frozenset(
    {"content-type", "date", "expires", "last-modified", "cache-control", "etag", "retry-after"}
)


class Http(Protocol):
    """What sends a call: skyblend.runtime.http.Session, or a fake."""

    def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        name: str,
        headers: Mapping[str, str] | None = None,
        secrets: Collection[str] = frozenset(),
    ) -> Answer: ...


def fetch(http: Http, call: Request, *, source: str, tick: datetime) -> RawAnswer:
    """The answer to a call, an error page as well; raises Retry and Unusable, and counts each."""
    started = time.monotonic()
    status = "none"
    try:
        answer = http.get(
            call.url,
            call.params,
            name=call_name(source, call),
            headers=call.headers,
            secrets=call.secrets,
        )
        status = str(answer.status)
    except Retry as failure:
        status = str(failure.status or "none")
        raise
    except Unusable:
        status = "unusable"
        raise
    finally:
        metrics.FETCHES.labels(source, call.endpoint, status).inc()
        metrics.FETCH_SECONDS.labels(source).observe(time.monotonic() - started)
    return _raw(call, answer, source=source, tick=tick)


def is_refusal(answer: RawAnswer) -> bool:
    """Whether an answer can be seen to hold no data: a status other than 200, a page for people."""
    return answer.fetch.status != 200 or "html" in answer.fetch.headers.get("content-type", "")


def call_name(source: str, call: Request) -> str:
    """How a call stands in logs: the source, the endpoint and the place or their number."""
    if len(call.places) == 1:
        place = call.places[0]
        return f"{source} {call.endpoint} {place.latitude:.2f},{place.longitude:.2f}"
    return f"{source} {call.endpoint} {len(call.places)} places"


def _raw(call: Request, answer: Answer, *, source: str, tick: datetime) -> RawAnswer:
    record = FetchRecord(
        source=source,
        endpoint=call.endpoint,
        url=answer.url,
        places=call.places,
        status=answer.status,
        headers={n: v for n, v in answer.headers.items() if n.lower() in KEPT_HEADERS},
        sha256=hashlib.sha256(answer.body).digest(),
    )
    record.tick.FromDatetime(tick)
    record.received_at.FromDatetime(answer.received_at)
    return RawAnswer(fetch=record, body=answer.body)
