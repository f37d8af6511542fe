# SPDX-License-Identifier: Apache-2.0

"""A line chart of seconds over visual tokens."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, str]  # x, y, label
COLOURS = ((31, 119, 180), (214, 90, 20), (120, 120, 120))
WIDTH, HEIGHT = 900, 560
LEFT, RIGHT, TOP, BOTTOM = 90, 70, 72, 70


def chart(
    title: str, x_title: str, y_title: str, series: Sequence[tuple[str, Sequence[Point]]]
) -> NDArray[np.uint8]:
    """Lines with marked points from the origin, RGB.

    Args:
        title, x_title, y_title: titles of the chart and of the axes.
        series: name and points of each line; at least one x or y is above 0.
    """
    image = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    points = [point for _, line in series for point in line]
    x_most, x_step = _axis(max(x for x, _, _ in points))
    y_most, y_step = _axis(max(y for _, y, _ in points))

    def at(x: float, y: float) -> tuple[int, int]:
        across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return round(LEFT + x / x_most * across), round(HEIGHT - BOTTOM - y / y_most * up)

    for k in range(round(x_most / x_step) + 1):
        cv2.line(image, at(k * x_step, 0), at(k * x_step, y_most), (230, 230, 230), 1)
        _text(image, f"{k * x_step:g}", (at(k * x_step, 0)[0] - 12, HEIGHT - BOTTOM + 22))
    for k in range(round(y_most / y_step) + 1):
        cv2.line(image, at(0, k * y_step), at(x_most, k * y_step), (230, 230, 230), 1)
        _text(image, f"{k * y_step:g}", (LEFT - 55, at(0, k * y_step)[1] + 5))
    _text(image, title, (LEFT, 28), 0.6)
    _text(image, x_title, (WIDTH // 2 - 60, HEIGHT - 18))
    _text(image, y_title, (LEFT - 55, TOP - 14))
    for number, (name, line) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        places = [at(x, y) for x, y, _ in line]
        cv2.polylines(image, [np.array(places, np.int32)], False, colour, 2, cv2.LINE_AA)
        for place, (_, _, label) in zip(places, line, strict=True):
            cv2.circle(image, place, 4, colour, -1, cv2.LINE_AA)
            # Labels alternate above and below the lines, which may coincide.
            beside = (
                (place[0] - 26, place[1] - 8) if number % 2 == 0 else (place[0] + 7, place[1] + 16)
            )
            _text(image, label, beside, 0.4, colour)
        _text(image, name, (LEFT + 15, TOP + 22 + 22 * number), 0.5, colour)
    return image


def _axis(most: float) -> tuple[float, float]:
    """End of an axis that contains 0 to `most`, and its step: 1, 2 or 5 times a power of ten."""
    most = max(most, 1e-9)
    power = 10.0 ** np.floor(np.log10(most / 5))
    step = next(power * k for k in (1, 2, 5, 10) if most / (power * k) <= 6)
    return float(step * np.ceil(most / step)), float(step)


def _text(
    image: NDArray[np.uint8],
    text: str,
    place: tuple[int, int],
    scale: float = 0.45,
    colour: tuple[int, int, int] = (60, 60, 60),
) -> None:
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
