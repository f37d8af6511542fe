# SPDX-License-Identifier: Apache-2.0

"""Constants of a frozen TensorFlow graph (`GraphDef` in protobuf's wire format), as arrays.

Own code because TensorFlow weighs 600 MB, and only six message fields matter here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stvg_ros.errors import ModelError

# Field numbers of graph.proto, node_def.proto, attr_value.proto, tensor.proto.
_NODE, _NAME, _OP, _ATTRIBUTE = 1, 1, 2, 5
_KEY, _VALUE, _TENSOR = 1, 2, 8
_SHAPE, _CONTENT, _DIMENSION, _SIZE = 2, 4, 2, 1


def float_constants(path: Path) -> dict[str, NDArray[np.float32]]:
    """The float32 constants of a graph with more than one value, by the name of their node.

    Raises:
        ModelError: the file cannot be read, or is no frozen graph.
    """
    try:
        return dict(_constants(memoryview(path.read_bytes())))
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise ModelError(
            f"{path}: expected a frozen TensorFlow graph ({type(error).__name__}: {error}); "
            "install the package that holds it again"
        ) from error


def _constants(graph: memoryview) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for number, node, _ in _fields(graph):
        if number != _NODE or bytes(_part(node, _OP)) != b"Const":
            continue
        entries = [entry for key, entry, _ in _fields(node) if key == _ATTRIBUTE]
        values = {bytes(_part(entry, _KEY)): _part(entry, _VALUE) for entry in entries}
        tensor = _part(values[b"value"], _TENSOR)
        parts = {key: part for key, part, _ in _fields(tensor)}
        if _CONTENT not in parts or bytes(values[b"dtype"]) != b"\x30\x01":  # DT_FLOAT
            continue
        sizes = [
            size
            for key, dimension, _ in _fields(parts[_SHAPE])
            if key == _DIMENSION
            for part, _, size in _fields(dimension)
            if part == _SIZE
        ]
        name = bytes(_part(node, _NAME)).decode()
        yield name, np.frombuffer(parts[_CONTENT], "<f4").reshape(sizes)


def _part(message: memoryview, number: int) -> memoryview:
    """The bytes of a field. Raises: KeyError."""
    return {key: part for key, part, _ in _fields(message)}[number]


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, int]]:
    """Of each field the number, the bytes of a string or message, and the value of a number."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, message[:0], value
            continue
        if kind == 2:
            size, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if at + size > len(message):
            raise ValueError(f"a field of {size} bytes at byte {at} of {len(message)}")
        yield number, message[at : at + size], 0
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError(f"a number of more than 64 bits at byte {at}")
