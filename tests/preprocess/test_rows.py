from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyblend.preprocess.blocks import BLOCK, Blocks
from skyblend.preprocess.checks import keep_good
from skyblend.preprocess.entries import PER_MEMBER, Entries
from skyblend.preprocess.members import Origin
from skyblend.preprocess.records import to_table
from skyblend.preprocess.repeats import without_repeats
from skyblend.preprocess.rows import Piece, concatenate
from skyblend.sources.contract import Forecasts, Labels, Observations
from skyblend.weather.quality import Flag

RECEIVED = np.datetime64("2026-11-20T10:20", "us")
ISSUED = np.datetime64("2026-11-20T10:00", "us")
HOUR = np.timedelta64(1, "h")
LATE = RECEIVED + np.timedelta64(601, "s")
NAN = float("nan")


def piece(values, *, table=None, variable="temperature_2m", raw="raw/uploads/x#a.csv", **changes):
    """Hourly forecasts of one place."""
    columns = {
        "source": "s",
        "place_id": "munich",
        "issued_at": ISSUED,
        "valid_at": ISSUED + np.arange(len(values)) * HOUR,
        "period": 0,
        "known_at": ISSUED,
        "values": table or {variable: np.array(values, float)},
    }
    return Piece(Forecasts(**(columns | changes)), raw, RECEIVED, live=False)


def observed(values, at="2026-11-20T08:00", **changes):
    columns = {
        "source": "s",
        "place_id": "munich",
        "observed_at": np.datetime64(at, "us") + np.arange(len(values)) * HOUR,
        "period": 0,
        "known_at": RECEIVED,
        "values": {"temperature_2m": np.array(values, float)},
    }
    return Piece(Observations(**(columns | changes)), "raw/uploads/x#a.csv", RECEIVED, live=False)


@pytest.fixture
def entries():
    received = datetime(2026, 11, 20, 10, 20, tzinfo=UTC)
    return Entries(
        Origin(
            raw="raw/uploads/x", source="", file_name="x.zip", received_at=received, collect=False
        )
    )


def values(rows):
    return rows.values["temperature_2m"].tolist()


def test_scalars_and_labels_stand_for_columns():
    labels = Labels(("oslo", "rome"), np.array([1, 0], np.int32))
    rows = concatenate(
        [piece([1, 2, 3]), piece([4, 5], place_id=labels, latitude=np.array([1.0, 2.0]))]
    )
    assert [rows.place(row) for row in range(5)] == ["munich"] * 3 + ["rome", "oslo"]
    assert np.array_equal(rows.position["latitude"], [NAN] * 3 + [1, 2], equal_nan=True)
    assert values(rows) == [1, 2, 3, 4, 5]


def test_rows_without_any_value_are_no_records_and_no_entries(entries):
    assert values(keep_good(concatenate([piece([1, NAN, 3])]), entries)) == [1, 3]
    assert entries.count == 0


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (piece([1.0], issued_at=LATE), "a run issued at most 10 minutes after"),
        (observed([1.0], at="2026-11-20T10:31"), "an observation that is not from the future"),
        (piece([float("inf")]), "finite values"),
        (piece([1.0], place_id="../x"), "a place id that can be one"),
        (piece([1.0], place_id="a/b"), "a place id that can be one"),
        (piece([1.0], place_id="x" * 300), "a place id that can be one"),
        (piece([1.0], latitude=91.0, longitude=0.0), "a position on the earth"),
        (piece([1.0], period=3600), "a period that fits the variable"),
        (piece([1.0], variable="precipitation"), "a period that fits the variable"),
    ],
)  # fmt: skip
def test_a_row_that_breaks_the_contract_is_refused(bad, expected, entries):
    assert keep_good(concatenate([bad]), entries).count == 0
    (entry,) = entries.finished()
    assert entry["expected"].startswith(expected)
    assert entry["member"] == "a.csv"
    assert entry["got"]


def test_the_good_rows_of_a_member_stay(entries):
    assert values(keep_good(concatenate([piece([1, float("-inf"), 3])]), entries)) == [1, 3]
    (entry,) = entries.finished()
    assert entry["where"] == (
        "place 'munich', model unnamed, issued_at 2026-11-20T10:00:00.000000Z, "
        "valid_at 2026-11-20T11:00:00.000000Z, period 0"
    )


def test_a_run_issued_ten_minutes_ahead_is_taken_for_a_fast_clock(entries):
    at_the_limit = piece([1.0], issued_at=RECEIVED + np.timedelta64(600, "s"))
    assert keep_good(concatenate([at_the_limit]), entries).count == 1


def test_entries_of_a_member_are_bounded_and_the_rest_is_counted(entries):
    keep_good(concatenate([piece([float("inf")] * (PER_MEMBER + 5))]), entries)
    found = entries.finished()
    assert (len(found), entries.count) == (PER_MEMBER + 1, PER_MEMBER + 5)
    assert found[-1]["got"] == "5 more refused"
    assert len({entry["id"] for entry in found}) == len(found)


def test_exact_repeats_are_dropped_also_between_members(entries):
    rows = concatenate([piece([1, 2]), piece([1, 2], raw="raw/uploads/x#b.csv")])
    assert values(without_repeats(rows, entries)) == [1, 2]
    assert entries.count == 0


def test_missing_values_repeat_themselves(entries):
    both = {"temperature_2m": np.array([1.0]), "dew_point_2m": np.array([NAN])}
    rows = concatenate([piece([1], table=both), piece([1], table=both)])
    assert without_repeats(rows, entries).count == 1


def test_a_later_known_at_is_another_version(entries):
    rows = concatenate([piece([1]), piece([1], known_at=RECEIVED)])
    assert without_repeats(rows, entries).count == 2


def test_of_two_rows_that_contradict_each_other_the_first_stays(entries):
    rows = concatenate([piece([1]), piece([2]), piece([1])])
    assert values(without_repeats(rows, entries)) == [1]
    (entry,) = entries.finished()
    assert entry["got"] == "temperature_2m 1 and 2"
    assert entry["expected"] == "one set of values for a key and its known_at"


def test_rows_that_complete_each_other_both_stay(entries):
    one = {"temperature_2m": np.array([1.0]), "dew_point_2m": np.array([NAN])}
    other = {"temperature_2m": np.array([NAN]), "dew_point_2m": np.array([0.5])}
    rows = concatenate([piece([1], table=one), piece([1], table=other)])
    assert without_repeats(rows, entries).count == 2


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_dropping_repeats_is_what_a_set_does(hours):
    received = datetime(2026, 11, 20, tzinfo=UTC)
    none = Entries(Origin(raw="r", source="", file_name="", received_at=received, collect=False))
    pieces = [piece([float(hour)], valid_at=ISSUED + np.array([hour]) * HOUR) for hour in hours]
    rows = without_repeats(concatenate(pieces), none)
    assert values(rows) == list(dict.fromkeys(hours))
    assert none.count == 0


def test_blocks_are_bounded_and_nothing_is_lost():
    given_away = []
    blocks = Blocks(given_away.append)
    long = piece(np.arange(BLOCK * 2 + 5.0))
    for one in (piece([1, 2]), long, observed([3.0]), piece([4.0])):
        blocks.add(one)
    blocks.finish()
    assert max(rows.count for rows in given_away) <= BLOCK
    assert sum(rows.count for rows in given_away) == BLOCK * 2 + 5 + 4
    of_runs = np.concatenate([values(rows) for rows in given_away if rows.kind == "forecasts"])
    assert np.array_equal(of_runs, [1, 2, *np.arange(BLOCK * 2 + 5.0), 4])


def test_a_table_has_nulls_where_values_are_missing_and_lists_of_flags():
    rows = concatenate([piece([1, NAN, 99])])
    flags = [Flag(2, "temperature_2m", "range", "too much"), Flag(0, "temperature_2m", "x", "y")]
    table = to_table(rows, flags)
    assert table.column("temperature_2m").to_pylist() == [1, None, 99]
    assert table.column("dew_point_2m").null_count == 3
    assert table.column("latitude").null_count == 3
    assert [len(found) for found in table.column("flags").to_pylist()] == [1, 0, 1]
    assert table.column("flags").to_pylist()[2][0]["reason"] == "too much"
    assert table.column("member").to_pylist() == ["", "", ""]
