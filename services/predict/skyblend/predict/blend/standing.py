"""What a training hands to serving, so that the newest runs are believed as training believes them.

Training has every record, serving only the newest run of each forecaster. So a model carries, for
each of its places, the seasonal limits of the weeks ahead, and of the forecasts of times ahead
those that the checks would ask: of targets with odd values, which are few.
"""

from dataclasses import dataclass

import numpy as np
from skyblend.predict.blend.columns import Flags, Floats, Ints
from skyblend.predict.blend.series import Series
from skyblend.weather.quality import Cases, SeasonalLimits, check_context, standing


@dataclass(frozen=True, slots=True)
class Told:
    """The newest runs of one place: names [forecasters], when each run became known (us), times
    (us) and values [forecasters, times], NaN where one does not speak."""

    names: tuple[str, ...]
    known: Ints
    valid: Ints
    value: Floats


@dataclass(frozen=True, slots=True)
class Standing:
    """Limits by the codes of a model's places, and what `forecasters` said of odd targets."""

    season: SeasonalLimits
    forecasters: tuple[str, ...]
    said: Cases

    @classmethod
    def none(cls) -> "Standing":
        """Nothing is known of the past."""
        return cls(SeasonalLimits.none(), (), Cases.none())

    @classmethod
    def of(
        cls, series: Series, cases: tuple[Cases, Cases], names: tuple[str, ...], *, at: int
    ) -> "Standing":
        """What stands at `at` (us), from the cases that the checks of training had: forecasts by
        the forecasters `names`, and observations."""
        forecasts, observations = cases
        found = standing(
            series.variable,
            forecasts=forecasts,
            observations=observations,
            at=np.datetime64(at, "us"),
        )
        return cls(found.season, names, forecasts.take(found.rows))

    def believed(self, series: Series, told: Told, *, place: int, at: int) -> Floats:
        """The values of `told` at a place with this code (-1: unknown), NaN where a check speaks
        against one.

        One that training knew is held to what was known when it became known, one that came later
        to what is known at `at` (us).
        """
        known = self.said.take(np.flatnonzero(self.said.place == place))
        code = self._codes(told.names)
        same = _same(known, code, told)
        who, when = np.nonzero(same < 0)
        new = Cases(
            place=np.full(who.size, place),
            forecaster=code[who],
            period=np.full(who.size, series.period),
            valid_at=told.valid[when].view("datetime64[us]"),
            known_at=np.full(who.size, at).view("datetime64[us]"),
            value=told.value[who, when],
        )
        verdict, _ = check_context(
            series.variable,
            forecasts=known.with_rows(new),
            observations=Cases.none(),
            season=self.season,
        )
        flagged: Flags = verdict.flagged[same]
        flagged[who, when] = verdict.flagged[known.size :]
        return np.where(flagged, np.nan, told.value)

    def _codes(self, names: tuple[str, ...]) -> Ints:
        """The codes that training had; a forecaster that it did not know gets one of its own."""
        code = {name: number for number, name in enumerate((*self.forecasters, *names)[::-1])}
        last = len(self.forecasters) + len(names) - 1
        return np.array([last - code[name] for name in names], dtype=np.int64)


def _same(known: Cases, code: Ints, told: Told) -> Ints:
    """The row of `known` that each value of `told` is, [forecasters, times], -1 where none."""
    same = np.full(told.value.shape, -1)
    if not known.size or not same.size:
        return same
    matches = known.forecaster[:, None] == code
    who = matches.argmax(axis=1)
    valid = known.valid_at.astype("datetime64[us]").view(np.int64)
    when = np.minimum(np.searchsorted(told.valid, valid), told.valid.size - 1)
    known_at = known.known_at.astype("datetime64[us]").view(np.int64)
    is_same = matches.any(axis=1) & (told.valid[when] == valid) & (known_at <= told.known[who])
    is_same &= known.value == told.value[who, when]
    rows = np.flatnonzero(is_same)
    rows = rows[np.argsort(known_at[rows], kind="stable")]  # the newest is written last
    same[who[rows], when[rows]] = rows
    return same
