# SPDX-License-Identifier: Apache-2.0

"""Draws a scene at any size: vectors at twice the size, then averaged down."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.photo_backdrop import PhotoBackdrop
from stvg_lab.rendered.room import RoomBackdrop
from stvg_lab.rendered.shapes import Layer, Prop

_SHIFT = 4  # fractional bits of OpenCV's coordinates


class Drawable(Protocol):
    """A scene that can be drawn."""

    @property
    def width(self) -> int:
        """Of its images, pixels."""
        ...

    @property
    def height(self) -> int:
        """Of its images, pixels."""
        ...

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        ...

    @property
    def background(self) -> RoomBackdrop | PhotoBackdrop:
        """What is behind everybody."""
        ...

    @property
    def border(self) -> int:
        """OpenCV's border mode for what lies outside of the room's picture."""
        ...

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """Stamps of the frames, `(F,)`, the first at 0."""
        ...

    def room_view(self, frame: int) -> NDArray[np.float64]:
        """Map `(2, 3)` of the room's picture to a frame's image, pixels."""
        ...

    def layers(self, frame: int) -> tuple[Layer, ...]:
        """What is in front of the room in a frame, back to front."""
        ...

    def taken(self, image: NDArray[np.uint8], frame: int) -> NDArray[np.uint8]:
        """A frame's drawing of any size as the scene's camera takes it."""
        ...


def render(
    scene: Drawable, frame_index: int, width: int | None = None, height: int | None = None
) -> NDArray[np.uint8]:
    """One frame, `(height, width, 3)` RGB uint8; the scene's own size by default.

    Raises:
        ValueError: the frame is not in the scene or the size is not positive.
    """
    width = scene.width if width is None else width
    height = scene.height if height is None else height
    if not 0 <= frame_index < scene.frame_count:
        raise ValueError(f"frame_index: expected 0 to {scene.frame_count - 1}, got {frame_index}")
    if width < 1 or height < 1:
        raise ValueError(f"size: expected 1 x 1 or more, got {width} x {height}")
    scale = np.array([2 * width / scene.width, 2 * height / scene.height])
    canvas = _background(scene.background, 2 * width, 2 * height)
    view = scene.room_view(frame_index)
    if (view != np.eye(2, 3)).any():
        move = view.copy()
        move[0, 1] *= scale[0] / scale[1]
        move[1, 0] *= scale[1] / scale[0]
        move[:, 2] *= scale
        canvas = cv2.warpAffine(canvas, move, (2 * width, 2 * height), borderMode=scene.border)
    else:
        canvas = canvas.copy()
    for layer in scene.layers(frame_index):
        for prop in layer.props:
            _draw(canvas, prop, layer.shift_px, scale)
    image = np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return scene.taken(image, frame_index)


def render_all(
    scene: Drawable, width: int | None = None, height: int | None = None
) -> NDArray[np.uint8]:
    """Every frame, `(F, height, width, 3)` RGB uint8."""
    return np.stack([render(scene, i, width, height) for i in range(scene.frame_count)])


def drawn(
    figures: Sequence[Sequence[Prop]], backdrop: RoomBackdrop, width: int, height: int
) -> NDArray[np.uint8]:
    """Figures in a room, the first ones behind the others, `(height, width, 3)` RGB uint8."""
    canvas = _background(backdrop, 2 * width, 2 * height).copy()
    for prop in (prop for figure in figures for prop in figure):
        _draw(canvas, prop, np.zeros(2, np.float32), np.full(2, 2.0))
    return np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _draw(
    canvas: NDArray[np.uint8], prop: Prop, shake: NDArray[np.floating], scale: NDArray[np.float64]
) -> None:
    # The centre of pixel i lies at i + 0.5.
    points = (prop.points_px + shake) * scale - 0.5
    fixed = np.round(points * (1 << _SHIFT)).astype(np.int32)
    size = float(np.sqrt(scale[0] * scale[1]))
    if len(fixed) == 1:
        radius = round(prop.radius_px * size * (1 << _SHIFT))
        cv2.circle(canvas, fixed[0].tolist(), radius, prop.rgb, -1, cv2.LINE_AA, _SHIFT)
    elif prop.radius_px:
        thickness = max(1, round(2 * prop.radius_px * size))
        first, last = fixed.tolist()
        cv2.line(canvas, first, last, prop.rgb, thickness, cv2.LINE_AA, _SHIFT)
    else:
        cv2.fillPoly(canvas, [fixed], prop.rgb, cv2.LINE_AA, _SHIFT)


@lru_cache(maxsize=16)
def _background(
    background: RoomBackdrop | PhotoBackdrop, width: int, height: int
) -> NDArray[np.uint8]:
    """The empty room, `(height, width, 3)`; shared, so callers copy before drawing."""
    if isinstance(background, PhotoBackdrop):
        return background.picture(width, height)
    canvas = np.empty((height, width, 3), np.uint8)
    edge = min(height - 1, max(1, round(background.horizon * height)))
    for rows, first, last in (
        (canvas[:edge], background.wall_top, background.wall_bottom),
        (canvas[edge:], background.floor_far, background.floor_near),
    ):
        share = np.linspace(0, 1, len(rows))[:, None]
        rows[:] = (np.array(first) * (1 - share) + np.array(last) * share)[:, None]
    for x1, y1, x2, y2, rgb in background.furniture:
        low = round(x1 * width), round(y1 * height)
        high = round(x2 * width), round(y2 * height)
        cv2.rectangle(canvas, low, high, rgb, -1)
        darker = tuple(int(0.7 * value) for value in rgb)
        cv2.rectangle(canvas, low, high, darker, max(1, width // 320))
    return canvas
