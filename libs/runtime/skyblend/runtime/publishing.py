"""Publishing within the trace around."""

from collections.abc import Sequence

from google.protobuf.message import Message
from skyblend.runtime import logs, traces
from skyblend.runtime.bus import Bus


def publish(bus: Bus, event: Message) -> str:
    """Hand over an event; who takes it goes on in the same trace. Gives the message's id."""
    with logs.trace(), traces.span("publish", kind="producer", event=event.DESCRIPTOR.name):
        return bus.publish(event, trace=logs.current().carried())


def publish_all(bus: Bus, events: Sequence[Message]) -> list[str]:
    """Hand over several events of one type at once; gives the messages' ids."""
    if not events:
        return []
    kind = events[0].DESCRIPTOR.name
    with (
        logs.trace(),
        traces.span("publish", kind="producer", event=kind, events=len(events)),
    ):
        return bus.publish_all(events, trace=logs.current().carried())
