"""Jobs with names: a repeated one is not done again, but looked at."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from skyblend.runtime.tables.bigquery.connection import CALL, Connection

if TYPE_CHECKING:
    from google.cloud import bigquery

    Job = bigquery.LoadJob | bigquery.QueryJob

WAIT = 240.0  # seconds that a run waits for each of its two jobs; a later run looks again
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between looks, the last one for good


class Outcome(StrEnum):
    """How a job stands. A job that has failed changed nothing."""

    DONE = "done"
    FAILED = "failed"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Result:
    """How a job stands, why it failed, and the rows that a load gave."""

    outcome: Outcome
    reason: str = ""
    rows: int = 0


def carry_out(
    connection: Connection, job_id: str, begin: "Callable[[str], Job]", *, wait: float = WAIT
) -> Result:
    """Begin the job of this name, or find the one that was begun before, and wait until it ends.
    What names a table that is not there has failed, whether BigQuery makes a job of it or not.
    Raises Google's other errors where the request itself is refused: then there is no such job."""
    from google.api_core.exceptions import Conflict, NotFound  # noqa: PLC0415 - heavy

    try:
        job = begin(job_id)
    except NotFound as error:
        return Result(Outcome.FAILED, error.message)
    except Conflict:  # begun by an earlier run, by another loader, or by a request that was lost
        job = connection.client.get_job(  # type: ignore[assignment]
            job_id, location=connection.location, retry=connection.retry, timeout=CALL
        )
    return _ended(connection, job, wait)


def _ended(connection: Connection, job: "Job", wait: float) -> Result:
    until = time.monotonic() + wait
    looks = 0
    while not job.done(retry=connection.retry, timeout=CALL):
        if time.monotonic() >= until:
            return Result(Outcome.RUNNING)
        time.sleep(_PAUSES[min(looks, len(_PAUSES) - 1)])
        looks += 1
    if job.error_result:
        return Result(Outcome.FAILED, str(job.error_result.get("message", job.error_result)))
    return Result(Outcome.DONE, rows=getattr(job, "output_rows", None) or 0)
