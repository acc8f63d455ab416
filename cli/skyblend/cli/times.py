"""Times on the command line and in output: ISO 8601 in UTC, `2021-01-30T12:50:00Z`."""

from datetime import UTC, date, datetime, time, timedelta

import click


class Instant(click.ParamType[datetime]):
    """A time with a zone, `Z` or an offset; one without is refused, since it would be a guess."""

    name = "TIME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            instant = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"expected a time such as 2021-12-31T13:00Z, got {value!r}", param, ctx)
        if instant.tzinfo is None:
            self.fail(
                f"expected a time with its zone, such as 2021-12-31T13:00Z, got {value!r}",
                param,
                ctx,
            )
        try:
            return instant.astimezone(UTC)
        except OverflowError:
            self.fail(f"expected a time of our days, got {value!r}", param, ctx)


class Day(click.ParamType[date]):
    """A UTC date, `2004-01-28`."""

    name = "DATE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"expected a date such as 2004-01-28, got {value!r}", param, ctx)


class Cycle(click.ParamType[time]):
    """A time of day in UTC, `HH:MM`."""

    name = "HH:MM"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> time:
        if isinstance(value, time):
            return value
        try:
            return datetime.strptime(str(value), "%H:%M").replace(tzinfo=UTC).time()
        except ValueError:
            self.fail(f"expected a time of day such as 06:00, got {value!r}", param, ctx)


def text(instant: datetime) -> str:
    """`2021-01-30T12:50:00Z`; fractions of a second only where there are any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def now() -> datetime:
    """The clock of a command."""
    return datetime.now(UTC)


def floor(instant: datetime, every: timedelta) -> datetime:
    """The start of the slot of `every` that holds `instant`, counted from 1970."""
    return instant - (instant - datetime(1970, 1, 1, tzinfo=UTC)) % every
