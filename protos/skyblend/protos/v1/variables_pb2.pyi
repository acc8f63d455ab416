from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KIND_UNSPECIFIED: _ClassVar[Kind]
    INSTANT: _ClassVar[Kind]
    SUM: _ClassVar[Kind]
    EXTREME: _ClassVar[Kind]
    MEAN: _ClassVar[Kind]
    OCCURRENCE: _ClassVar[Kind]

class Variable(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VARIABLE_UNSPECIFIED: _ClassVar[Variable]
    TEMPERATURE_2M: _ClassVar[Variable]
    DEW_POINT_2M: _ClassVar[Variable]
    RELATIVE_HUMIDITY_2M: _ClassVar[Variable]
    PRESSURE_MSL: _ClassVar[Variable]
    SURFACE_PRESSURE: _ClassVar[Variable]
    WIND_SPEED_10M: _ClassVar[Variable]
    WIND_GUSTS_10M: _ClassVar[Variable]
    WIND_DIRECTION_10M: _ClassVar[Variable]
    PRECIPITATION: _ClassVar[Variable]
    PRECIPITATION_PROBABILITY: _ClassVar[Variable]
    SNOWFALL: _ClassVar[Variable]
    CLOUD_COVER: _ClassVar[Variable]
    VISIBILITY: _ClassVar[Variable]
    SHORTWAVE_RADIATION: _ClassVar[Variable]
    WEATHER_CODE: _ClassVar[Variable]
    TEMPERATURE_2M_MAX: _ClassVar[Variable]
    TEMPERATURE_2M_MIN: _ClassVar[Variable]
    PRECIPITATION_SUM: _ClassVar[Variable]
KIND_UNSPECIFIED: Kind
INSTANT: Kind
SUM: Kind
EXTREME: Kind
MEAN: Kind
OCCURRENCE: Kind
VARIABLE_UNSPECIFIED: Variable
TEMPERATURE_2M: Variable
DEW_POINT_2M: Variable
RELATIVE_HUMIDITY_2M: Variable
PRESSURE_MSL: Variable
SURFACE_PRESSURE: Variable
WIND_SPEED_10M: Variable
WIND_GUSTS_10M: Variable
WIND_DIRECTION_10M: Variable
PRECIPITATION: Variable
PRECIPITATION_PROBABILITY: Variable
SNOWFALL: Variable
CLOUD_COVER: Variable
VISIBILITY: Variable
SHORTWAVE_RADIATION: Variable
WEATHER_CODE: Variable
TEMPERATURE_2M_MAX: Variable
TEMPERATURE_2M_MIN: Variable
PRECIPITATION_SUM: Variable
UNIT_FIELD_NUMBER: _ClassVar[int]
unit: _descriptor.FieldDescriptor
KIND_FIELD_NUMBER: _ClassVar[int]
kind: _descriptor.FieldDescriptor
DEFAULT_PERIOD_FIELD_NUMBER: _ClassVar[int]
default_period: _descriptor.FieldDescriptor
