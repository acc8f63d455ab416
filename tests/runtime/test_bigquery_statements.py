"""Every statement that BigQuery is sent is BigQuery's SQL: parsed, with columns that are there,
functions that are known, and a bound on the partitions."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, cast

import pytest
import sqlglot
from skyblend.predict.blend.series import BLENDED
from skyblend.runtime.settings import Settings
from skyblend.runtime.tables import Query, View
from skyblend.runtime.tables.bigquery import statements, training, views
from skyblend.runtime.tables.bigquery.connection import Connection
from skyblend.runtime.tables.bigquery.contents import Contents
from skyblend.runtime.tables.bigquery.manifest import Entry, Manifest
from skyblend.runtime.tables.bigquery.schema import Kind, kinds
from skyblend.runtime.tables.bigquery.spans import Span, fewest, ranges
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

T0 = datetime(2026, 11, 20, tzinfo=UTC)
SETTINGS = Settings(
    storage="gcs", tables="bigquery", bucket="b", project="p", dataset="d", auth="none"
)
CONNECTION = Connection(SETTINGS)
FORECASTS, OBSERVATIONS = kinds()
TWO = ("temperature_2m", "wind_speed_10m")
COPIES = training.copies(FORECASTS)
TRAINING = COPIES[1].kind
TYPES = {"string": "STRING", "int32": "INT64", "double": "FLOAT64"}


def queries() -> Iterator[Query]:
    """Each view, with two variables and every filter or none, with one and some."""
    filtered = Query(
        as_of=T0, sources=("x", "y"), places=("P",), periods=(0, 3600), valid_from=T0, valid_to=T0,
        issue_hours=(0, 12),
    )  # fmt: skip
    for view in View:
        yield replace(filtered, view=view, variables=TWO, raw="raw/x")
        yield Query(view=view, variables=TWO)
        yield Query(view=view, variables=("temperature_2m",), raw="raw/x")
        yield replace(filtered, view=view, variables=("temperature_2m",))
        yield replace(filtered, view=view, variables=("temperature_2m",), bare=True)


def trainings() -> Iterator[Query]:
    """What the table of training answers."""
    asked = Query(variables=("temperature_2m",), issue_hours=(0, 12), bare=True)
    filtered = replace(asked, as_of=T0, sources=("x",), places=("P",), periods=(0,), valid_from=T0)
    for view in View:
        yield replace(asked, view=view)
        yield replace(filtered, view=view, variables=training.VARIABLES)


def entry(first: date, last: date, *, before: bool, generation: int = 7) -> Entry:
    held = Contents(Span(first, last), frozenset({"raw/x/a.pb"}))
    return Entry(
        record="records/forecasts/2026-11-20/a.parquet",
        generation=generation,
        note=1,
        now=held if generation else None,
        before=held if before else None,
    )


DAY = date(2026, 11, 20)
MANIFESTS = {
    "first load": Manifest(entries=(entry(DAY, DAY, before=False),)),
    "replaced": Manifest(entries=(entry(DAY, DAY, before=True),)),
    "taken out": Manifest(entries=(entry(DAY, DAY, before=True, generation=0),)),
    "40 years": Manifest(entries=(entry(date(1986, 1, 1), DAY, before=True),)),
}


def schema() -> dict[str, Any]:
    """The columns by table, as sqlglot takes them."""
    flag = "ARRAY<STRUCT<variable STRING, check STRING, reason STRING>>"
    tables = {
        kind.name: {
            f.name: TYPES.get(str(f.type), "TIMESTAMP" if "timestamp" in str(f.type) else flag)
            for f in kind.schema
        }
        for kind in (*kinds(), TRAINING)
    }
    return {"p": {"d": tables | {"staging": tables["forecasts"]}}}


def trees(text: str) -> list[exp.Expression]:
    """What a text of statements says; raises SqlglotError where it is not BigQuery's SQL."""
    found = []
    for tree in sqlglot.parse(text, read="bigquery", error_level=sqlglot.ErrorLevel.RAISE):
        assert tree is not None
        if isinstance(tree, exp.Command):
            raise SqlglotError(f"not understood: {tree.sql()[:80]}")
        if unknown := [one.name for one in tree.find_all(exp.Anonymous)]:
            raise SqlglotError(f"unknown functions: {unknown}")
        if isinstance(tree, exp.Query):
            qualify(tree, schema=schema(), dialect="bigquery", catalog="p", db="d")
        found.append(tree)
    return found


@pytest.mark.parametrize("kind", [*kinds(), TRAINING], ids=lambda kind: str(kind.name))
def test_every_view_is_bigquerys_sql_and_bounds_the_partitions(kind: Kind) -> None:
    for query in trainings() if kind is TRAINING else queries():
        text, parameters = views.statement(CONNECTION, query, kind)
        (tree,) = trees(text)
        assert len(list(tree.find_all(exp.Placeholder))) == len(parameters), query
        scans = [one for one in tree.find_all(exp.Table) if one.name == kind.name]
        assert len(scans) == 1
        where = scans[0].find_ancestor(exp.Select).args["where"].sql(dialect="bigquery")
        assert f"{kind.shape.time}` >= ?" in where, where


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: str(kind.name))
def test_the_views_of_the_data_set_are_bigquerys_sql(kind: Kind) -> None:
    view, function = views.definitions(CONNECTION, kind)
    (tree,) = trees(view)
    assert isinstance(tree, exp.Create)
    assert f"{kind.shape.time} >= TIMESTAMP '0001-01-01 00:00:00+00:00'" in view
    header, body = function.split(" AS (", 1)
    assert header == (
        f"CREATE OR REPLACE TABLE FUNCTION `p.d.{kind.name}_as_of`"
        "(moment TIMESTAMP, since TIMESTAMP)"
    )
    trees(body.removesuffix(")").replace("moment", "?").replace("since", "?"))
    assert f"(known_at <= moment) AND ({kind.shape.time} >= since)" in body
    assert "?" not in view + function


@pytest.mark.parametrize("name", MANIFESTS)
def test_loading_is_bigquerys_sql_and_bounds_the_partitions(name: str) -> None:
    text, parameters = statements.replacement(
        MANIFESTS[name], COPIES, quoted=CONNECTION.quoted, staging="staging"
    )
    found = trees(text)
    changes = [one for one in found if not isinstance(one, exp.Transaction | exp.Commit)]
    assert len(found) == (1 if len(changes) == 1 else len(changes) + 2)
    named = {one.name for tree in found for one in tree.find_all(exp.Parameter)}
    assert named == set(parameters)
    for change in changes:
        where = cast(exp.Where, change.find(exp.Where)).sql(dialect="bigquery")
        assert where.startswith("WHERE valid_at >= @from_")
        assert " AND valid_at < @to_" in where


def test_filling_the_table_of_training_anew_is_bigquerys_sql() -> None:
    text = statements.refilling(COPIES[1], FORECASTS, quoted=CONNECTION.quoted, first=DAY)
    kinds_ = (exp.Transaction, exp.Delete, exp.Insert, exp.Commit)
    assert [type(one) for one in trees(text)] == list(kinds_)
    assert text.count("WHERE valid_at >= TIMESTAMP '2026-11-20 00:00:00+00'") == 2


@pytest.mark.parametrize(
    "change",
    [
        {"bare": False},
        {"issue_hours": ()},
        {"issue_hours": (0, 3)},
        {"variables": ()},
        {"variables": ("temperature_2m", "dew_point_2m")},
        {"raw": "raw/x"},
    ],
    ids=str,
)
def test_the_table_of_training_answers_only_what_it_holds(change: dict[str, Any]) -> None:
    for query in trainings():
        assert training.answers(query)
        assert not training.answers(replace(query, **change))


def test_the_table_of_training_holds_what_is_blended() -> None:
    assert tuple(BLENDED) == training.VARIABLES


def test_a_first_load_deletes_nothing_and_forty_years_are_cut() -> None:
    def kinds_of(name: str) -> list[str]:
        text, _ = statements.replacement(
            MANIFESTS[name], COPIES, quoted=CONNECTION.quoted, staging="staging"
        )
        return [line.split()[0] for line in text.split(";\n")]

    # Each twice: in forecasts, and in the table of training.
    assert kinds_of("first load") == ["BEGIN", *["INSERT"] * 2, "COMMIT"]
    assert kinds_of("taken out") == ["BEGIN", *["DELETE"] * 2, "COMMIT"]
    assert kinds_of("replaced") == ["BEGIN", *["DELETE"] * 2, *["INSERT"] * 2, "COMMIT"]
    # 1986-01-01 to 2026-11-20 are 14934 days, 4 times 4000 at most
    assert kinds_of("40 years") == ["BEGIN", *["DELETE"] * 8, *["INSERT"] * 8, "COMMIT"]


def test_a_deletion_reads_only_the_days_that_rows_were_in() -> None:
    text, parameters = statements.replacement(
        MANIFESTS["replaced"], COPIES[:1], quoted=str, staging="s"
    )
    assert parameters["from_0"] == datetime(2026, 11, 20, tzinfo=UTC)
    assert parameters["to_0"] == datetime(2026, 11, 21, tzinfo=UTC)
    assert parameters["raws"] == ("raw/x/a.pb",)
    assert text.count("DELETE") == 1


def test_days_become_few_ranges() -> None:
    def day(number: int) -> date:
        return date.fromordinal(DAY.toordinal() + number)

    def spans(*pairs: tuple[int, int]) -> list[Span]:
        return [Span(day(a), day(b)) for a, b in pairs]

    assert ranges([]) == []
    assert ranges(spans((5, 6), (0, 1), (2, 3))) == spans((0, 3), (5, 6))
    assert ranges(spans((0, 9), (2, 3))) == spans((0, 9))
    many = ranges(spans(*((10 * n, 10 * n) for n in range(9)), (81, 81)))
    # ten days, of which the last two touch: nine ranges, so the first two of equal gaps join
    assert many == spans((0, 10), *((10 * n, 10 * n) for n in range(2, 8)), (80, 81))
    assert fewest(spans((0, 1), (9, 9), (3990, 3999), (4000, 4001))) == spans((0, 9), (3990, 4001))
    assert fewest(spans((0, 1), (3990, 3999))) == spans((0, 3999))
    assert ranges(spans((0, 8000))) == spans((0, 3999), (4000, 7999), (8000, 8000))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("WITH known AS (", "WITH known AS "),
        ("ARRAY_CONCAT(", "LIST_CONCAT("),
        ("before_temperature_2m) AS", "before_temperature) AS"),
        ("WHERE age = 1", "WHERE ages = 1"),
        ("PARTITION BY source", "PARTITION OF source"),
    ],
)
def test_a_planted_mistake_is_found(right: str, wrong: str) -> None:
    text, _ = views.statement(CONNECTION, Query(variables=TWO), FORECASTS)
    assert right in text
    with pytest.raises(SqlglotError):
        trees(text.replace(right, wrong))
