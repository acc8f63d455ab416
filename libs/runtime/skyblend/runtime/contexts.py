"""Which trace something belongs to, as it comes in headers and in the bus's attribute `trace`.

Three forms are read: a bare trace id (the laptop's), W3C's traceparent, and Google's
X-Cloud-Trace-Context, which Cloud Run adds to each request.
"""

import re
import secrets
from collections.abc import Callable
from typing import NamedTuple

LONGEST = 64  # characters of a trace id of somebody's own making
_OWN = re.compile(r"[ -~]*")
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_W3C = re.compile(r"[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})")
_GOOGLE = re.compile(r"((?!0{32})[0-9a-fA-F]{32})(?:/([0-9]{1,20}))?(?:;o=([0-9]))?")


class Context(NamedTuple):
    """A trace, and the span in it whose work goes on (16 hexadecimal digits, or empty);
    `is_sampled` tells whether that span is recorded anywhere."""

    trace: str = ""
    span: str = ""
    is_sampled: bool = False

    @property
    def is_w3c(self) -> bool:
        """Whether the trace id is one that other systems take."""
        return bool(_TRACE_ID.fullmatch(self.trace))

    def carried(self) -> str:
        """The text that carries it on: a traceparent where there is a span, else the bare id."""
        if not (self.span and self.is_w3c):
            return self.trace
        return f"00-{self.trace}-{self.span}-{'01' if self.is_sampled else '00'}"


def new_trace() -> str:
    """A fresh trace id: 32 hexadecimal digits, as in W3C trace context."""
    return secrets.token_hex(16)


def parse(text: str) -> Context:
    """What `carried` gave, or a bare id, of which the first LONGEST characters count; it goes into
    logs and on with messages, so it is printable ASCII or nothing."""
    if found := _W3C.fullmatch(text.strip()):
        trace, span, flags = found.groups()
        return Context(trace, span, bool(int(flags, 16) & 1))
    return Context(text[:LONGEST] if _OWN.fullmatch(text) else "")


def of_request(header: Callable[[str], str | None]) -> Context:
    """The trace of a request, empty where it names none; `header` gives a header by its name."""
    if ours := header("X-Trace"):
        return parse(ours)
    if (w3c := parse(header("traceparent") or "")).span:
        return w3c
    if found := _GOOGLE.fullmatch((header("X-Cloud-Trace-Context") or "").strip()):
        trace, span, sampled = found.groups()
        return Context(trace.lower(), _hexadecimal(span), sampled == "1")
    return Context()


def _hexadecimal(span: str | None) -> str:
    """The number of a span as W3C writes it."""
    number = int(span or 0)
    return f"{number:016x}" if 0 < number < 1 << 64 else ""
