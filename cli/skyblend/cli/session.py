"""What every command starts from: the data folder, which half of it, and the runtime behind it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from skyblend.runtime.folder import Running
    from skyblend.runtime.place import Runtime
    from skyblend.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Session:
    """The options that stand before the command."""

    data: Path
    simulate: bool = False

    def running(self) -> "Running | None":
        """The `up` that runs on this half of the folder."""
        from skyblend.runtime.folder import read_running

        found = read_running(self.data)
        return (
            found if found is not None and not (self.simulate and found.realm == "live") else None
        )

    def realm(self) -> str:
        """The half asked for by --simulate, else that of a running `up`, else the live one."""
        if self.simulate:
            return "simulated"
        found = self.running()
        return found.realm if found is not None else "live"

    def environ(self) -> dict[str, str]:
        """The environment with this folder and half in it."""
        return {**os.environ, "SKYBLEND_DATA": str(self.data), "SKYBLEND_REALM": self.realm()}

    def settings(self) -> "Settings":
        """The settings for this folder and half; raises Misconfigured."""
        from skyblend.runtime.settings import Settings

        return Settings.read(self.environ())

    def runtime(self, *, tables_memory: str = "") -> "Runtime":
        """Storage, bus and tables of this half; `tables_memory` where no setting says it."""
        from skyblend.runtime.place import runtime_for
        from skyblend.runtime.settings import Settings

        environ = {"SKYBLEND_TABLES_MEMORY": tables_memory} | self.environ()
        return runtime_for(Settings.read(environ))


pass_session = click.make_pass_decorator(Session)
