# SPDX-License-Identifier: Apache-2.0

"""Typed records as msgpack and back: the types of the dataclasses are the schema.

Nothing is executed and no class is named by the bytes: the reader says which record it expects,
and every field is checked against its type.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import IntEnum
from typing import Any, Generic, Literal, TypeVar, Union, cast

import msgpack
import numpy as np

from stvg_ros.errors import StvgError

MAX_TEXT_BYTES = 16_384
MAX_ITEMS = 65_536  # of a list
_MAX_DIMENSIONS = 4
_INT64 = 2**63

_LIMITS: dict[str, Any] = {
    "raw": False,
    "strict_map_key": True,
    "max_str_len": MAX_TEXT_BYTES,
    "max_array_len": MAX_ITEMS,
    "max_map_len": 256,
    "max_ext_len": 0,
}

T = TypeVar("T")


class SchemaError(StvgError):
    """Bytes that are not the expected record."""


def packed(record: Any) -> bytes:
    """A record (dataclass) as msgpack."""
    return cast(bytes, msgpack.packb(_plain(record), use_bin_type=True))


def unpacked(kind: type[T], body: bytes) -> T:
    """The record of type `kind` in `body`.

    Raises:
        SchemaError: the body is not msgpack, or not such a record.
    """
    try:
        value = msgpack.unpackb(body, **_LIMITS)
    except Exception as error:  # the library raises a dozen unrelated types
        raise _undecodable(kind, len(body), error) from error
    return typed(kind, value)


class Stream(Generic[T]):
    """Records of one type that arrive in pieces."""

    def __init__(self, kind: type[T], max_bytes: int) -> None:
        """`max_bytes` bounds what may be on its way to a record."""
        self._kind = kind
        self._unpacker = msgpack.Unpacker(max_buffer_size=max_bytes, **_LIMITS)

    def feed(self, piece: bytes) -> list[T]:
        """The records that are complete with this piece. Raises: SchemaError."""
        try:
            self._unpacker.feed(piece)
            values = list(self._unpacker)
        except Exception as error:
            raise _undecodable(self._kind, len(piece), error) from error
        return [typed(self._kind, value) for value in values]


def _undecodable(kind: type, nbytes: int, error: Exception) -> SchemaError:
    return SchemaError(
        f"{kind.__name__}: expected msgpack, got {nbytes} bytes that do not decode "
        f"({type(error).__name__}: {error})"
    )


def typed(kind: type[T], value: object) -> T:
    """The record of type `kind` made of maps and lists.

    Raises:
        SchemaError: naming the place, what was expected and what came.
    """
    return cast(T, _typed(kind, value, kind.__name__))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, np.ndarray):
        little = value.astype(value.dtype.newbyteorder("<"))
        return {"shape": list(value.shape), "data": little.tobytes()}
    if isinstance(value, Mapping):  # as pairs: keys may be numbers
        return [[_plain(key), _plain(item)] for key, item in value.items()]
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, IntEnum):
        return int(value)
    return value


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _typed(kind: Any, value: Any, place: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if not any(type(value) is type(choice) and value == choice for choice in arguments):
            raise _unexpected(place, f"one of {', '.join(map(repr, arguments))}", value)
        return value
    if origin in (Union, types.UnionType):
        return _one_of(arguments, value, place)
    if origin is tuple:
        return _tuple(arguments, value, place)
    if origin is not None and issubclass(origin, Mapping):
        return dict(_tuple((types.GenericAlias(tuple, arguments), ...), value, place))
    if origin is np.ndarray:
        return _array(np.dtype(typing.get_args(arguments[1])[0]), value, place)
    if is_dataclass(kind):
        return _record(cast(type, kind), value, place)
    if isinstance(kind, type) and issubclass(kind, IntEnum):
        number = _typed(int, value, place)
        try:
            return kind(number)
        except ValueError:
            raise _unexpected(place, f"a {kind.__name__}", value) from None
    if kind is float and type(value) is int:
        value = float(value)
    if kind is int and type(value) is int and not -_INT64 <= value < _INT64:
        raise _unexpected(place, "an integer of 64 bits", value)
    if type(value) is not kind:
        raise _unexpected(place, getattr(kind, "__name__", str(kind)), value)
    return value


def _record(kind: type, value: Any, place: str) -> Any:
    if type(value) is not dict:
        raise _unexpected(place, f"a map, {kind.__name__}", value)
    hints, known = _hints(kind), fields(kind)
    unknown = value.keys() - {item.name for item in known}
    if unknown:
        raise SchemaError(f"{place}: unknown field {min(map(str, unknown))!r}")
    given = {}
    for item in known:
        if item.name in value:
            given[item.name] = _typed(hints[item.name], value[item.name], f"{place}.{item.name}")
        elif item.default is MISSING and item.default_factory is MISSING:
            raise SchemaError(f"{place}: the field {item.name!r} is missing")
    try:
        return kind(**given)
    except ValueError as error:
        raise SchemaError(f"{place}: {error}") from error


def _tuple(kinds: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:
    if type(value) is not list:
        raise _unexpected(place, "a list", value)
    if kinds[1:] == (Ellipsis,):
        kinds = kinds[:1] * len(value)
    if len(value) != len(kinds):
        raise SchemaError(f"{place}: expected {len(kinds)} items, got {len(value)}")
    return tuple(
        _typed(kind, item, f"{place}[{index}]")
        for index, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _one_of(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    rest = [kind for kind in kinds if kind is not type(None)]
    for kind in rest:
        if type(value) is kind or (typing.get_origin(kind) is Literal and isinstance(value, str)):
            return _typed(kind, value, place)
    return _typed(rest[-1], value, place)


def _array(dtype: np.dtype[Any], value: Any, place: str) -> Any:
    if type(value) is not dict or value.keys() != {"shape", "data"}:
        raise _unexpected(place, "an array: a map of shape and data", value)
    shape = _typed(tuple[int, ...], value["shape"], f"{place}.shape")
    data = _typed(bytes, value["data"], f"{place}.data")
    if len(shape) > _MAX_DIMENSIONS or any(size < 0 for size in shape):
        raise _unexpected(place, f"at most {_MAX_DIMENSIONS} dimensions", shape)
    count = 1
    for size in shape:
        count *= size
    if count * dtype.itemsize != len(data):
        raise SchemaError(
            f"{place}: expected {count * dtype.itemsize} bytes for {shape} {dtype}, got {len(data)}"
        )
    array = np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
    if dtype == np.bool_ and np.any(np.frombuffer(data, np.uint8) > 1):
        raise SchemaError(f"{place}: expected bytes of 0 and 1")
    return array


def _unexpected(place: str, wanted: str, value: object) -> SchemaError:
    return SchemaError(f"{place}: expected {wanted}, got {value!r:.60} ({type(value).__name__})")
