# SPDX-License-Identifier: Apache-2.0

"""Checks fields of parsed JSON and collects their errors."""

from __future__ import annotations

import math
from typing import Any

Box = tuple[float, float, float, float]


class FieldChecks:
    """Reads fields and collects their errors.

    Attributes:
        name: of the file, in messages.
        problems: a line for each error.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[str] = []

    def wrong(self, field: str, expected: str, got: object) -> None:
        shown = repr(got)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        self.problems.append(f"{self.name}: {field}: expected {expected}, got {shown}")

    def pair(
        self, value: Any, field: str, what: str, *, optional: bool = False
    ) -> tuple[int, int] | None:
        """Two whole numbers, the second not below the first if they are stamps."""
        if value is None and optional:
            return None
        if not (isinstance(value, list) and len(value) == 2 and all(map(whole_number, value))):
            self.wrong(field, f"two {what}" + (" or null" if optional else ""), value)
            return None
        if what == "stamps" and value[1] < value[0]:
            self.wrong(field, "an end that is not before the start", value)
            return None
        return value[0], value[1]


def whole_number(value: object) -> bool:
    """Whether a value is a whole number from 0 to 2^63 - 1; `True` is none."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def checked_box(value: Any, size_px: tuple[int, int] | None) -> Box | str:
    """The box, or the violated requirement: finite, not empty, in an image of `size_px`."""
    numbers = isinstance(value, list) and len(value) == 4
    if not numbers or not all(
        isinstance(edge, (int, float)) and not isinstance(edge, bool) for edge in value
    ):
        return "four numbers x1, y1, x2, y2"
    try:
        x1, y1, x2, y2 = map(float, value)
    except OverflowError:  # a whole number beyond 1.8e308
        return "finite numbers"
    # Written so that NaN fails too.
    if not (-math.inf < x1 < x2 < math.inf and -math.inf < y1 < y2 < math.inf):
        return "a box with x1 < x2 and y1 < y2"
    if size_px is not None and not (x2 > 0 and y2 > 0 and x1 < size_px[0] and y1 < size_px[1]):
        return f"a box that meets the image of {size_px[0]} x {size_px[1]} px"
    return x1, y1, x2, y2
