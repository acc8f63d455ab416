"""Where we run: the one place that chooses storage, bus, tables and access for given settings.

What is chosen is imported here, where it is chosen: a service imports only what its place needs.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from skyblend.runtime import folder, logs
from skyblend.runtime.access import Access, NoAccess, OpenAccess, TokenAccess
from skyblend.runtime.bus import Bus
from skyblend.runtime.settings import GCS, PUBSUB, Settings
from skyblend.runtime.storage import Storage
from skyblend.runtime.tokens import token

if TYPE_CHECKING:
    from skyblend.runtime.tables import Tables

# ruff: noqa: PLC0415 - each place imports what it needs


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """All that a service needs of its surroundings. `token` is the laptop's, empty in the cloud."""

    settings: Settings
    storage: Storage
    bus: Bus
    access: Access
    token: str = ""

    @cached_property
    def tables(self) -> "Tables":
        """The tables of records; Arrow and DuckDB or BigQuery are imported at the first use."""
        return _tables(self.settings, self.storage)


def runtime_for(settings: Settings, *, serves: bool = True) -> Runtime:
    """The runtime that the settings ask for. What lies on this machine is made where it is absent;
    raises Misconfigured for a data folder of a newer format. What serves nobody lets nobody in
    where Pub/Sub delivers; with a bus of its own it delivers to itself, and shows what it takes."""
    logs.hide(*settings.secrets())
    if settings.storage != GCS:
        folder.prepare(settings.data)
        settings.root.mkdir(parents=True, exist_ok=True)
    is_closed = settings.bus == PUBSUB and not serves
    shown = token(settings.data) if settings.auth == "token" and not is_closed else ""
    logs.hide(shown)
    return Runtime(
        settings=settings,
        storage=_storage(settings),
        bus=_bus(settings),
        access=NoAccess() if is_closed else _access(settings, shown),
        token=shown,
    )


def _storage(settings: Settings) -> Storage:
    if settings.storage == GCS:
        from skyblend.runtime.storage.gcs import GcsStorage

        return GcsStorage(settings.bucket, project=settings.project)
    from skyblend.runtime.storage.folder import FolderStorage

    return FolderStorage(settings.root / "bucket")


def _bus(settings: Settings) -> Bus:
    if settings.bus == PUBSUB:
        from skyblend.runtime.bus.pubsub import PubsubBus

        return PubsubBus(settings.project, prefix=settings.topic_prefix)
    from skyblend.runtime.bus.sqlite import SqliteBus

    return SqliteBus(settings.root / "bus.sqlite")


def _tables(settings: Settings, storage: Storage) -> "Tables":
    from skyblend.runtime.storage.folder import FolderStorage

    if not isinstance(storage, FolderStorage):
        from skyblend.runtime.tables.bigquery import BigQueryTables

        return BigQueryTables(settings, storage)
    from skyblend.runtime.tables.duck import DuckTables

    return DuckTables(storage, memory=settings.tables_memory, threads=settings.tables_threads)


def _access(settings: Settings, shown: str) -> Access:
    if settings.auth == "none":
        return OpenAccess()
    if settings.auth in ("iam", "oidc"):
        from skyblend.runtime.identity import access_for

        return access_for(settings)
    return TokenAccess(shown)
