"""`skyblend quarantine`: what was refused or flagged, why, and how to try again."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click
from skyblend.cli import times
from skyblend.cli.drain import settle_events
from skyblend.cli.session import Session, pass_session
from skyblend.runtime import names

if TYPE_CHECKING:
    from skyblend.runtime.place import Runtime

_PLACES = 25


@click.group()
def quarantine() -> None:
    """What was refused or flagged, why, and how to try again.

    A refused payload or row is not among the records; it lies with its reason until it is replayed.
    A flagged value is among them, with its flag, and training and issuing pass it over.
    """


@quarantine.command("list")
@click.option("--source", default="", help="Only what this source sent.")
@click.option("--flags/--no-flags", default=True, help="Also the flagged values (default).")
@pass_session
def list_entries(session: Session, *, source: str, flags: bool) -> None:
    """Show what is refused, a line each, then the values that failed a check."""
    from skyblend.preprocess.quarantine import entries

    runtime = session.reading()
    for entry in entries(runtime.storage):
        if source in ("", entry["source"]):
            click.echo(_entry_line(entry))
    for line in _flag_lines(runtime, source) if flags else ():
        click.echo(line)


@quarantine.command("show")
@click.argument("entry_id", metavar="ID")
@pass_session
def show_entry(session: Session, entry_id: str) -> None:
    """Show all that is known of the entry ID: what, where, expected, got, and a sample."""
    for name, value in _entry(session.reading(), entry_id).items():
        click.echo(f"{name:<12} {value}")


@quarantine.command("replay")
@click.argument("entry_id", metavar="ID")
@pass_session
def replay_entry(session: Session, entry_id: str) -> None:
    """Read the raw object of the entry ID again, with the decoders of today.

    What is good now becomes records; what is still refused stays here. Raw bytes are never thrown
    away, so this may be done as often as needed. Ends with exit code 1 where it is refused again.
    """
    from skyblend.preprocess.replay import replay

    runtime = session.reading()
    raw = _entry(runtime, entry_id)["raw"]
    if raw.startswith(names.ARRIVALS):
        _take_over(session, runtime, entry_id, name=raw)
        return
    done = replay(runtime, entry_id, now=times.now())
    settle_events(session, runtime)
    click.echo(
        f"{done.forecasts} forecasts and {done.observations} observations are recorded, "
        f"{done.quarantined} refused"
    )
    is_empty = not done.forecasts + done.observations
    again = _refused_again(runtime, entry_id, raw=raw, is_empty=is_empty)
    if again is not None:
        raise click.ClickException(f"refused again: {_reason(again)}")


def _take_over(session: Session, runtime: "Runtime", entry_id: str, *, name: str) -> None:
    """Try a file again that came into the bucket and was refused as a whole."""
    from skyblend.ingest.arrivals import retry

    stored = retry(runtime, name, now=times.now())
    if stored is None:
        raise click.ClickException(f"refused again: {_reason(_entry(runtime, entry_id))}")
    settle_events(session, runtime)
    click.echo(f"{name} is taken over as {stored.object}")


def _refused_again(
    runtime: "Runtime", entry_id: str, *, raw: str, is_empty: bool
) -> Mapping[str, str] | None:
    """The entry if it is still there, or any other of a raw object that gave no record."""
    from skyblend.preprocess.quarantine import entries

    left = [entry for entry in entries(runtime.storage) if entry["raw"] == raw]
    same = (entry for entry in left if is_empty or entry["id"] == entry_id)
    return next(same, None)


def _entry(runtime: "Runtime", entry_id: str) -> Mapping[str, str]:
    from skyblend.preprocess.quarantine import entries

    for entry in entries(runtime.storage):
        if entry["id"] == entry_id:
            return entry
    raise click.ClickException(f"no entry {entry_id}: `skyblend quarantine list` shows all")


def _entry_line(entry: Mapping[str, str]) -> str:
    what = entry["member"] or entry["file_name"] or entry["raw"]
    return f"{entry['id']}  {entry['received_at']}  {entry['source']}  {what}  {_reason(entry)}"


def _reason(entry: Mapping[str, str]) -> str:
    return f"at {entry['where']}: expected {entry['expected']}, got {entry['got']}"


def _flag_lines(runtime: "Runtime", source: str) -> Iterator[str]:
    from skyblend.cli.flags import flagged
    from skyblend.runtime import places

    known = list(places.read(runtime.storage))
    for start in range(0, len(known), _PLACES):
        for flag in flagged(runtime.tables, known[start : start + _PLACES]):
            if source in ("", flag.key[0]):
                yield (
                    f"flagged  {flag.kind[:-1]} {' '.join(map(_text, flag.key))}  "
                    f"{flag.variable} {flag.check}: {flag.reason}"
                )


def _text(part: object) -> str:
    from datetime import datetime

    return times.text(part) if isinstance(part, datetime) else str(part)
