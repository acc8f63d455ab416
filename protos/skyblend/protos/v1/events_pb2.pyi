import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RawStored(_message.Message):
    __slots__ = ("object", "source", "received_at")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    object: str
    source: str
    received_at: _timestamp_pb2.Timestamp
    def __init__(self, object: _Optional[str] = ..., source: _Optional[str] = ..., received_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RecordsReady(_message.Message):
    __slots__ = ("object", "source", "latest_places", "forecasts", "observations", "quarantined")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LATEST_PLACES_FIELD_NUMBER: _ClassVar[int]
    FORECASTS_FIELD_NUMBER: _ClassVar[int]
    OBSERVATIONS_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    object: str
    source: str
    latest_places: _containers.RepeatedScalarFieldContainer[str]
    forecasts: int
    observations: int
    quarantined: int
    def __init__(self, object: _Optional[str] = ..., source: _Optional[str] = ..., latest_places: _Optional[_Iterable[str]] = ..., forecasts: _Optional[int] = ..., observations: _Optional[int] = ..., quarantined: _Optional[int] = ...) -> None: ...

class ModelPromoted(_message.Message):
    __slots__ = ("model_id", "variables", "promoted_at")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    PROMOTED_AT_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    variables: _containers.RepeatedScalarFieldContainer[str]
    promoted_at: _timestamp_pb2.Timestamp
    def __init__(self, model_id: _Optional[str] = ..., variables: _Optional[_Iterable[str]] = ..., promoted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CollectTask(_message.Message):
    __slots__ = ("source", "endpoint", "tick", "place_ids")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    PLACE_IDS_FIELD_NUMBER: _ClassVar[int]
    source: str
    endpoint: str
    tick: _timestamp_pb2.Timestamp
    place_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, source: _Optional[str] = ..., endpoint: _Optional[str] = ..., tick: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., place_ids: _Optional[_Iterable[str]] = ...) -> None: ...
