"""What every command starts from: the data folder, which half of it, and the runtime behind it."""

import os
from collections.abc import Mapping
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
    wish: str = ""  # the half asked for: live, simulated, or nothing said

    def pipeline(self) -> "Running | None":
        """The `up` that runs on this folder, on whichever half."""
        from skyblend.runtime.folder import read_running

        return read_running(self.data)

    def running(self) -> "Running | None":
        """The `up` that runs on the half of this command."""
        found = self.pipeline()
        return found if found is not None and found.realm == (self.wish or found.realm) else None

    def realm(self) -> str:
        """The half asked for, else that of a running `up`, else the live one."""
        found = self.pipeline()
        return self.wish or (found.realm if found is not None else "live")

    def environ(self) -> dict[str, str]:
        """The environment with this folder and half in it."""
        return {**os.environ, "SKYBLEND_DATA": str(self.data), "SKYBLEND_REALM": self.realm()}

    def settings(self) -> "Settings":
        """The settings for this folder and half; raises Misconfigured. What works in the simulated
        half says so on standard error."""
        return self._settings({})

    def runtime(self, *, tables_memory: str = "") -> "Runtime":
        """Storage, bus and tables of this half; `tables_memory` where no setting says it."""
        from skyblend.runtime.place import runtime_for

        settings = self._settings({"SKYBLEND_TABLES_MEMORY": tables_memory})
        return runtime_for(settings, serves=False)

    def reading(self) -> "Runtime":
        """The runtime of a command that changes nothing; raises ClickException where there is no
        data folder, and makes none. With a bucket in the cloud none is needed; a mistake in the
        settings is told before."""
        from skyblend.runtime.settings import GCS, Settings

        asked = Settings.read(self.environ(), serves=False)
        if asked.storage != GCS and not self.data.is_dir():
            raise click.ClickException(
                f"there is no data folder {self.data}: `skyblend up` makes one, "
                "--data names another"
            )
        return self.runtime()

    def _settings(self, defaults: Mapping[str, str]) -> "Settings":
        from skyblend.runtime.settings import Settings

        if (running := self.running()) is not None:  # as if they had been exported
            os.environ.update(running.environ)
        settings = Settings.read({**defaults, **self.environ()}, serves=False)
        if settings.is_simulated:
            why = "as asked for" if self.wish else "as the running `up` does; --live says otherwise"
            click.echo(f"simulated: works on made-up weather in {settings.root}, {why}", err=True)
        return settings


pass_session = click.make_pass_decorator(Session)
