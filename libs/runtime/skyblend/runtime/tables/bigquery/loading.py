"""The pending record objects of one table become its rows: one load job into a staging table, one
transaction from there, whatever was repeated or broken off.

The bucket says what is to be done (the notes), what is under way (the manifest) and where older
rows lie; the names of the jobs are made from the manifest, so BigQuery itself tells what was done.
An attempt is both jobs; where one failed, the next attempt begins anew from the notes of its time.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from skyblend.runtime.storage import Storage
from skyblend.runtime.tables import Loaded, TablesError
from skyblend.runtime.tables.bigquery import gathering, statements, tables, training
from skyblend.runtime.tables.bigquery import manifest as manifests
from skyblend.runtime.tables.bigquery.connection import CALL, LABELS, Connection, trouble
from skyblend.runtime.tables.bigquery.jobs import WAIT, Outcome, Result, carry_out
from skyblend.runtime.tables.bigquery.manifest import Manifest
from skyblend.runtime.tables.bigquery.schema import Kind

if TYPE_CHECKING:
    from google.cloud import bigquery

# ruff: noqa: PLC0415 - Google's clients are imported where they are used

LOG = logging.getLogger(__name__)
ATTEMPTS = 3  # of one run


class Loading:
    """Loads what is pending of one table."""

    def __init__(
        self,
        connection: Connection,
        storage: Storage,
        kind: Kind,
        *,
        wait: float = WAIT,
        uris: int = manifests.URIS,
    ) -> None:
        self._connection, self._storage, self._kind = connection, storage, kind
        self._copies = training.copies(kind)
        self._wait, self._uris = wait, uris

    def run(self) -> Loaded:
        """Carry on with the manifest that is under way, else make one of what is pending. Raises
        TablesError where the attempts of this run failed; the next run goes on."""
        reason = ""
        for _ in range(ATTEMPTS):
            manifest, rest = self._manifest()
            if not manifest.entries:
                return rest
            for copy in self._copies:
                tables.prepare(self._connection, copy.kind)
            result = self._attempt(manifest)
            if result.outcome is Outcome.DONE:
                return rest + self._finished(manifest, result.rows)
            if result.outcome is Outcome.RUNNING:
                return rest + Loaded(left=len(manifest.entries))
            reason = result.reason
            LOG.error("loading %s failed: %s", self._kind.name, reason)
            manifests.fail(self._storage, self._kind.name, manifest)
        raise TablesError(f"{ATTEMPTS} attempts to load {self._kind.name} failed, last: {reason}")

    def _manifest(self) -> tuple[Manifest, Loaded]:
        """The manifest to carry out, and what is left beside it."""
        while True:
            found = manifests.read(self._storage, self._kind.name)
            if found.entries:
                return found, Loaded()
            entries, rest = gathering.gather(self._storage, self._kind, uris=self._uris)
            if not entries:
                return found, rest
            made = manifests.begin(self._storage, self._kind.name, found, entries)
            if made is not None:
                return made, rest

    def _attempt(self, manifest: Manifest) -> Result:
        """Load and replace. What will be in the table is written down before, so that a deletion
        never misses a row. The staging table is made by the load job alone: one that is gone is
        never taken for one without rows, it fails the attempt."""
        gathering.keep(self._storage, manifest)
        staging = f"staging_{self._kind.name}_{manifest.digest}_{manifest.attempt}"
        with trouble(f"loading {self._kind.name}"):
            loaded = self._load(manifest, staging)
            if loaded.outcome is not Outcome.DONE:
                return loaded
            # Whose transaction comes first decides for all who carry this manifest out.
            is_current = gathering.is_current(self._storage, manifest)
            replaced = self._replace(manifest, staging, is_current=is_current)
            if manifest.loaded and replaced.outcome is not Outcome.RUNNING:
                tables.drop(self._connection, staging)
        return replace(replaced, rows=loaded.rows)

    def _carry_out(
        self,
        manifest: Manifest,
        step: str,
        begin: "Callable[[str], bigquery.LoadJob | bigquery.QueryJob]",
    ) -> Result:
        name = f"{self._kind.name}_{manifest.digest}_{manifest.attempt}_{step}"
        return carry_out(self._connection, self._connection.job(name), begin, wait=self._wait)

    def _load(self, manifest: Manifest, staging: str) -> Result:
        from google.cloud.bigquery import LoadJobConfig, ParquetOptions

        if not manifest.loaded:
            return Result(Outcome.DONE)
        connection = self._connection
        options = ParquetOptions()  # type: ignore[no-untyped-call]
        options.enable_list_inference = True  # a list of records, not a record with a list in it
        config = LoadJobConfig(
            source_format="PARQUET",
            schema=tables.schema_fields(self._kind),
            write_disposition="WRITE_TRUNCATE",
            parquet_options=options,
            labels=LABELS,
        )
        uris = [f"gs://{connection.bucket}/{one.record}" for one in manifest.loaded]

        def begin(job_id: str) -> "bigquery.LoadJob":
            return connection.client.load_table_from_uri(
                uris,
                connection.table(staging),
                job_id=job_id,
                location=connection.location,
                job_config=config,
                retry=connection.retry,
                timeout=CALL,
            )

        result = self._carry_out(manifest, "load", begin)
        if result.outcome is Outcome.DONE:
            tables.let_expire(connection, staging)
        return result

    def _replace(self, manifest: Manifest, staging: str, *, is_current: bool) -> Result:
        if not manifest.loaded and not manifest.replaced:
            return Result(Outcome.DONE)
        connection = self._connection
        statement, parameters = statements.replacement(
            manifest, self._copies, quoted=connection.quoted, staging=staging
        )
        if not is_current:
            statement, parameters = statements.OUTDATED, {}
        # Not capped: what was refused once would be refused for ever, and hold up the table.
        config = connection.query_config(parameters)

        def begin(job_id: str) -> "bigquery.QueryJob":
            return connection.client.query(
                statement,
                config,
                job_id=job_id,
                location=connection.location,
                retry=connection.retry,
                job_retry=None,
                timeout=CALL,
            )

        return self._carry_out(manifest, "replace", begin)

    def _finished(self, manifest: Manifest, rows: int) -> Loaded:
        gathering.clear(self._storage, manifest)
        manifests.finish(self._storage, self._kind.name, manifest)
        taken_out = len(manifest.entries) - len(manifest.loaded)
        return Loaded(objects=len(manifest.loaded), removed=taken_out, rows=rows)
