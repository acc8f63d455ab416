"""Which of two runs is newer: by issued_at, then by known_at, whatever the order of arrival."""

from collections.abc import Iterable, Sequence

from skyblend.protos.v1.records_pb2 import Run, RunSeries

Forecaster = tuple[str, str]  # source, model
Origin = tuple[int, str]  # when a raw object was received, in us since 1970, and its name


def merged(runs: Iterable[Run]) -> list[Run]:
    """The newest run of each forecaster at one place, in order of forecasters; the order and the
    grouping in which they are merged change nothing."""
    newest: dict[Forecaster, Run] = {}
    for run in runs:
        key = forecaster(run)
        newest[key] = newer(newest[key], run) if key in newest else run
    return [newest[key] for key in sorted(newest)]


def newer(one: Run, other: Run) -> Run:
    """The newer of two runs; the parts of one and the same are put together, each series as it was
    received last, so that the order of arrival changes nothing."""
    if age(one) != age(other):
        return max(one, other, key=age)
    older, newest = sorted((one, other), key=_received)
    if _covers(newest, older):
        return newest
    parts = {(part.variable, part.period): (_origin(older, part), part) for part in older.series}
    for part in newest.series:
        key, origin = (part.variable, part.period), _origin(newest, part)
        if key not in parts or parts[key][0] <= origin:
            parts[key] = origin, part
    return _together(newest, [parts[key] for key in sorted(parts)])


def forecaster(run: Run) -> Forecaster:
    """Whose run it is."""
    return run.source, run.model


def age(run: Run) -> tuple[int, int]:
    """What makes a run newer than another; times in us since 1970."""
    return run.issued_at.ToMicroseconds(), run.known_at.ToMicroseconds()


def origins(run: Run) -> set[str]:
    """The raw objects that a run came from."""
    return {run.raw, *(part.raw for part in run.series if part.raw)}


def end(run: Run) -> int:
    """The last time that a run speaks of, in s since 1970; 0 where it says nothing."""
    return max((part.valid_at[-1] for part in run.series if part.valid_at), default=0)


def _covers(newest: Run, older: Run) -> bool:
    """Whether a run came whole with its raw object and tells every series of an older one, that
    likewise came whole."""
    if any(part.raw for part in (*newest.series, *older.series)):
        return False
    told = {(part.variable, part.period) for part in newest.series}
    return all((part.variable, part.period) in told for part in older.series)


def _together(newest: Run, parts: Sequence[tuple[Origin, RunSeries]]) -> Run:
    """A run of these series; one that did not come with the newest raw object says so."""
    run = Run()
    run.CopyFrom(newest)
    del run.series[:]
    for (received_at, raw), part in parts:
        added = run.series.add()
        added.CopyFrom(part)
        added.ClearField("received_at")
        added.ClearField("raw")
        if (received_at, raw) != _received(newest):
            added.received_at.FromMicroseconds(received_at)
            added.raw = raw
    return run


def _received(run: Run) -> Origin:
    return run.received_at.ToMicroseconds(), run.raw


def _origin(run: Run, part: RunSeries) -> Origin:
    return (part.received_at.ToMicroseconds(), part.raw) if part.raw else _received(run)
