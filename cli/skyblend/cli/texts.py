"""Text files that a person wrote."""

from pathlib import Path

import click


def read_text(path: Path) -> str:
    """The text of a file; raises ClickException for one that is not UTF-8, with the byte."""
    try:
        return path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        got = f"0x{error.object[error.start]:02x} at byte {error.start}"
        raise click.ClickException(f"{path}: expected UTF-8, got {got}") from None
