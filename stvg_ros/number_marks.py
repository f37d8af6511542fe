# SPDX-License-Identifier: Apache-2.0

"""Numbers drawn into images, for questions about what they mark (OpenCV)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_HEIGHT_SHARE, _LEAST_PX = 0.07, 9  # of a digit, of the image's height
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def with_numbers(
    image: NDArray[np.uint8],
    boxes: Mapping[int, Sequence[float]],
    ordinal: int | None = None,
    corner: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.uint8]:
    """A copy of an RGB image `(h, w, 3)` with white numbers on black.

    Args:
        image: the image.
        boxes: by the number that is drawn at the middle of its upper edge, a box in pixels of the
            image, which gets an outline.
        ordinal: a number for the corner; None draws none.
        corner: left and top edge of what is seen, as shares of the image.
    """
    drawn: NDArray[np.uint8] = np.array(image, np.uint8, order="C")
    height, width = drawn.shape[:2]
    for number, (x1, y1, x2, y2) in boxes.items():
        low, high = (int(x1), int(y1)), (int(x2), int(y2))
        cv2.rectangle(drawn, low, high, _WHITE, max(1, round(height / 240)))
        _draw(drawn, str(number), (x1 + x2) / 2, y1, centred=True)
    if ordinal is not None:
        _draw(drawn, str(ordinal), corner[0] * width, corner[1] * height, centred=False)
    return drawn


def _draw(image: NDArray[np.uint8], text: str, x: float, y: float, *, centred: bool) -> None:
    """Draws a text below a point, moved into the image."""
    height, width = image.shape[:2]
    wanted = max(_LEAST_PX, round(_HEIGHT_SHARE * height))
    thickness = max(1, round(wanted / 9))
    scale = cv2.getFontScaleFromHeight(_FONT, wanted, thickness)
    (long, tall), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    margin = thickness + 1
    wide, high = long + 2 * margin, tall + 2 * margin
    left = int(max(0, min(width - wide, x - wide / 2 if centred else x)))
    top = int(max(0, min(height - high, y)))
    cv2.rectangle(image, (left, top), (left + wide - 1, top + high - 1), _BLACK, -1)
    place = left + margin, top + high - 1 - margin
    cv2.putText(image, text, place, _FONT, scale, _WHITE, thickness, cv2.LINE_AA)
