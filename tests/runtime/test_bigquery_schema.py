"""The schemas of the tables in BigQuery: derived, kept current for Terraform, and only added to."""

import json
import runpy
import sys
from pathlib import Path

import pytest
from skyblend.runtime.tables import TablesError, columns
from skyblend.runtime.tables.bigquery import schema, training
from skyblend.runtime.tables.bigquery.schema import Field, Kind

ROOT = Path(__file__).resolve().parents[2]
FORECASTS, OBSERVATIONS = schema.kinds()
TRAINING = training.kind()


@pytest.mark.parametrize("kind", [*schema.kinds(), TRAINING], ids=lambda kind: str(kind.name))
def test_terraforms_schemas_are_those_of_the_records(kind: Kind) -> None:
    written = (ROOT / "deploy" / "gcp" / "schemas" / f"{kind.name}.json").read_text("utf-8")
    assert written == schema.text(kind), (
        f"python -m skyblend.runtime.tables.bigquery {kind.name} "
        f"> deploy/gcp/schemas/{kind.name}.json"
    )


def test_the_command_prints_a_schema(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["bigquery", *words])
        runpy.run_module("skyblend.runtime.tables.bigquery", run_name="__main__")

    run("forecasts")
    printed = json.loads(capsys.readouterr().out)
    assert [field["name"] for field in printed] == columns.forecasts().names
    run("refill", "skyblend", "2026-09-01")
    said = capsys.readouterr().out
    assert said.startswith("BEGIN TRANSACTION;\nDELETE FROM `skyblend.training_forecasts` WHERE ")
    assert said.endswith("COMMIT TRANSACTION;\n")
    with pytest.raises(SystemExit, match=r"expected one of forecasts, .*, got \['rows'\]"):
        run("rows")
    assert capsys.readouterr().out == ""


def test_each_kind_of_column_has_its_type() -> None:
    types = {field["name"]: schema.plain(field) for field in schema.fields(OBSERVATIONS.schema)}
    assert types["place_id"] == "STRING"
    assert types["observed_at"] == "TIMESTAMP"
    assert types["period"] == "INTEGER"
    assert types["temperature_2m"] == "FLOAT"
    assert types["flags"] == "REPEATED RECORD(variable STRING, check STRING, reason STRING)"


def field(name: str, kind: str = "FLOAT", mode: str = "NULLABLE") -> Field:
    return {"name": name, "type": kind, "mode": mode}


def test_a_column_that_a_table_lacks_is_added() -> None:
    wanted = [field("source", "STRING"), field("humidity"), field("temperature_2m")]
    stored = [field("temperature_2m", "FLOAT64"), field("source", "STRING", "REQUIRED")]
    assert schema.added("forecasts", stored=stored, wanted=wanted) == [field("humidity")]
    assert schema.added("forecasts", stored=wanted, wanted=wanted) == []


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (
            field("period", "STRING"),
            "column period: expected INTEGER, got STRING; .* only be added",
        ),
        (field("period", "INTEGER", "REPEATED"), "expected INTEGER, got REPEATED INTEGER"),
    ],
)
def test_a_changed_column_is_refused(stored: Field, expected: str) -> None:
    with pytest.raises(TablesError, match=expected):
        schema.added("forecasts", stored=[stored], wanted=schema.fields(FORECASTS.schema))
