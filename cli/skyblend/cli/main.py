"""The `skyblend` command: a group whose commands are imported when they are called."""

import os
import sys
from importlib import import_module
from pathlib import Path

import click
from skyblend.cli.session import Session
from skyblend.cli.texts import read_text
from skyblend.cli.trouble import one_line_each

# Command -> (module, one line of help); the module holds a click command of its own name.
COMMANDS = {
    "up": ("up", "Run the whole pipeline on this machine, behind one port."),
    "services": ("services", "Run the three services as three processes with one bus."),
    "status": (
        "status",
        "What is there: places, raw objects, quarantine, models, newest forecasts.",
    ),
    "collect": ("collect", "Ask the providers for what is due."),
    "places": ("places", "Import, add and list the places that forecasts are made for."),
    "upload": ("upload", "Take in archives and files of forecasts and observations."),
    "upload-url": ("upload_url", "A signed URL for a file that is too large for the service."),
    "decode": ("decode", "Show the records of a provider's answer as JSON lines."),
    "load": ("load", "Load into BigQuery what waits there; elsewhere nothing ever waits."),
    "train": ("train", "Fit the models on what is known, and promote those that are better."),
    "backtest": ("backtest", "Forecast a past period with only what was known then."),
    "forecast": ("forecast", "The blended forecast of a place, now or as it would have been."),
    "quarantine": ("quarantine", "What was refused or flagged, why, and how to try again."),
    "dead-letters": ("dead_letters", "Messages that were given up, why, and how to try again."),
    "ledger": ("ledger", "Check that nothing that was ever issued was changed since."),
    "history": ("history", "Years of station observations from Google's public data sets."),
    "export": ("export", "Write forecasts or observations as tidy files."),
    "cost": ("cost", "What a project on Google Cloud takes and costs in a month."),
}


class _Commands(click.Group):
    """Lists from the table above and imports a command's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = COMMANDS[cmd_name][0]
        command: click.Command = getattr(import_module(f"skyblend.cli.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data"),
    envvar="SKYBLEND_DATA",
    show_default=True,
    help="The data folder (SKYBLEND_DATA).",
)
@click.option(
    "--live",
    "wish",
    flag_value="live",
    help="Work in the live half of the data folder, whatever a running `up` serves.",
)
@click.option(
    "--simulate",
    "wish",
    flag_value="simulated",
    help="Work in its simulated half. Default: SKYBLEND_REALM, else that of a running `up`, else "
    "live.",
)
@click.version_option(package_name="skyblend-cli", message="skyblend %(version)s")
@click.pass_context
def cli(ctx: click.Context, data: Path, wish: str | None) -> None:
    """Many free weather forecasts, blended into one calibrated forecast for your places.

    \b
    Start here:
      skyblend up                                  the whole pipeline on http://127.0.0.1:8080
      skyblend places import cities.csv            your places
      skyblend upload archive.tar.gz               your archives
      skyblend forecast --place Berlin             a forecast in the terminal
    """
    ctx.obj = Session(data=data, wish=wish or os.environ.get("SKYBLEND_REALM", "").strip())


def main() -> None:
    """Run the command; an error that a person can mend is one line and exit code 1. Settings that
    stand in the file `.env` of the current folder count where the environment says nothing."""
    one_line_each()
    sys.exit(_exit_code())


def read_env_file(path: Path) -> dict[str, str]:
    """The settings of a file of lines NAME=VALUE; comments, empty values and foreign names are
    passed over. Raises ClickException for a file that is not UTF-8."""
    lines = read_text(path).splitlines() if path.is_file() else []
    pairs = (line.strip().partition("=") for line in lines if not line.lstrip().startswith("#"))
    found = ((name.strip(), value.strip().strip("'\"")) for name, _, value in pairs)
    return {name: value for name, value in found if name.startswith("SKYBLEND_") and value}


def _exit_code() -> int:
    try:
        for name, value in read_env_file(Path(".env")).items():
            os.environ.setdefault(name, value)
        return int(cli.main(prog_name="skyblend", standalone_mode=False) or 0)
    except click.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except _expected() as error:
        click.echo(f"skyblend: {_one_line(error)}", err=True)
        return 1


def _expected() -> tuple[type[Exception], ...]:
    """What may go wrong with files, settings, network and data; anything else is our mistake, and
    shows its trace."""
    import csv
    import sqlite3

    from google.protobuf.message import DecodeError
    from requests import RequestException
    from skyblend.runtime.folder import Locked
    from skyblend.runtime.settings import Misconfigured
    from skyblend.runtime.storage import StorageError
    from skyblend.runtime.tables import TablesError
    from skyblend.sources.contract import BadPayload

    files = (OSError, ValueError, csv.Error, sqlite3.Error, DecodeError, StorageError)
    return (*files, TablesError, Misconfigured, Locked, BadPayload, RequestException)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"cannot use {error.filename}: {error.strerror.lower()}"
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    main()
