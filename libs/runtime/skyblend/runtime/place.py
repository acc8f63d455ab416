"""Where we run: the one place that chooses storage, bus, tables and token for given settings."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from skyblend.runtime import folder, logs
from skyblend.runtime.bus.sqlite import SqliteBus
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage import Storage
from skyblend.runtime.storage.folder import FolderStorage
from skyblend.runtime.tokens import token

if TYPE_CHECKING:
    from skyblend.runtime.tables import Tables


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """All that a service needs of its surroundings."""

    settings: Settings
    storage: Storage
    bus: SqliteBus
    token: str

    @cached_property
    def tables(self) -> "Tables":
        """The tables of records; Arrow and DuckDB are imported at the first use."""
        from skyblend.runtime.tables.duck import DuckTables  # noqa: PLC0415 - heavy

        if not isinstance(self.storage, FolderStorage):
            raise TypeError(
                f"DuckDB reads files: expected FolderStorage, got {type(self.storage).__name__}"
            )
        return DuckTables(
            self.storage, memory=self.settings.tables_memory, threads=self.settings.tables_threads
        )


def runtime_for(settings: Settings) -> Runtime:
    """The laptop's runtime on the data folder of `settings`, which is made; raises Misconfigured
    for one of a newer format."""
    folder.prepare(settings.data)
    shown = token(settings.data)
    logs.hide(shown, *settings.secrets())
    settings.root.mkdir(parents=True, exist_ok=True)
    return Runtime(
        settings=settings,
        storage=FolderStorage(settings.root / "bucket"),
        bus=SqliteBus(settings.root / "bus.sqlite"),
        token=shown,
    )
