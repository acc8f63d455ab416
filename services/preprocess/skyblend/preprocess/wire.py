"""Runs made from columns: long columns are handed over as they lie on the wire,
without a Python number for each value. Protobuf writes a packed column as tag, length and the
numbers in little-endian order."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from skyblend.protos.v1.records_pb2 import Run, RunSeries
from skyblend.protos.v1.variables_pb2 import Variable
from skyblend.runtime.latest.parts import tag

SeriesKey = tuple[str, int]  # variable, period in s
Buffer = bytes | memoryview
Points = tuple[NDArray[np.int64], NDArray[np.float64]]  # seconds since 1970, ascending; values

_VALID_AT = RunSeries.DESCRIPTOR.fields_by_name["valid_at"].number
_VALUE = RunSeries.DESCRIPTOR.fields_by_name["value"].number
_SERIES = Run.DESCRIPTOR.fields_by_name["series"].number


def run(head: Run, series: Mapping[SeriesKey, Sequence[Points]]) -> Run:
    """`head` with its series, in the order of variable and period; of two values for one time the
    later one stays."""
    parts: list[Buffer] = [head.SerializeToString()]
    for key in sorted(series, key=_order):
        columns = _columns(_joined(series[key]))
        start = _head(*key)
        size = len(start) + sum(map(_bytes, columns))
        parts += [tag(_SERIES, size), start, *columns]
    return Run.FromString(b"".join(parts))


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
    return [tag(_VALID_AT, seconds.nbytes), seconds, tag(_VALUE, values.nbytes), values]


def _bytes(buffer: Buffer) -> int:
    return buffer.nbytes if isinstance(buffer, memoryview) else len(buffer)
