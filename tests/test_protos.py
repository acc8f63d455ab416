"""The shared language: one table of variables, nothing released changes, the code is current."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor
from skyblend.protos.v1 import api_pb2, events_pb2, records_pb2, variables_pb2
from skyblend.weather.variables import VARIABLES

PROTOS = Path(__file__).resolve().parents[1] / "protos"
RELEASED = PROTOS / "released.txt"
FILES = (variables_pb2, records_pb2, events_pb2, api_pb2)

TYPES = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in dir(FieldDescriptor)
    if name.startswith("TYPE_")
}


def fields_and_values(file: FileDescriptor) -> Iterator[str]:
    """Each field as `message.field number type label`, each enum value as `enum.VALUE number`."""
    for message in file.message_types_by_name.values():
        yield from _message(message)
    for enum in file.enum_types_by_name.values():
        yield from _enum(enum)
    for extension in file.extensions_by_name.values():
        yield f"extend {extension.containing_type.full_name} {_field(extension)}"


def _message(message: Descriptor) -> Iterator[str]:
    yield from (_field(field) for field in message.fields)
    for nested in message.nested_types:
        yield from _message(nested)
    for enum in message.enum_types:
        yield from _enum(enum)


def _enum(enum: EnumDescriptor) -> Iterator[str]:
    yield from (f"{enum.full_name}.{value.name} {value.number}" for value in enum.values)


def _field(field: FieldDescriptor) -> str:
    of = field.message_type or field.enum_type
    kind = of.full_name if of else TYPES[field.type]
    return f"{field.full_name} {field.number} {kind} {_label(field)}"


def _label(field: FieldDescriptor) -> str:
    if field.is_repeated:
        return "repeated"
    in_oneof = field.containing_oneof
    if in_oneof and not in_oneof.name.startswith("_"):
        return f"oneof:{in_oneof.name}"
    return "optional" if field.has_presence and not field.message_type else "singular"


def current() -> list[str]:
    return sorted(line for module in FILES for line in fields_and_values(module.DESCRIPTOR))


def broken(released: list[str], now: list[str]) -> list[str]:
    """What was released and is no longer there as it was."""
    return sorted(set(released) - set(now))


def unlisted(released: list[str], now: list[str]) -> list[str]:
    """What is there and not yet in the list of what is released."""
    return sorted(set(now) - set(released))


def test_the_enum_of_variables_is_the_table_of_weather():
    options = [
        (value, value.GetOptions()) for value in variables_pb2.Variable.DESCRIPTOR.values[1:]
    ]
    rows = [
        (
            value.name.lower(),
            option.Extensions[variables_pb2.unit],
            variables_pb2.Kind.Name(option.Extensions[variables_pb2.kind]).lower(),
            option.Extensions[variables_pb2.default_period],
        )
        for value, option in options
    ]
    assert rows == [
        (variable.name, variable.unit, variable.kind.value, variable.default_period)
        for variable in VARIABLES
    ]


@pytest.mark.parametrize("record", [records_pb2.Forecast, records_pb2.Observation])
def test_a_variables_column_has_its_number_plus_100(record):
    numbers = {
        value.name.lower(): value.number + 100
        for value in variables_pb2.Variable.DESCRIPTOR.values[1:]
    }
    columns = {field.name: field for field in record.DESCRIPTOR.fields if field.number > 100}
    assert {name: field.number for name, field in columns.items()} == numbers
    assert all(field.type == FieldDescriptor.TYPE_DOUBLE for field in columns.values())
    assert all(field.has_presence for field in columns.values())


def test_what_was_released_is_still_there_as_it_was():
    assert broken(RELEASED.read_text("utf-8").splitlines(), current()) == []


def test_everything_is_in_the_list_of_what_is_released():
    released = RELEASED.read_text("utf-8").splitlines()
    assert unlisted(released, current()) == [], f"add these lines to {RELEASED.name}, sorted"
    assert released == sorted(set(released))


FIELD = "skyblend.protos.v1.Forecast.period 7 uint32 singular"


@pytest.mark.parametrize(
    "changed",
    [
        None,  # removed
        FIELD.replace(" 7 ", " 70 "),  # renumbered
        FIELD.replace("uint32", "int64"),  # retyped
        FIELD.replace("singular", "repeated"),  # relabelled
        FIELD.replace("period", "duration"),  # renamed
    ],
)
def test_a_planted_change_of_a_field_is_found(changed):
    assert FIELD in current()
    now = [line for line in current() if line != FIELD] + ([changed] if changed else [])
    assert broken(current(), now) == [FIELD]


def test_a_planted_change_of_an_enum_value_and_of_a_nested_message_is_found():
    values = [line for line in current() if line.endswith("ObservationKind.STATION 1")]
    entries = [line for line in current() if "FetchRecord.HeadersEntry." in line]
    assert len(values) == 1
    assert len(entries) == 2
    for line in (*values, *entries):
        assert broken(current(), [kept for kept in current() if kept != line]) == [line]


def test_an_addition_is_allowed():
    assert (
        broken(current(), [*current(), "skyblend.protos.v1.Place.country 7 string singular"]) == []
    )


def test_the_generated_code_is_current(tmp_path):
    sources = sorted(PROTOS.glob("skyblend/protos/v1/*.proto"))
    command = [
        sys.executable, "-m", "grpc_tools.protoc", "-I", str(PROTOS),
        f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", *map(str, sources),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    fresh = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.py*")}
    committed = {
        path.relative_to(PROTOS): path.read_bytes()
        for path in PROTOS.glob("skyblend/protos/v1/*_pb2.py*")
    }
    assert len(fresh) == 2 * len(sources)
    assert fresh == committed
