"""Pub/Sub on this machine, for `skyblend services --bus pubsub`: the emulator, and the settings
that lead to it."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import click
from skyblend.cli import emulator
from skyblend.runtime.bus.emulator import ADDRESS, arrange
from skyblend.runtime.settings import PUBSUB, Misconfigured, Settings

_PROJECT = "local"


class LocalPubsub:
    """The emulator that PUBSUB_EMULATOR_HOST names, else one of our own."""

    def __init__(self) -> None:
        given = os.environ.get(ADDRESS, "")
        self._own = None if given else emulator.start()
        self.address = self._own.address if self._own else given
        os.environ[ADDRESS] = self.address  # for the services and for us

    def environ(self, given: Mapping[str, str]) -> dict[str, str]:
        """What the services and the commands beside them need to be told. The emulator's pushes
        carry no Authorization, so all that listens on loopback only is open; raises Misconfigured
        where something else is asked for."""
        if given.get("SKYBLEND_AUTH", "none") not in ("", "none"):
            raise Misconfigured(
                "SKYBLEND_AUTH: expected none with the Pub/Sub emulator, whose pushes carry no"
                f" Authorization, got {given['SKYBLEND_AUTH']}"
            )
        return {
            "SKYBLEND_BUS": PUBSUB,
            "SKYBLEND_AUTH": "none",
            "SKYBLEND_PROJECT": given.get("SKYBLEND_PROJECT") or _PROJECT,
            ADDRESS: self.address,
        }

    def subscribe(self, settings: Settings, endpoint: Callable[[str], str]) -> None:
        """Topics and subscriptions, pushed to the services."""
        arrange(settings.project, prefix=settings.topic_prefix, endpoint=endpoint)

    def revive(self) -> bool:
        """Whether our emulator had ended: it is started again at its address, and is empty."""
        if self._own is None or self._own.is_alive:
            return False
        click.echo("the Pub/Sub emulator ended: again")
        self._own = emulator.start(port=int(self.address.rpartition(":")[2]))
        return True

    def end(self) -> None:
        if self._own is not None:
            self._own.end()


@contextmanager
def local_pubsub() -> Iterator[LocalPubsub]:
    """The emulator, for the time of a block."""
    running = LocalPubsub()
    try:
        yield running
    finally:
        running.end()
