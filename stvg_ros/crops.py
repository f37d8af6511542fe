# SPDX-License-Identifier: Apache-2.0

"""The picture of a target: the crop of its tube that shows most of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import area, clipped
from stvg_ros.images import jpeg_bytes
from stvg_ros.types import Clip, Frame, Grounding, Picture, Status, Tube, TubeBox

LONG_SIDE_PX = 512
_MARGIN = 0.08  # of the box's sides, on each side
_MOST_COMPARED = 24  # boxes of a tube
_LEAST_SIDE_PX = 2


def cropped(
    frame: Frame, box_xyxy_px: Sequence[float], margin: float = _MARGIN
) -> NDArray[np.uint8]:
    """The part of a frame inside a box, `(h, w, 3)`; empty if the box is outside.

    Args:
        frame: the frame.
        box_xyxy_px: in pixels of the camera's image.
        margin: added on each side, as a share of the box's sides.
    """
    height, width = frame.image.shape[:2]
    factor = np.array([width / frame.source_width_px, height / frame.source_height_px] * 2)
    x1, y1, x2, y2 = np.asarray(box_xyxy_px, np.float64) * factor
    wide, tall = margin * (x2 - x1), margin * (y2 - y1)
    left, top = max(0, int(np.floor(x1 - wide))), max(0, int(np.floor(y1 - tall)))
    right, bottom = int(np.ceil(x2 + wide)), int(np.ceil(y2 + tall))
    return frame.image[top : max(top, bottom), left : max(left, right)]


def crop_quality(frame: Frame, box_xyxy_px: Sequence[float]) -> float:
    """How well a frame shows what is in a box: size, share inside the image, sharpness.

    Returns:
        Side of the box in stored pixels, times the square of its share inside the image, times a
        sharpness from 0 to 1; 0 for a box outside the image.
    """
    pixels = cropped(frame, box_xyxy_px, 0.0)
    if min(pixels.shape[:2]) < _LEAST_SIDE_PX:
        return 0.0
    box = np.array([box_xyxy_px], np.float32)
    inside = clipped(box, frame.source_width_px, frame.source_height_px)
    share = float(area(inside)[0] / max(float(area(box)[0]), 1e-6))
    gray = pixels.mean(axis=2)
    steps = np.abs(np.diff(gray, axis=0)).mean() + np.abs(np.diff(gray, axis=1)).mean()
    sharpness = float(steps / (steps + 4.0))  # grey levels from pixel to pixel
    return float(np.sqrt(pixels.shape[0] * pixels.shape[1])) * share**2 * sharpness


def best_picture(frames: Mapping[int, Frame], boxes: Sequence[TubeBox]) -> Picture | None:
    """The best crop of a tube as JPEG; detected boxes are preferred to interpolated ones.

    Args:
        frames: by stamp.
        boxes: of the tube.

    Returns:
        None if no box has a frame, or all boxes are outside the image.
    """
    shown = [box for box in boxes if box.stamp_ns in frames]
    shown = [box for box in shown if not box.interpolated] or shown
    if not shown:
        return None
    compared = shown[:: -(-len(shown) // _MOST_COMPARED)]
    best = max(compared, key=lambda box: crop_quality(frames[box.stamp_ns], box.box_xyxy_px))
    return picture_of(frames[best.stamp_ns], best.box_xyxy_px)


def picture_of(frame: Frame, box_xyxy_px: Sequence[float]) -> Picture | None:
    """The crop of one box; None for a box outside the image."""
    pixels = cropped(frame, box_xyxy_px)
    if min(pixels.shape[:2]) < _LEAST_SIDE_PX:
        return None
    return Picture(frame.stamp_ns, jpeg_bytes(pixels, LONG_SIDE_PX))


def with_pictures(grounding: Grounding, clip: Clip) -> Grounding:
    """The answer with a picture of each target that was found, if the query asks for it."""
    if not grounding.best.query.picture:
        return grounding
    frames = {frame.stamp_ns: frame for frame in clip.frames}

    def shown(tube: Tube) -> Tube:
        if tube.status is not Status.FOUND or tube.picture is not None:
            return tube
        return replace(tube, picture=best_picture(frames, tube.boxes))

    return replace(grounding, tubes=tuple(map(shown, grounding.tubes)))
