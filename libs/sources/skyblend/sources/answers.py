"""Reading JSON answers as columns: types are checked, and what is wrong is named by its path."""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray
from skyblend.sources.contract import BadPayload, Payload

_NUMBERS = {float, int, type(None)}
_SAMPLE = 80
_QUOTE = ord('"')
_ENDS_KEY = np.isin(np.arange(256), list(b": \t\r\n"))


@dataclass(frozen=True, slots=True)
class Json:
    """A body that was read; not `plain` where `true` or `false` may stand among its numbers."""

    value: object
    plain: bool


@dataclass(frozen=True, slots=True)
class Answers:
    """The reader of one source's JSON, so that every refusal carries the source's name."""

    source: str

    def bad(self, where: str, expected: str, got: str) -> BadPayload:
        """The refusal of this source, with what came cut short."""
        return BadPayload(self.source, where=where, expected=expected, got=got[:_SAMPLE])

    def json(self, payload: Payload) -> Json | None:
        """The body as JSON; None for an answer without content (204, 304). Raises BadPayload."""
        if payload.status in (204, 304):
            return None
        body = payload.body.read()
        if payload.status >= 400:
            raise self._failed(payload.status, body)
        try:
            value: object = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            where = f"line {error.lineno} column {error.colno}"
            near = body.decode("utf-8", "replace")[max(error.pos - 20, 0) :][:_SAMPLE]
            raise self.bad(where, "JSON", f"{error.msg.split(':')[0]}: {near!r}") from error
        self._check_keys(body, value)
        return Json(value, b"true" not in body and b"false" not in body)

    def _check_keys(self, body: bytes, value: object) -> None:
        """That no object names a key twice: the reader would take the last, and nobody knows which
        is right. Keys are counted first, which costs next to nothing."""
        try:
            if _written_keys(body) > _keys(value):
                json.loads(body, object_pairs_hook=self._once)
        except RecursionError as error:
            raise self.bad(
                "$", "objects and arrays a few deep", "hundreds in each other"
            ) from error

    def _once(self, pairs: list[tuple[str, object]]) -> None:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise self.bad(f"key {twice[:_SAMPLE]!r}", "each key once in its object", "it again")

    def _failed(self, status: int, body: bytes) -> BadPayload:
        text = body[:400].decode("utf-8", "replace").strip()
        return self.bad("status", "200", f"{status} {text}".strip())

    def mapping(self, value: object, where: str) -> Mapping[str, object]:
        """A JSON object. Raises BadPayload."""
        if not isinstance(value, dict):
            raise self.bad(where, "an object", kind(value))
        return value

    def sequence(self, value: object, where: str) -> Sequence[object]:
        """A JSON array. Raises BadPayload."""
        if not isinstance(value, list):
            raise self.bad(where, "an array", kind(value))
        return value

    def text(self, value: object, where: str) -> str:
        """A JSON string. Raises BadPayload."""
        if not isinstance(value, str):
            raise self.bad(where, "a text", kind(value))
        return value

    def number(self, value: object, where: str, low: float, high: float) -> float:
        """A finite number between two limits. Raises BadPayload."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.bad(where, "a number", kind(value))
        if not low <= value <= high:
            raise self.bad(where, f"a number from {low:g} to {high:g}", str(value))
        return float(value)

    def columns(
        self, arrays: Sequence[object], wheres: Sequence[str], length: int, *, plain: bool
    ) -> NDArray[np.float64]:
        """Arrays of numbers and nulls as rows of float64 [arrays, length], null as NaN.

        Raises BadPayload for any other type or length. `plain` is that of the body: what packs as a
        number is one then, and no type is asked for.
        """
        table = np.empty((len(arrays), length))
        numbers = struct.Struct(f"{length}d")
        for row, values, where in zip(table, arrays, wheres, strict=True):
            items = self.sequence(values, where)
            if len(items) != length:
                raise self.bad(where, f"{length} values", str(len(items)))
            try:
                if not plain:
                    self._check_types(items, where)
                numbers.pack_into(row.data, 0, *items)
            except (struct.error, OverflowError):
                self._check_types(items, where)
                row[:] = np.array(items, dtype=np.float64)
        if not np.isfinite(table.sum()):
            self._check_finite(table, arrays, wheres)
        return table

    def _check_types(self, items: Sequence[object], where: str) -> None:
        if not _NUMBERS.issuperset(map(type, items)):
            index = next(i for i, item in enumerate(items) if type(item) not in _NUMBERS)
            raise self.bad(f"{where}[{index}]", "a number or null", kind(items[index]))

    def _check_finite(
        self, table: NDArray[np.float64], arrays: Sequence[object], wheres: Sequence[str]
    ) -> None:
        infinite = np.isinf(table)
        if infinite.any():
            row, index = (int(at[0]) for at in np.nonzero(infinite))
            got = str(self.sequence(arrays[row], wheres[row])[index])
            raise self.bad(f"{wheres[row]}[{index}]", "a finite number", got)


def _written_keys(body: bytes) -> int:
    """How many quotation marks stand before a colon or a blank: one or more for each key."""
    letters = np.frombuffer(body, np.uint8)
    after = letters[1:][letters[:-1] == _QUOTE]
    return int(np.count_nonzero(_ENDS_KEY[after]))


def _keys(value: object) -> int:
    """How many keys all objects of a value have; arrays of numbers or texts are passed over."""
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    if isinstance(value, list) and value and isinstance(value[0], (dict, list)):
        return sum(map(_keys, value))
    return 0


def kind(value: object) -> str:
    """A JSON value in words, short enough for a message."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    return (
        {None: "null", True: "true", False: "false"}.get(value, repr(value))
        if (value is None or isinstance(value, bool))
        else repr(value)
    )
