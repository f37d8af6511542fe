# SPDX-License-Identifier: Apache-2.0

"""Encodes typed records as msgpack and decodes them (msgspec); dataclass types are the schema.

Decoding executes nothing, and the bytes name no class: the reader chooses the record type. For
each dataclass a strict record type is derived once, which refuses unknown fields and bounds every
text and list while reading, before memory is allocated. A record states its own bounds in its
annotations.
"""

from __future__ import annotations

import functools
import re
import struct
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, cast

import msgspec
import numpy as np
from msgspec import Meta

from stvg_ros.errors import ErrorCode, StvgError

MAX_TEXT_CHARACTERS = 16_384
MAX_ITEMS = 65_536  # of a list or a map
MAX_DIMENSIONS = 4
_LENGTH = struct.Struct(">I")  # before each record of a stream

T = TypeVar("T")


class SchemaError(StvgError):
    """A request that cannot be read: it does not decode as the expected record."""

    code = ErrorCode.INVALID_COMMAND


class ArrayRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An array: its shape, and its values in C order, little-endian."""

    shape: Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(max_length=MAX_DIMENSIONS)]
    data: bytes


def encoded_record(record: Any) -> bytes:
    """A record (dataclass) as msgpack."""
    return msgspec.msgpack.encode(record, enc_hook=_plain)


def decoded_record(kind: type[T], body: bytes) -> T:
    """The record of type `kind` in `body`.

    Raises:
        SchemaError: the body is not msgpack, or not such a record.
        StvgError: the record refuses its values.
    """
    try:
        strict = _decoder(cast(Any, kind)).decode(body)
        return msgspec.convert(strict, kind, from_attributes=True, dec_hook=_array)
    except StvgError:
        raise
    except msgspec.ValidationError as error:
        raise SchemaError(_worded(kind, str(error))) from error
    except Exception as error:  # damaged bytes, or sizes that no array can have
        raise SchemaError(
            f"{kind.__name__}: expected msgpack, got {len(body)} bytes that do not decode "
            f"({type(error).__name__}: {str(error)[:100]})"
        ) from error


def encoded_item(record: Any) -> bytes:
    """A record of a stream: its length as four bytes, big-endian, then the record."""
    body = encoded_record(record)
    return _LENGTH.pack(len(body)) + body


class RecordStream(Generic[T]):
    """Decodes records of `encoded_item` that arrive in pieces."""

    def __init__(self, kind: type[T], max_bytes: int) -> None:
        """`max_bytes` bounds a record."""
        self._kind = kind
        self._max_bytes = max_bytes
        self._rest = bytearray()

    def feed(self, piece: bytes) -> list[T]:
        """The records completed by this piece. Raises: as `decoded_record`."""
        self._rest += piece
        records = []
        while len(self._rest) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._rest)
            if length > self._max_bytes:
                raise SchemaError(
                    f"{self._kind.__name__}: expected records of at most {self._max_bytes} bytes "
                    f"preceded by their length, got {length} that do not decode"
                )
            end = _LENGTH.size + length
            if len(self._rest) < end:
                break
            records.append(decoded_record(self._kind, bytes(self._rest[_LENGTH.size : end])))
            del self._rest[:end]
        return records


def _plain(value: Any) -> Any:
    """Converts NumPy values, which msgspec does not support."""
    if isinstance(value, np.ndarray):
        little = value.astype(value.dtype.newbyteorder("<"), copy=False)
        return {"shape": value.shape, "data": little.tobytes()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be encoded")


def _array(kind: Any, value: Any) -> Any:
    """The array of type `kind` (an NDArray) from its record."""
    if not isinstance(value, ArrayRecord):
        raise ValueError(f"expected an array, got {type(value).__name__}")
    dtype = np.dtype(typing.get_args(typing.get_args(kind)[1])[0])
    count = 1
    for size in value.shape:
        count *= size
    if count * dtype.itemsize != len(value.data):
        raise ValueError(
            f"expected {count * dtype.itemsize} bytes for {value.shape} {dtype}, "
            f"got {len(value.data)}"
        )
    if dtype == np.bool_ and np.any(np.frombuffer(value.data, np.uint8) > 1):
        raise ValueError("expected bytes of 0 and 1")
    little = np.frombuffer(value.data, dtype.newbyteorder("<"))
    return little.astype(dtype).reshape(value.shape)


@functools.cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(_strict_record(kind))


@functools.cache
def _strict_record(kind: Any) -> type[msgspec.Struct]:
    """The record type of a dataclass: the same fields, bounded; unknown ones are refused."""
    hints = typing.get_type_hints(kind, include_extras=True)
    items: list[Any] = []
    for item in fields(kind):
        strict = _strict(hints[item.name])
        if item.default_factory is not MISSING:
            items.append((item.name, strict, msgspec.field(default_factory=item.default_factory)))
        elif item.default is not MISSING:
            items.append((item.name, strict, item.default))
        else:
            items.append((item.name, strict))
    return msgspec.defstruct(kind.__name__, items, frozen=True, forbid_unknown_fields=True)


def _strict(kind: Any) -> Any:
    """The bounded type of a field."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        inner = _strict(arguments[0])
        if typing.get_origin(inner) is Annotated:  # the bounds of the field replace the usual ones
            inner = typing.get_args(inner)[0]
        bounded = (inner, *arguments[1:])
        return cast(Any, Annotated)[bounded]
    if origin is Literal:
        return kind
    if origin in (Union, types.UnionType):
        return Union[tuple(_strict(one) for one in arguments)]  # noqa: UP007
    if origin is np.ndarray:
        return ArrayRecord
    if origin is tuple:
        items = tuple(one if one is Ellipsis else _strict(one) for one in arguments)
        kind = types.GenericAlias(tuple, items)
        return Annotated[kind, Meta(max_length=MAX_ITEMS)] if Ellipsis in items else kind
    if origin is not None and issubclass(origin, Mapping):
        kind = dict[_strict(arguments[0]), _strict(arguments[1])]  # type: ignore[misc]
        return Annotated[kind, Meta(max_length=MAX_ITEMS)]
    if kind is str:
        return Annotated[str, Meta(max_length=MAX_TEXT_CHARACTERS)]
    if kind is int:
        return Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    return _strict_record(cast(Any, kind)) if is_dataclass(kind) else kind


_WORDING = (
    (re.compile(r"Object contains unknown field `(.*)`", re.DOTALL), r"unknown field '\1'"),
    (re.compile(r"Object missing required field `(.*)`"), r"the field '\1' is missing"),
    (re.compile(r"^Expected "), "expected "),
    (re.compile(r"`object( \| null)?`"), "a map"),
    (re.compile(r"`array`"), "a list"),
    (re.compile(r"`"), ""),
)


def _worded(kind: type, message: str) -> str:
    """msgspec's message with the place first, bounded; a place consists of names of fields."""
    said, _, path = message.partition(" - at `$")
    for pattern, words in _WORDING:
        said = pattern.sub(words, said)
    return f"{kind.__name__}{path.rstrip('`')}: {said[:200]}"
