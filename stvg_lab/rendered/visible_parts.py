# SPDX-License-Identifier: Apache-2.0

"""How much of each person is seen: not hidden by the foreground, by others, or cut off."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.character import figure_box
from stvg_lab.rendered.render import Drawable
from stvg_lab.rendered.shapes import Prop

_SIZE = 160, 120  # of the drawing, pixels


def visible_shares(scene: Drawable, people: int, frames: Sequence[int]) -> NDArray[np.float32]:
    """Share of each person's figure that is seen in each of some frames, `(people, frames)`."""
    shares = np.zeros((people, len(frames)), np.float32)
    scale = np.array([_SIZE[0] / scene.width, _SIZE[1] / scene.height])
    for column, frame in enumerate(frames):
        layers = scene.layers(frame)
        canvas = np.zeros(_SIZE[::-1], np.uint8)
        for layer in layers:
            _draw(canvas, layer.props, layer.shift_px, scale, layer.owner + 1)
        seen = np.bincount(canvas.ravel(), minlength=people + 1)[1:]
        for layer in layers:
            if layer.owner >= 0 and seen[layer.owner]:
                body = tuple(prop for prop in layer.props if prop.body)
                shares[layer.owner, column] = seen[layer.owner] / _whole(body, scale)
    return np.minimum(shares, 1)


def _whole(body: tuple[Prop, ...], scale: NDArray[np.float64]) -> int:
    """Pixels of a figure that nothing hides."""
    x1, y1, x2, y2 = figure_box(body)
    corner = np.array([x1, y1], np.float32)
    columns, rows = np.ceil((x2 - x1, y2 - y1) * scale).astype(int) + 2
    canvas = np.zeros((rows, columns), np.uint8)
    _draw(canvas, body, 1 / scale - corner, scale, 1)
    return max(1, int(np.count_nonzero(canvas)))


def _draw(
    canvas: NDArray[np.uint8],
    props: tuple[Prop, ...],
    move: NDArray[np.floating],
    scale: NDArray[np.float64],
    value: int,
) -> None:
    size = float(np.sqrt(scale[0] * scale[1]))
    for prop in props:
        points = np.round((prop.points_px + move) * scale).astype(np.int32)
        if len(points) == 1:
            cv2.circle(canvas, points[0].tolist(), round(prop.radius_px * size), value, -1)
        elif prop.radius_px:
            thick = max(1, round(2 * prop.radius_px * size))
            cv2.line(canvas, points[0].tolist(), points[1].tolist(), value, thick)
        else:
            cv2.fillPoly(canvas, [points], value)
