"""The connection to BigQuery: one client, bounded waits, and errors that say what to do.

Where BIGQUERY_EMULATOR_HOST is set the client speaks to that address, without credentials.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from skyblend.runtime.settings import Settings
from skyblend.runtime.tables import TablesError

if TYPE_CHECKING:
    import pyarrow as pa
    from google.api_core.exceptions import GoogleAPICallError
    from google.api_core.retry import Retry
    from google.cloud import bigquery

# ruff: noqa: PLC0415 - Google's clients are imported where they are used

Parameters = Sequence[object] | Mapping[str, object]  # in order, or by name
CALL = 60.0  # seconds that one request may take
RETRY = 60.0  # seconds during which a request that failed is repeated
ANSWER = 900.0  # seconds that a query may take
LABELS = {"application": "skyblend"}
_REQUIRED = re.compile(r"(\d+) or higher required")


class Connection:
    """What the settings say of BigQuery, and a client that is made at the first use."""

    def __init__(self, settings: Settings) -> None:
        self.project, self.dataset = settings.project, settings.dataset
        self.location, self.bucket = settings.location, settings.bucket
        self.limit = settings.query_limit
        self.emulator = os.environ.get("BIGQUERY_EMULATOR_HOST", "")
        self._there: set[str] = set()

    @cached_property
    def client(self) -> "bigquery.Client":
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery

        with trouble("connecting"):
            return bigquery.Client(
                project=self.project,
                location=self.location,
                credentials=AnonymousCredentials() if self.emulator else None,  # type: ignore[no-untyped-call]
            )

    @cached_property
    def retry(self) -> "Retry":
        """When a request that failed is repeated; an emulator that is gone is not waited for. The
        client's own repeats of whole jobs are off: they would make ten minutes of it."""
        from google.cloud.bigquery import DEFAULT_RETRY

        retry: Retry = DEFAULT_RETRY.with_timeout(2.0 if self.emulator else RETRY)
        return retry

    def table(self, name: str) -> str:
        return f"{self.project}.{self.dataset}.{name}"

    def quoted(self, name: str) -> str:
        """A table as a statement names it."""
        return f"`{self.table(name)}`"

    def job(self, name: str) -> str:
        """A job's name that no other data set and no other bucket has: BigQuery keeps the names of
        a project's jobs, whatever tables and objects they were of."""
        where = f"{self.project}.{self.dataset} {self.location} {self.bucket}"
        return f"skyblend_{hashlib.sha256(where.encode()).hexdigest()[:12]}_{name}"

    def has(self, name: str) -> bool:
        """Whether a table is there; raises TablesError where not even the data set is."""
        from google.api_core.exceptions import NotFound

        if name not in self._there:
            with trouble(f"looking for the table {name}"):
                try:
                    self.client.get_table(self.table(name), retry=self.retry, timeout=CALL)
                except NotFound as error:
                    if "Not found: Dataset" in str(error):
                        raise
                    return False
            self._there.add(name)
        return True

    def rows(self, statement: str, parameters: Parameters) -> "pa.Table":
        """What a statement gives. Raises TablesError, above all for a query that would read more
        than the limit."""
        with trouble("querying", limit=self.limit):
            job = self.client.query(
                statement,
                self.capped_config(parameters),
                location=self.location,
                retry=self.retry,
                job_retry=None,
                timeout=CALL,
            )
            found = job.result(timeout=ANSWER, retry=self.retry, job_retry=None)
            # The Storage API reads what REST would give in many pages; no emulator has it here.
            rows: pa.Table = found.to_arrow(create_bqstorage_client=not self.emulator)
            return rows

    def carry_out(self, statement: str) -> None:
        """Run a statement that gives no rows."""
        with trouble("defining"):
            job = self.client.query(
                statement,
                self.capped_config(()),
                location=self.location,
                retry=self.retry,
                job_retry=None,
                timeout=CALL,
            )
            job.result(timeout=ANSWER, retry=self.retry, job_retry=None)

    def bytes_of(self, statement: str, parameters: Parameters) -> int:
        """How many bytes a statement would read, by a dry run, which costs nothing."""
        config = self.capped_config(parameters)
        config.dry_run, config.use_query_cache = True, False
        with trouble("asking for a query's bytes"):
            job = self.client.query(
                statement,
                config,
                location=self.location,
                retry=self.retry,
                job_retry=None,
                timeout=CALL,
            )
            return int(job.total_bytes_processed or 0)

    def capped_config(self, parameters: Parameters) -> "bigquery.QueryJobConfig":
        """For a statement that is refused where it would read more than the limit."""
        config = self.query_config(parameters)
        config.maximum_bytes_billed = self.limit
        return config

    def query_config(self, parameters: Parameters) -> "bigquery.QueryJobConfig":
        from google.cloud.bigquery import QueryJobConfig

        named = parameters if isinstance(parameters, Mapping) else None
        values = named.items() if named is not None else ((None, one) for one in parameters)

        return QueryJobConfig(
            query_parameters=[_parameter(name, value) for name, value in values],
            labels=LABELS,
        )


def _parameter(name: str | None, value: Any) -> Any:
    from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter

    if isinstance(value, tuple | list):
        return ArrayQueryParameter(name, _kind(value[0]), list(value))
    return ScalarQueryParameter(name, _kind(value), value)


def _kind(value: Any) -> str:
    kinds = (
        (str, "STRING"),
        (int, "INT64"),
        (float, "FLOAT64"),
        (datetime, "TIMESTAMP"),
    )
    return next(name for kind, name in kinds if isinstance(value, kind))


@contextmanager
def trouble(doing: str, *, limit: int = 0) -> Iterator[None]:
    """Whatever goes wrong with BigQuery as a TablesError of one line."""
    from concurrent.futures import TimeoutError as TookTooLong

    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError
    from requests import RequestException

    try:
        yield
    except GoogleAPICallError as error:
        raise TablesError(_over_limit(error, limit) or _line(doing, error)) from error
    except (RetryError, GoogleAuthError, RequestException, TookTooLong) as error:
        raise TablesError(_line(doing, error)) from error


def _over_limit(error: "GoogleAPICallError", limit: int) -> str:
    if "bytesBilledLimitExceeded" not in str([error.reason, error.errors, error.message]):
        return ""
    required = _REQUIRED.search(str(error))
    would = f"{required[1]} bytes" if required else "more"
    return (
        f"BigQuery would bill {would} for this query, more than SKYBLEND_QUERY_LIMIT={limit}: ask "
        "for fewer places, sources or days, or raise the limit"
    )


def _line(doing: str, error: Exception) -> str:
    return f"BigQuery, {doing}: {' '.join(str(error).split())[:500] or type(error).__name__}"
