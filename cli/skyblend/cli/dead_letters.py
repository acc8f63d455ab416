"""`skyblend dead-letters`: messages of the bus that were given up, and how to try them again."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from skyblend.cli.drain import settle
from skyblend.cli.session import Session, pass_session

if TYPE_CHECKING:
    from skyblend.runtime.bus import Bus, DeadLetter
    from skyblend.runtime.bus.sqlite import SqliteBus


@click.group(name="dead-letters")
def dead_letters() -> None:
    """Messages that were given up, why, and how to try again.

    A message whose endpoint answers with trouble of our own five times is given up: it is kept
    here, and delivered no more until it is replayed. What a provider sent wrongly is not here, but
    in quarantine.
    """


@dead_letters.command("list")
@pass_session
def list_letters(session: Session) -> None:
    """Show what was given up, a line each, oldest first: id, type, what it is about, and why."""
    for letter in session.reading().bus.dead_letters():
        about = next(iter(_told(letter)["event"].values()), "")
        click.echo(f"{letter.id}  {letter.type}  {about}  {letter.reason}")


@dead_letters.command("show")
@click.argument("letter_id", metavar="ID")
@pass_session
def show_letter(session: Session, letter_id: str) -> None:
    """Show the message ID as JSON: its type, trace and event, and the last answer to it."""
    click.echo(json.dumps(_told(_letter(session.reading().bus, letter_id)), indent=1))


@dead_letters.command("replay")
@click.argument("letter_id", metavar="ID", required=False)
@click.option("--all", "every", is_flag=True, help="All that were given up.")
@pass_session
def replay_letters(session: Session, letter_id: str | None, *, every: bool) -> None:
    """Deliver the message ID, or --all, again, with all attempts anew.

    Steps may be repeated as often as needed: what was done already changes nothing. Ends with exit
    code 1 where a message meets trouble again.
    """
    if every == (letter_id is not None):
        raise click.UsageError("expected either an ID or --all")
    from skyblend.runtime.bus.sqlite import local

    runtime = session.reading()
    bus = local(runtime.bus)
    chosen = bus.dead_letters() if letter_id is None else [_letter(bus, letter_id)]
    ids = [one.id for one in chosen if bus.replay(one.id)]
    settle(session, runtime, is_done=lambda: all(map(bus.is_done, ids)))
    left = _left(bus, ids)
    click.echo(f"{len(ids) - left} of {len(ids)} done")
    if left:
        raise click.ClickException(f"{left} met trouble: tried again by the next command or `up`")


def _left(bus: "SqliteBus", ids: Sequence[str]) -> int:
    """How many are not acknowledged."""
    dead = {one.id for one in bus.dead_letters()}
    return sum(one in dead or not bus.is_done(one) for one in ids)


def _letter(bus: "Bus", letter_id: str) -> "DeadLetter":
    for one in bus.dead_letters():
        if one.id == letter_id:
            return one
    raise click.ClickException(
        f"no message {letter_id} was given up: `skyblend dead-letters list` shows all"
    )


def _told(letter: "DeadLetter") -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict
    from skyblend.runtime.bus.push import decode

    push = decode(letter.envelope)
    return {
        "id": letter.id,
        "type": letter.type,
        "trace": push.trace,
        "reason": letter.reason,
        "event": MessageToDict(push.event, preserving_proto_field_name=True),
    }
