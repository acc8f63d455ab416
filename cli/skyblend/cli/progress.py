"""What `up` tells a person on standard output while the pipeline comes to life."""

import time
from collections.abc import Callable
from threading import Thread

import click
from skyblend.cli.schedule import Schedule
from skyblend.runtime import names
from skyblend.runtime import places as known_places
from skyblend.runtime.place import Runtime

_LOOK_SECONDS = 0.5
SIMULATED = "SIMULATED: every number is made up by the built-in simulator"


class Progress:
    """Five lines, as far as it got; each is printed when its state is reached."""

    def __init__(self, runtime: Runtime, schedule: Schedule, *, address: str) -> None:
        self._runtime, self._schedule, self._address = runtime, schedule, address
        self._start = time.monotonic()
        self._said = ""

    def start(self) -> None:
        Thread(target=self.tell, name="progress", daemon=True).start()

    def tell(self) -> None:
        """Say the lines in order; returns after the last."""
        places = known_places.read(self._runtime.storage)
        self._say(f"[1/5] {len(places)} places: {_some(list(places))}")
        self._say("[2/5] asking the providers")
        self._say(f"[3/5] {self._recorded()}")
        self._until(self._is_issued, lambda: f"[3/5] {self._recorded()}")
        seconds = time.monotonic() - self._start
        self._say(f"[4/5] first forecast ready after {seconds:.0f} s: {self._address}")
        self._until(self._schedule.trained.is_set, lambda: f"      {self._recorded()}")
        self._say(f"[5/5] {self._models()}; refreshed on schedule, Ctrl-C stops")
        if self._runtime.settings.is_simulated:
            self._say(SIMULATED)

    def _until(self, reached: Callable[[], bool], line: Callable[[], str]) -> None:
        while not reached() and not self._schedule.stop.wait(_LOOK_SECONDS):
            self._say(line())

    def _recorded(self) -> str:
        """How many answers are stored, and how many of them are records already."""
        storage = self._runtime.storage
        stored = sum(1 for _ in storage.list(names.RAW))
        done = sum(1 for _ in storage.list(names.PROCESSED))
        return f"recorded {done} of {stored} answers, past forecasts and observations included"

    def _is_issued(self) -> bool:
        return any(True for _ in self._runtime.storage.list(names.ISSUED))

    def _models(self) -> str:
        if self._runtime.storage.generation(names.CHAMPION):
            return "models trained"
        return "no model is good enough yet: the mean of the forecasters is served"

    def _say(self, line: str) -> None:
        if line != self._said:
            self._said = line
            click.echo(line)


def _some(found: list[str]) -> str:
    shown = ", ".join(found[:5])
    return shown if len(found) <= 5 else f"{shown} and {len(found) - 5} more"
