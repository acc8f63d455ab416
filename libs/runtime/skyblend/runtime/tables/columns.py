"""The columns of the tables, derived from the messages Forecast and Observation: one definition,
many uses."""

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from skyblend.protos.v1.records_pb2 import Forecast, Observation

if TYPE_CHECKING:
    import pyarrow as pa
    from google._upb._message import FieldDescriptor as UpbFieldDescriptor

    Field = FieldDescriptor | UpbFieldDescriptor

FIRST_VARIABLE = 100  # fields above it are variables
FORECAST_KEY = ("source", "model", "member", "place_id", "issued_at", "valid_at", "period")
OBSERVATION_KEY = ("source", "place_id", "observed_at", "period")
KINDS = ("station", "analysis", "user")


def variables(record: type[Message]) -> tuple[str, ...]:
    """The variables of a message, in the order of their numbers."""
    return tuple(field.name for field in record.DESCRIPTOR.fields if field.number > FIRST_VARIABLE)


VARIABLES = variables(Forecast)


@cache
def forecasts() -> "pa.Schema":
    """The Arrow schema of forecasts."""
    return _schema(Forecast)


@cache
def observations() -> "pa.Schema":
    """The Arrow schema of observations; `kind` is one of KINDS."""
    return _schema(Observation)


def chosen(schema: "pa.Schema", names: Iterable[str]) -> "pa.Schema":
    """Some columns of a schema, in the order of `names`."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    return pa.schema([schema.field(name) for name in names])


def _schema(record: type[Message]) -> "pa.Schema":
    import pyarrow as pa  # noqa: PLC0415 - heavy

    return pa.schema([(f.name, _type(f)) for f in record.DESCRIPTOR.fields])


def _type(field: "Field") -> "pa.DataType":
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if field.message_type is not None:
        if field.message_type.full_name == "google.protobuf.Timestamp":
            return pa.timestamp("us", tz="UTC")
        return pa.list_(pa.struct([(part.name, _type(part)) for part in field.message_type.fields]))
    scalars: dict[int, pa.DataType] = {
        FieldDescriptor.TYPE_STRING: pa.string(),
        FieldDescriptor.TYPE_ENUM: pa.string(),
        FieldDescriptor.TYPE_UINT32: pa.int32(),
        FieldDescriptor.TYPE_DOUBLE: pa.float64(),
    }
    return scalars[field.type]
