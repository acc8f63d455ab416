"""Raw objects decoded again: the records are then as if today's decoder had always been there."""

from datetime import datetime

from skyblend.preprocess import quarantine
from skyblend.preprocess.mark import Processed
from skyblend.preprocess.process import process
from skyblend.preprocess.rebuild import rebuild
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.runtime.place import Runtime


def replay_raw(runtime: Runtime, raw: str, *, now: datetime) -> Processed:
    """Decode a raw object again; its records, entries and latest runs are replaced."""
    done = process(runtime, RawStored(object=raw), now=now, force=True)
    rebuild(runtime, now=now)
    return done


def replay(runtime: Runtime, entry_id: str, *, now: datetime) -> Processed:
    """Decode the raw object of a quarantine entry again; the entry is gone where it is good now.
    Raises NoEntry."""
    return replay_raw(runtime, quarantine.show(runtime.storage, entry_id)["raw"], now=now)
