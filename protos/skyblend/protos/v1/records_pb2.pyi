import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from skyblend.protos.v1 import variables_pb2 as _variables_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ObservationKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OBSERVATION_KIND_UNSPECIFIED: _ClassVar[ObservationKind]
    STATION: _ClassVar[ObservationKind]
    ANALYSIS: _ClassVar[ObservationKind]
    USER: _ClassVar[ObservationKind]
OBSERVATION_KIND_UNSPECIFIED: ObservationKind
STATION: ObservationKind
ANALYSIS: ObservationKind
USER: ObservationKind

class QualityFlag(_message.Message):
    __slots__ = ("variable", "check", "reason")
    VARIABLE_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    variable: _variables_pb2.Variable
    check: str
    reason: str
    def __init__(self, variable: _Optional[_Union[_variables_pb2.Variable, str]] = ..., check: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Forecast(_message.Message):
    __slots__ = ("source", "model", "member", "place_id", "issued_at", "valid_at", "period", "known_at", "received_at", "latitude", "longitude", "elevation", "raw", "flags", "temperature_2m", "dew_point_2m", "relative_humidity_2m", "pressure_msl", "surface_pressure", "wind_speed_10m", "wind_gusts_10m", "wind_direction_10m", "precipitation", "precipitation_probability", "snowfall", "cloud_cover", "visibility", "shortwave_radiation", "weather_code", "temperature_2m_max", "temperature_2m_min", "precipitation_sum")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    PLACE_ID_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_AT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    KNOWN_AT_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    ELEVATION_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_2M_FIELD_NUMBER: _ClassVar[int]
    DEW_POINT_2M_FIELD_NUMBER: _ClassVar[int]
    RELATIVE_HUMIDITY_2M_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_MSL_FIELD_NUMBER: _ClassVar[int]
    SURFACE_PRESSURE_FIELD_NUMBER: _ClassVar[int]
    WIND_SPEED_10M_FIELD_NUMBER: _ClassVar[int]
    WIND_GUSTS_10M_FIELD_NUMBER: _ClassVar[int]
    WIND_DIRECTION_10M_FIELD_NUMBER: _ClassVar[int]
    PRECIPITATION_FIELD_NUMBER: _ClassVar[int]
    PRECIPITATION_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    SNOWFALL_FIELD_NUMBER: _ClassVar[int]
    CLOUD_COVER_FIELD_NUMBER: _ClassVar[int]
    VISIBILITY_FIELD_NUMBER: _ClassVar[int]
    SHORTWAVE_RADIATION_FIELD_NUMBER: _ClassVar[int]
    WEATHER_CODE_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_2M_MAX_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_2M_MIN_FIELD_NUMBER: _ClassVar[int]
    PRECIPITATION_SUM_FIELD_NUMBER: _ClassVar[int]
    source: str
    model: str
    member: str
    place_id: str
    issued_at: _timestamp_pb2.Timestamp
    valid_at: _timestamp_pb2.Timestamp
    period: int
    known_at: _timestamp_pb2.Timestamp
    received_at: _timestamp_pb2.Timestamp
    latitude: float
    longitude: float
    elevation: float
    raw: str
    flags: _containers.RepeatedCompositeFieldContainer[QualityFlag]
    temperature_2m: float
    dew_point_2m: float
    relative_humidity_2m: float
    pressure_msl: float
    surface_pressure: float
    wind_speed_10m: float
    wind_gusts_10m: float
    wind_direction_10m: float
    precipitation: float
    precipitation_probability: float
    snowfall: float
    cloud_cover: float
    visibility: float
    shortwave_radiation: float
    weather_code: float
    temperature_2m_max: float
    temperature_2m_min: float
    precipitation_sum: float
    def __init__(self, source: _Optional[str] = ..., model: _Optional[str] = ..., member: _Optional[str] = ..., place_id: _Optional[str] = ..., issued_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., valid_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., period: _Optional[int] = ..., known_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., received_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., latitude: _Optional[float] = ..., longitude: _Optional[float] = ..., elevation: _Optional[float] = ..., raw: _Optional[str] = ..., flags: _Optional[_Iterable[_Union[QualityFlag, _Mapping]]] = ..., temperature_2m: _Optional[float] = ..., dew_point_2m: _Optional[float] = ..., relative_humidity_2m: _Optional[float] = ..., pressure_msl: _Optional[float] = ..., surface_pressure: _Optional[float] = ..., wind_speed_10m: _Optional[float] = ..., wind_gusts_10m: _Optional[float] = ..., wind_direction_10m: _Optional[float] = ..., precipitation: _Optional[float] = ..., precipitation_probability: _Optional[float] = ..., snowfall: _Optional[float] = ..., cloud_cover: _Optional[float] = ..., visibility: _Optional[float] = ..., shortwave_radiation: _Optional[float] = ..., weather_code: _Optional[float] = ..., temperature_2m_max: _Optional[float] = ..., temperature_2m_min: _Optional[float] = ..., precipitation_sum: _Optional[float] = ...) -> None: ...

class Observation(_message.Message):
    __slots__ = ("source", "place_id", "observed_at", "period", "known_at", "received_at", "latitude", "longitude", "elevation", "raw", "flags", "kind", "temperature_2m", "dew_point_2m", "relative_humidity_2m", "pressure_msl", "surface_pressure", "wind_speed_10m", "wind_gusts_10m", "wind_direction_10m", "precipitation", "precipitation_probability", "snowfall", "cloud_cover", "visibility", "shortwave_radiation", "weather_code", "temperature_2m_max", "temperature_2m_min", "precipitation_sum")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    PLACE_ID_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    KNOWN_AT_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    ELEVATION_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_2M_FIELD_NUMBER: _ClassVar[int]
    DEW_POINT_2M_FIELD_NUMBER: _ClassVar[int]
    RELATIVE_HUMIDITY_2M_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_MSL_FIELD_NUMBER: _ClassVar[int]
    SURFACE_PRESSURE_FIELD_NUMBER: _ClassVar[int]
    WIND_SPEED_10M_FIELD_NUMBER: _ClassVar[int]
    WIND_GUSTS_10M_FIELD_NUMBER: _ClassVar[int]
    WIND_DIRECTION_10M_FIELD_NUMBER: _ClassVar[int]
    PRECIPITATION_FIELD_NUMBER: _ClassVar[int]
    PRECIPITATION_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    SNOWFALL_FIELD_NUMBER: _ClassVar[int]
    CLOUD_COVER_FIELD_NUMBER: _ClassVar[int]
    VISIBILITY_FIELD_NUMBER: _ClassVar[int]
    SHORTWAVE_RADIATION_FIELD_NUMBER: _ClassVar[int]
    WEATHER_CODE_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_2M_MAX_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_2M_MIN_FIELD_NUMBER: _ClassVar[int]
    PRECIPITATION_SUM_FIELD_NUMBER: _ClassVar[int]
    source: str
    place_id: str
    observed_at: _timestamp_pb2.Timestamp
    period: int
    known_at: _timestamp_pb2.Timestamp
    received_at: _timestamp_pb2.Timestamp
    latitude: float
    longitude: float
    elevation: float
    raw: str
    flags: _containers.RepeatedCompositeFieldContainer[QualityFlag]
    kind: ObservationKind
    temperature_2m: float
    dew_point_2m: float
    relative_humidity_2m: float
    pressure_msl: float
    surface_pressure: float
    wind_speed_10m: float
    wind_gusts_10m: float
    wind_direction_10m: float
    precipitation: float
    precipitation_probability: float
    snowfall: float
    cloud_cover: float
    visibility: float
    shortwave_radiation: float
    weather_code: float
    temperature_2m_max: float
    temperature_2m_min: float
    precipitation_sum: float
    def __init__(self, source: _Optional[str] = ..., place_id: _Optional[str] = ..., observed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., period: _Optional[int] = ..., known_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., received_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., latitude: _Optional[float] = ..., longitude: _Optional[float] = ..., elevation: _Optional[float] = ..., raw: _Optional[str] = ..., flags: _Optional[_Iterable[_Union[QualityFlag, _Mapping]]] = ..., kind: _Optional[_Union[ObservationKind, str]] = ..., temperature_2m: _Optional[float] = ..., dew_point_2m: _Optional[float] = ..., relative_humidity_2m: _Optional[float] = ..., pressure_msl: _Optional[float] = ..., surface_pressure: _Optional[float] = ..., wind_speed_10m: _Optional[float] = ..., wind_gusts_10m: _Optional[float] = ..., wind_direction_10m: _Optional[float] = ..., precipitation: _Optional[float] = ..., precipitation_probability: _Optional[float] = ..., snowfall: _Optional[float] = ..., cloud_cover: _Optional[float] = ..., visibility: _Optional[float] = ..., shortwave_radiation: _Optional[float] = ..., weather_code: _Optional[float] = ..., temperature_2m_max: _Optional[float] = ..., temperature_2m_min: _Optional[float] = ..., precipitation_sum: _Optional[float] = ...) -> None: ...

class Place(_message.Message):
    __slots__ = ("id", "latitude", "longitude", "elevation", "collect", "name")
    ID_FIELD_NUMBER: _ClassVar[int]
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    ELEVATION_FIELD_NUMBER: _ClassVar[int]
    COLLECT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    id: str
    latitude: float
    longitude: float
    elevation: float
    collect: bool
    name: str
    def __init__(self, id: _Optional[str] = ..., latitude: _Optional[float] = ..., longitude: _Optional[float] = ..., elevation: _Optional[float] = ..., collect: _Optional[bool] = ..., name: _Optional[str] = ...) -> None: ...

class FetchRecord(_message.Message):
    __slots__ = ("source", "endpoint", "url", "places", "tick", "status", "headers", "received_at", "sha256")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    source: str
    endpoint: str
    url: str
    places: _containers.RepeatedCompositeFieldContainer[Place]
    tick: _timestamp_pb2.Timestamp
    status: int
    headers: _containers.ScalarMap[str, str]
    received_at: _timestamp_pb2.Timestamp
    sha256: bytes
    def __init__(self, source: _Optional[str] = ..., endpoint: _Optional[str] = ..., url: _Optional[str] = ..., places: _Optional[_Iterable[_Union[Place, _Mapping]]] = ..., tick: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., status: _Optional[int] = ..., headers: _Optional[_Mapping[str, str]] = ..., received_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class RawAnswer(_message.Message):
    __slots__ = ("fetch", "body")
    FETCH_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    fetch: FetchRecord
    body: bytes
    def __init__(self, fetch: _Optional[_Union[FetchRecord, _Mapping]] = ..., body: _Optional[bytes] = ...) -> None: ...

class Upload(_message.Message):
    __slots__ = ("sha256", "file_name", "source", "received_at", "size", "collect")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    COLLECT_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    file_name: str
    source: str
    received_at: _timestamp_pb2.Timestamp
    size: int
    collect: bool
    def __init__(self, sha256: _Optional[str] = ..., file_name: _Optional[str] = ..., source: _Optional[str] = ..., received_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., size: _Optional[int] = ..., collect: _Optional[bool] = ...) -> None: ...

class Latest(_message.Message):
    __slots__ = ("place_id", "runs")
    PLACE_ID_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    place_id: str
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    def __init__(self, place_id: _Optional[str] = ..., runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ...) -> None: ...

class LatestPart(_message.Message):
    __slots__ = ("place_id", "latest")
    PLACE_ID_FIELD_NUMBER: _ClassVar[int]
    LATEST_FIELD_NUMBER: _ClassVar[int]
    place_id: _containers.RepeatedScalarFieldContainer[str]
    latest: _containers.RepeatedCompositeFieldContainer[Latest]
    def __init__(self, place_id: _Optional[_Iterable[str]] = ..., latest: _Optional[_Iterable[_Union[Latest, _Mapping]]] = ...) -> None: ...

class Attribution(_message.Message):
    __slots__ = ("text", "url", "licence")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    text: str
    url: str
    licence: str
    def __init__(self, text: _Optional[str] = ..., url: _Optional[str] = ..., licence: _Optional[str] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("source", "model", "issued_at", "known_at", "received_at", "series", "raw", "attribution")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_FIELD_NUMBER: _ClassVar[int]
    KNOWN_AT_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    source: str
    model: str
    issued_at: _timestamp_pb2.Timestamp
    known_at: _timestamp_pb2.Timestamp
    received_at: _timestamp_pb2.Timestamp
    series: _containers.RepeatedCompositeFieldContainer[RunSeries]
    raw: str
    attribution: Attribution
    def __init__(self, source: _Optional[str] = ..., model: _Optional[str] = ..., issued_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., known_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., received_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., series: _Optional[_Iterable[_Union[RunSeries, _Mapping]]] = ..., raw: _Optional[str] = ..., attribution: _Optional[_Union[Attribution, _Mapping]] = ...) -> None: ...

class RunSeries(_message.Message):
    __slots__ = ("variable", "period", "valid_at", "value", "received_at", "raw")
    VARIABLE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    VALID_AT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    variable: _variables_pb2.Variable
    period: int
    valid_at: _containers.RepeatedScalarFieldContainer[int]
    value: _containers.RepeatedScalarFieldContainer[float]
    received_at: _timestamp_pb2.Timestamp
    raw: str
    def __init__(self, variable: _Optional[_Union[_variables_pb2.Variable, str]] = ..., period: _Optional[int] = ..., valid_at: _Optional[_Iterable[int]] = ..., value: _Optional[_Iterable[float]] = ..., received_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., raw: _Optional[str] = ...) -> None: ...
