# SPDX-License-Identifier: Apache-2.0

"""The orientation in which a video is shown: the display matrix of its frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from numpy.typing import NDArray


def _of_unknown_kind(kinds: Any, value: int) -> Any:
    """A member for a kind of side data that FFmpeg knows and PyAV does not, such as EXIF (31).

    PyAV raises on one, and then gives no side data of the picture at all.
    """
    member = object.__new__(kinds)
    member._name_, member._value_ = f"UNKNOWN_{value}", value
    return member


SideDataType._missing_ = classmethod(_of_unknown_kind)


def upright_size(picture: Any) -> tuple[int, int]:
    """Width and height as the picture is shown."""
    size = int(picture.width), int(picture.height)
    return size[::-1] if turn_of(picture)[0] else size


def turn_of(picture: Any) -> tuple[bool, bool, bool]:
    """Whether the display matrix swaps the axes, and then mirrors x and y of the result."""
    data = picture.side_data.get("DISPLAYMATRIX")
    if data is None:
        return False, False, False
    matrix = np.frombuffer(bytes(data), np.int32).astype(np.int64)
    # A pixel (x, y) is shown at (a x + c y, b x + d y).
    a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0


def upright(image: NDArray[np.uint8], turn: tuple[bool, bool, bool]) -> NDArray[np.uint8]:
    """The image `(h, w, 3)` rotated and mirrored as it is shown."""
    swapped, mirrored_x, mirrored_y = turn
    shown = image.transpose(1, 0, 2) if swapped else image
    shown = shown[:: -1 if mirrored_y else 1, :: -1 if mirrored_x else 1]
    return np.ascontiguousarray(shown)
