"""`python -m skyblend.predict.train [--at TIME]`: one training in a process of its own, settings
from the environment."""

import argparse
import json
import logging
import sys
from dataclasses import asdict
from datetime import UTC, datetime

from skyblend.predict.train.job import train
from skyblend.runtime import traces
from skyblend.runtime.entry import begin
from skyblend.runtime.logs import trace
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Misconfigured
from skyblend.runtime.storage import StorageError
from skyblend.runtime.tables import TablesError

LOG = logging.getLogger(__name__)


def main(arguments: list[str]) -> None:
    """Train and print the report as one JSON line; what keeps it from that is a line of the log."""
    parser = argparse.ArgumentParser(prog="skyblend.predict.train", description=__doc__)
    parser.add_argument("--at", type=_moment, default=None, help="train as of this UTC time")
    at = parser.parse_args(arguments).at or datetime.now(UTC)
    try:
        settings = begin("train")
        with trace(), traces.span("train"):
            report = train(runtime_for(settings), at=at)
    except (Misconfigured, StorageError, TablesError) as error:
        LOG.error("not trained: %s", error)
        sys.exit(1)
    rows = [asdict(row) for row in report.series]
    sys.stdout.write(json.dumps({"at": report.at.isoformat(), "series": rows}) + "\n")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"expected a time with a zone, got {text}")
    return moment.astimezone(UTC)


if __name__ == "__main__":
    main(sys.argv[1:])
