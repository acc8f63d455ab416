"""`skyblend dead-letters`: messages of the bus that were given up, and how to try them again."""

import base64
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from skyblend.cli.drain import is_elsewhere, settle_events
from skyblend.cli.session import Session, pass_session

if TYPE_CHECKING:
    from skyblend.runtime.bus import Bus, DeadLetter
    from skyblend.runtime.bus.sqlite import SqliteBus

_SHOWN = 500  # characters of a message that cannot be read


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
        click.echo(_one_line(f"{letter.id}  {letter.type}  {about}  {letter.reason}"))


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
    code 1 where a message meets trouble again; with Pub/Sub it ends when all is published again,
    and `dead-letters list` shows later what met trouble.
    """
    if every == (letter_id is not None):
        raise click.UsageError("expected either an ID or --all")
    from skyblend.runtime.bus.sqlite import local

    runtime = session.reading()
    bus = runtime.bus
    asked = [one.id for one in bus.dead_letters()] if every else [letter_id or ""]
    ids = bus.replay_all(asked)
    if letter_id is not None and not ids:
        raise _absent(letter_id)
    if is_elsewhere(bus):
        click.echo(f"{len(ids)} published again: Pub/Sub delivers them")
        if len(ids) < len(asked):
            click.echo(f"{len(asked) - len(ids)} were not to be had in this moment: try again")
        return
    settle_events(session, runtime, ids)
    left = _left(local(bus), ids)
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
    raise _absent(letter_id)


def _one_line(text: str) -> str:
    """The text without what moves a terminal's cursor or changes its colours."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _absent(letter_id: str) -> click.ClickException:
    return click.ClickException(
        f"no message {letter_id} was given up: `skyblend dead-letters list` shows all"
    )


def _told(letter: "DeadLetter") -> dict[str, Any]:
    """What a person is shown; of a message that is no event of ours its text, cut."""
    from google.protobuf.json_format import MessageToDict
    from skyblend.runtime.bus.push import BadPush, decode

    try:
        push = decode(letter.envelope)
    except BadPush:
        message = json.loads(letter.envelope)["message"]
        data = base64.b64decode(message["data"]).decode(errors="replace")
        trace, event = message["attributes"].get("trace", ""), {"text": data[:_SHOWN]}
    else:
        trace = push.trace
        event = MessageToDict(push.event, preserving_proto_field_name=True)
    return {
        "id": letter.id,
        "type": letter.type,
        "trace": trace,
        "reason": letter.reason,
        "event": event,
    }
