# SPDX-License-Identifier: Apache-2.0

"""How much of each person is seen: not hidden by the foreground, by others, or cut off."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.character import Prop, figure_box
from stvg_lab.rendered.scene import Scene

_SIZE = 160, 120  # of the drawing, pixels


def visible_shares(scene: Scene) -> NDArray[np.float32]:
    """Share of each person's figure that is seen in each frame, `(P, F)`."""
    shares = np.zeros((len(scene.people), scene.frame_count), np.float32)
    scale = np.array([_SIZE[0] / scene.width, _SIZE[1] / scene.height])
    order = sorted(range(len(scene.people)), key=lambda at: scene.people[at].ground_y_px)
    for frame in range(scene.frame_count):
        figures = [person.figure(frame, scene.fps) for person in scene.people]
        canvas, shake = np.zeros(_SIZE[::-1], np.uint8), scene.shake_px[frame]
        for index in order:
            _draw(canvas, figures[index], shake, scale, index + 1)
        _draw(canvas, scene.foreground, shake, scale, 0)
        seen = np.bincount(canvas.ravel(), minlength=len(figures) + 1)[1:]
        for index, figure in enumerate(figures):
            if seen[index]:
                body = tuple(prop for prop in figure if prop.body)
                shares[index, frame] = seen[index] / _whole(body, scale)
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
