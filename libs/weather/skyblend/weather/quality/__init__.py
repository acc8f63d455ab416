"""Quality control: what a value must be to be believed, as tables, and the checks that read them.

`check_values` needs only the payload: its flags are stored with the record. `check_context` needs
the other records, as known when the value became known: its flags are computed on reading.
`judge` is `check_context` with the observations that a place is verified against: training, export
and the quarantine list all call it. `standing` is what the past says of what is still to come:
with it issuing, which has no history, comes to the verdicts of training.
"""

from skyblend.weather.quality.cases import Cases, Flag, Verdict
from skyblend.weather.quality.chosen import Judged, judge
from skyblend.weather.quality.context import Standing, check_context, standing
from skyblend.weather.quality.payload import check_values
from skyblend.weather.quality.season import SeasonalLimits

__all__ = [
    "Cases",
    "Flag",
    "Judged",
    "SeasonalLimits",
    "Standing",
    "Verdict",
    "check_context",
    "check_values",
    "judge",
    "standing",
]
