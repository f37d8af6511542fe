# SPDX-License-Identifier: Apache-2.0

"""Messages of random odd fields, for any type, by what the type says of itself."""

from __future__ import annotations

import array
import importlib
import math
import random
import re
import string
from typing import Any

import numpy as np

TEXTS = (
    "", " ", "\n", "\0", "a\0b", "find the person in red who waves", "the person", "?", "...",
    "NaN", "null", "true", "-1", "0", "%s%n", "{0}", "../../x", "<image>", "🤖🔥", "e\u0301\u0301",
    "\u202eevil", "искать человека", "rgb8", "bgr8", "mono8", "mono16", "16UC1", "32FC1", "8UC1",
    "bayer_rggb8", "yuv422", "rgb16", "png", "jpeg", "plumb_bob", "equidistant", "camera", "front",
    "person", "x" * 257, "y" * 10_000,
)  # fmt: skip
INTEGERS = {"int8": 8, "uint8": 8, "octet": 8, "int16": 16, "uint16": 16, "int32": 32, "uint32": 32,
            "int64": 64, "uint64": 64}  # fmt: skip
CODES = {"int8": "b", "uint8": "B", "octet": "B", "int16": "h", "uint16": "H", "int32": "i",
         "uint32": "I", "int64": "q", "uint64": "Q", "float": "f", "double": "d"}  # fmt: skip


def odd_text(chance: random.Random) -> str:
    """Mostly one of `TEXTS`; sometimes random characters."""
    if chance.random() < 0.1:
        return "".join(chance.choice(string.printable) for _ in range(chance.randrange(30)))
    return chance.choice(TEXTS)


def odd_integer(chance: random.Random, kind: str) -> int:
    """A number of the type, often one of its ends."""
    bits = INTEGERS[kind]
    low, high = (0, 2**bits - 1) if kind[0] in "uo" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    some = (0, 1, 2, 3, 48, 64, -1, 640, 999_999_999, low, high, high - 1)
    return min(max(chance.choice((*some, chance.randint(low, high))), low), high)


def odd_float(chance: random.Random, kind: str) -> float:
    """A number of the type, often one that is none."""
    top = 1.7e308 if kind == "double" else 3.4e38
    some = (0.0, -0.0, 1.0, -1.0, 0.5, math.nan, math.inf, -math.inf, 1e-40, 1e-12, top, -top)
    return chance.choice((*some, chance.uniform(-10, 10), chance.uniform(-1000, 1000)))


def value(kind: str, chance: random.Random, depth: int) -> Any:
    """A random value of a type, as `get_fields_and_field_types` names it."""
    if many := re.fullmatch(r"(?:sequence<)?([\w/]+)(?:, (\d+)>|>|\[(\d+)\])", kind):
        return _several(many[1], many[2], many[3], chance, depth)
    if kind == "octet":
        return bytes([chance.randrange(256)])
    if kind in INTEGERS:
        return odd_integer(chance, kind)
    if kind in ("float", "double"):
        return odd_float(chance, kind)
    if kind == "boolean":
        return chance.random() < 0.5
    if kind.startswith("string"):
        return odd_text(chance)
    package, name = kind.split("/")[0], kind.split("/")[-1]
    return message(getattr(importlib.import_module(f"{package}.msg"), name), chance, depth + 1)


def _several(
    kind: str, most: str | None, exact: str | None, chance: random.Random, depth: int
) -> Any:
    count = chance.choice((0, 0, 1, 1, 2, 3, 5, 17, 300))
    if exact is not None:
        count = int(exact)
    elif most is not None:
        count = min(count, int(most))
    values = [value(kind, chance, depth + 1) for _ in range(min(count, 20))]
    values = [values[index % len(values)] for index in range(count)]
    if kind not in CODES or kind == "octet":
        return values
    if exact is not None:
        return np.array(values, np.dtype(CODES[kind]))
    return array.array(CODES[kind], values)


def message(kind: type, chance: random.Random, depth: int = 0) -> Any:
    """A message, request or goal of random fields."""
    result = kind()
    for name, field in kind.get_fields_and_field_types().items():  # type: ignore[attr-defined]
        if depth > 4 or chance.random() > 0.9:
            continue
        nested = type(getattr(result, name))
        if hasattr(nested, "get_fields_and_field_types"):
            setattr(result, name, message(nested, chance, depth + 1))
        else:
            setattr(result, name, value(field, chance, depth))
    return result


def with_long_text(sent: Any, chance: random.Random) -> Any:
    """The message; one of its texts, if it has any, has up to a million characters now."""
    places = _texts(sent)
    if places:
        owner, name, listed = chance.choice(places)
        text = chance.choice(("x", "\u00e9", "a b ", "\n")) * chance.randint(1, 250_000)
        if listed:
            getattr(owner, name)[0] = text
        else:
            setattr(owner, name, text)
    return sent


def _texts(sent: Any) -> list[tuple[Any, str, bool]]:
    """Message, field, and whether the field is a list, of each text inside a message."""
    found = []
    for name in sent.get_fields_and_field_types():
        content = getattr(sent, name)
        listed = isinstance(content, list) and bool(content)
        first = content[0] if listed else content
        if isinstance(first, str):
            found.append((sent, name, listed))
        elif hasattr(first, "get_fields_and_field_types"):
            found += _texts(first)
    return found
