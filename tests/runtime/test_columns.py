"""The columns come from the messages."""

import pyarrow as pa
from skyblend.protos.v1.records_pb2 import Forecast, Observation
from skyblend.runtime.tables import columns


def test_every_field_is_a_column_and_every_column_a_field() -> None:
    assert columns.forecasts().names == [field.name for field in Forecast.DESCRIPTOR.fields]
    assert columns.observations().names == [field.name for field in Observation.DESCRIPTOR.fields]


def test_types() -> None:
    schema = columns.observations()
    expected = {
        "source": pa.string(),
        "kind": pa.string(),
        "observed_at": pa.timestamp("us", "UTC"),
        "period": pa.int32(),
        "latitude": pa.float64(),
        "temperature_2m": pa.float64(),
        "flags": pa.list_(
            pa.struct([("variable", pa.string()), ("check", pa.string()), ("reason", pa.string())])
        ),
    }
    assert {name: schema.field(name).type for name in expected} == expected


def test_variables_are_those_of_both_tables() -> None:
    assert len(columns.VARIABLES) == 18
    assert columns.VARIABLES[0] == "temperature_2m"
    assert columns.variables(Observation) == columns.VARIABLES


def test_keys_are_columns() -> None:
    assert set(columns.FORECAST_KEY) <= set(columns.forecasts().names)
    assert set(columns.OBSERVATION_KEY) <= set(columns.observations().names)
