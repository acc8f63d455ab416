import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from skyblend.protos.v1 import records_pb2 as _records_pb2
from skyblend.protos.v1 import variables_pb2 as _variables_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Issued(_message.Message):
    __slots__ = ("place", "issued_at", "inputs", "simulated", "series", "sources", "missing", "members", "note")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    SIMULATED_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    place: _records_pb2.Place
    issued_at: _timestamp_pb2.Timestamp
    inputs: str
    simulated: bool
    series: _containers.RepeatedCompositeFieldContainer[IssuedSeries]
    sources: _containers.RepeatedCompositeFieldContainer[Contribution]
    missing: _containers.RepeatedScalarFieldContainer[str]
    members: _containers.RepeatedCompositeFieldContainer[_records_pb2.RunSeries]
    note: str
    def __init__(self, place: _Optional[_Union[_records_pb2.Place, _Mapping]] = ..., issued_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., inputs: _Optional[str] = ..., simulated: _Optional[bool] = ..., series: _Optional[_Iterable[_Union[IssuedSeries, _Mapping]]] = ..., sources: _Optional[_Iterable[_Union[Contribution, _Mapping]]] = ..., missing: _Optional[_Iterable[str]] = ..., members: _Optional[_Iterable[_Union[_records_pb2.RunSeries, _Mapping]]] = ..., note: _Optional[str] = ...) -> None: ...

class IssuedSeries(_message.Message):
    __slots__ = ("variable", "period", "model_id", "valid_at", "mean", "level", "quantile", "forecasters")
    VARIABLE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    VALID_AT_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    QUANTILE_FIELD_NUMBER: _ClassVar[int]
    FORECASTERS_FIELD_NUMBER: _ClassVar[int]
    variable: _variables_pb2.Variable
    period: int
    model_id: str
    valid_at: _containers.RepeatedScalarFieldContainer[int]
    mean: _containers.RepeatedScalarFieldContainer[float]
    level: _containers.RepeatedScalarFieldContainer[float]
    quantile: _containers.RepeatedScalarFieldContainer[float]
    forecasters: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, variable: _Optional[_Union[_variables_pb2.Variable, str]] = ..., period: _Optional[int] = ..., model_id: _Optional[str] = ..., valid_at: _Optional[_Iterable[int]] = ..., mean: _Optional[_Iterable[float]] = ..., level: _Optional[_Iterable[float]] = ..., quantile: _Optional[_Iterable[float]] = ..., forecasters: _Optional[_Iterable[int]] = ...) -> None: ...

class Contribution(_message.Message):
    __slots__ = ("source", "model", "issued_at", "received_at", "variable", "period", "attribution")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    VARIABLE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    source: str
    model: str
    issued_at: _timestamp_pb2.Timestamp
    received_at: _timestamp_pb2.Timestamp
    variable: _variables_pb2.Variable
    period: int
    attribution: _records_pb2.Attribution
    def __init__(self, source: _Optional[str] = ..., model: _Optional[str] = ..., issued_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., received_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., variable: _Optional[_Union[_variables_pb2.Variable, str]] = ..., period: _Optional[int] = ..., attribution: _Optional[_Union[_records_pb2.Attribution, _Mapping]] = ...) -> None: ...

class LedgerSegment(_message.Message):
    __slots__ = ("number", "previous", "issued_at", "issued", "sha256")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_FIELD_NUMBER: _ClassVar[int]
    ISSUED_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    number: int
    previous: bytes
    issued_at: _timestamp_pb2.Timestamp
    issued: _containers.RepeatedCompositeFieldContainer[Issued]
    sha256: bytes
    def __init__(self, number: _Optional[int] = ..., previous: _Optional[bytes] = ..., issued_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., issued: _Optional[_Iterable[_Union[Issued, _Mapping]]] = ..., sha256: _Optional[bytes] = ...) -> None: ...
