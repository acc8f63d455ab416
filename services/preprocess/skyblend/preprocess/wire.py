"""Messages of `latest/` made from columns: long columns are handed over as they lie on the wire,
without a Python number for each value. Protobuf writes a packed column as tag, length and the
numbers in little-endian order."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from skyblend.protos.v1.records_pb2 import Latest, Run, RunSeries
from skyblend.protos.v1.variables_pb2 import Variable

SeriesKey = tuple[str, int]  # variable, period in s
Buffer = bytes | memoryview
Points = tuple[NDArray[np.int64], NDArray[np.float64]]  # seconds since 1970, ascending; values

_VALID_AT = RunSeries.DESCRIPTOR.fields_by_name["valid_at"].number
_VALUE = RunSeries.DESCRIPTOR.fields_by_name["value"].number
_SERIES = Run.DESCRIPTOR.fields_by_name["series"].number
_RUNS = Latest.DESCRIPTOR.fields_by_name["runs"].number


def run(head: Run, series: Mapping[SeriesKey, Sequence[Points]]) -> Run:
    """`head` with its series, in the order of variable and period; of two values for one time the
    later one stays."""
    parts: list[Buffer] = [head.SerializeToString()]
    for key in sorted(series, key=_order):
        columns = _columns(_joined(series[key]))
        start = _head(*key)
        size = len(start) + sum(map(_bytes, columns))
        parts += [_tag(_SERIES, size), start, *columns]
    return Run.FromString(b"".join(parts))


def latest(place: str, runs: Iterable[Run]) -> bytes:
    """The object of a place."""
    parts = [Latest(place_id=place).SerializeToString()]
    for one in runs:
        content = one.SerializeToString(deterministic=True)
        parts += [_tag(_RUNS, len(content)), content]
    return b"".join(parts)


def _order(key: SeriesKey) -> tuple[int, int]:
    return Variable.Value(key[0].upper()), key[1]


@cache
def _head(variable: str, period: int) -> bytes:
    return RunSeries(variable=variable.upper(), period=period).SerializeToString()


def _joined(parts: Sequence[Points]) -> Points:
    if len(parts) == 1:
        return parts[0]
    seconds = np.concatenate([part[0] for part in parts])
    values = np.concatenate([part[1] for part in parts])
    seconds, last = np.unique(seconds[::-1], return_index=True)
    return seconds, values[::-1][last]


def _columns(points: Points) -> list[Buffer]:
    seconds, values = (
        np.ascontiguousarray(column, kind).data
        for column, kind in zip(points, ("<i8", "<f8"), strict=True)
    )
    return [_tag(_VALID_AT, seconds.nbytes), seconds, _tag(_VALUE, values.nbytes), values]


def _bytes(buffer: Buffer) -> int:
    return buffer.nbytes if isinstance(buffer, memoryview) else len(buffer)


@lru_cache(1024)
def _tag(number: int, size: int) -> bytes:
    """What stands before a field of so many bytes."""
    return bytes([number << 3 | 2]) + _varint(size)


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)
