"""The members of a raw object: the answers of a collect task, or the files of an upload."""

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import BinaryIO

from google.protobuf.json_format import Parse
from skyblend.preprocess.archives import Lost, unpack
from skyblend.preprocess.bounded import Limits
from skyblend.protos.v1.records_pb2 import RawAnswer, Upload
from skyblend.runtime import names, raw
from skyblend.runtime.storage import Storage
from skyblend.sources.contract import Payload, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What is known of a raw object as a whole, from the object itself: a repeat finds the same."""

    raw: str
    source: str  # empty: each member is recognised
    file_name: str
    received_at: datetime
    collect: bool

    @property
    def is_upload(self) -> bool:
        return names.is_upload(self.raw)

    @property
    def day(self) -> date:
        return self.received_at.date()

    @property
    def stated(self) -> str:
        """What was said of it by people and may be said anew: it is to be decoded again then."""
        return f"{self.source} collect" if self.collect else self.source


@dataclass(frozen=True, slots=True)
class Member:
    """One answer or file; `raw` is what stands in its records, `source` is empty where it is to be
    recognised."""

    name: str
    raw: str
    source: str
    payload: Payload


@contextmanager
def opened(storage: Storage, name: str) -> Iterator[tuple[Origin, Callable[[], BinaryIO]]]:
    """What is known of the raw object, and what gives its bytes from their start; raises Absent
    where it, or what should stand beside it, is not there. Answers say themselves what they are and
    are opened once; an upload, which may be large, only where its bytes are asked for."""
    with ExitStack() as kept:
        if names.is_upload(name):
            yield _of_upload(storage, name), lambda: kept.enter_context(storage.open(name))
            return
        stream = kept.enter_context(storage.open(name))

        def from_start() -> BinaryIO:
            stream.seek(0)
            return stream

        yield _of_answers(name, stream), from_start


def _of_upload(storage: Storage, name: str) -> Origin:
    content = storage.read(names.upload_meta(name)).data
    upload = Parse(content, Upload(), ignore_unknown_fields=True)
    return Origin(
        raw=name,
        source=upload.source,
        file_name=upload.file_name,
        received_at=upload.received_at.ToDatetime(UTC),
        collect=upload.collect,
    )


def _of_answers(name: str, stream: BinaryIO) -> Origin:
    fetch = _first(stream).fetch
    return Origin(
        raw=name,
        source=fetch.source,
        file_name="",
        received_at=fetch.received_at.ToDatetime(UTC),
        collect=False,
    )


def members(origin: Origin, stream: BinaryIO, limits: Limits) -> Iterator[Member | Lost]:
    """The members one by one; each one's body is open until the next is asked for."""
    if not origin.is_upload:
        yield from _answers(origin, stream)
        return
    for part in unpack(origin.file_name, stream, limits):
        yield part if isinstance(part, Lost) else _uploaded(origin, part.name, part.body)


def _uploaded(origin: Origin, name: str, body: BinaryIO) -> Member:
    payload = Payload(body=body, received_at=origin.received_at, name=name, upload=True)
    return Member(name, f"{origin.raw}#{name}", origin.source, payload)


def _answers(origin: Origin, stream: BinaryIO) -> Iterator[Member | Lost]:
    number = 0
    try:
        for answer in raw.answers(stream):
            yield _answered(origin, f"answer {number}", answer)
            number += 1
    except raw.Damaged as error:
        name = f"answer {number}"
        yield Lost(name, Refusal(name, "a whole answer as ingest stores it", str(error)))


def _answered(origin: Origin, name: str, answer: RawAnswer) -> Member:
    fetch = answer.fetch
    payload = Payload(
        body=io.BytesIO(answer.body),
        received_at=fetch.received_at.ToDatetime(UTC),
        endpoint=fetch.endpoint,
        url=fetch.url,
        places=tuple(fetch.places),
        status=fetch.status,
        headers=dict(fetch.headers),
    )
    return Member(name, origin.raw, fetch.source, payload)


def _first(stream: BinaryIO) -> RawAnswer:
    try:
        return next(raw.answers(stream), RawAnswer())
    except raw.Damaged:
        return RawAnswer()  # `members` says what is wrong with it
