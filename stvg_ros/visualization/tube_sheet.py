# SPDX-License-Identifier: Apache-2.0

"""Candidate tubes drawn on frames of their clip."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_ros.types import CandidateTube, Clip
from stvg_ros.visualization.drawing import Image, Rgb, caption, draw_box

_TRAIL_S = 2.0
_CELL_PX = 440


def colour_of(track_id: int) -> Rgb:
    """A colour that differs clearly from those of neighbouring numbers."""
    red, green, blue = colorsys.hsv_to_rgb(track_id * 0.381966 % 1, 0.65, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def tubes_at(clip: Clip, tubes: Sequence[CandidateTube], frame: int) -> Image:
    """One frame `(h, w, 3)` with the numbered boxes, and their paths of the last two seconds.

    An interpolated box has a thin outline.
    """
    image = np.array(clip.frames[frame].image, np.uint8, order="C")
    height, width = image.shape[:2]
    factor = np.array([width / clip.size_px[0], height / clip.size_px[1]] * 2)
    stamps_ns = clip.stamps_ns
    recent = stamps_ns > stamps_ns[frame] - _TRAIL_S * 1e9
    for tube in tubes:
        if not tube.present[frame]:
            continue
        boxes = tube.boxes_xyxy_px * factor
        trail = np.flatnonzero(recent & tube.present & (np.arange(len(clip)) <= frame))
        feet = np.stack([boxes[trail][:, [0, 2]].mean(axis=1), boxes[trail, 3]], axis=1)
        colour = colour_of(tube.track_id)
        points = feet.round().astype(np.int32)[:, None]
        cv2.polylines(image, [points], False, colour, 1, cv2.LINE_AA)
        x_min, y_min, x_max, y_max = map(float, boxes[frame])
        draw_box(
            image,
            (x_min, y_min, x_max, y_max),
            str(tube.track_id),
            colour,
            thickness_px=1 if tube.interpolated[frame] else 2,
        )
    return image


def tube_sheet(
    clip: Clip, tubes: Sequence[CandidateTube], columns: int = 3, rows: int = 2
) -> NDArray[np.uint8]:
    """Evenly spaced frames of the clip, `rows` x `columns`, each with the tubes and its time.

    A frame is at most `_CELL_PX` wide.
    """
    picks = np.linspace(0, len(clip) - 1, min(columns * rows, len(clip))).round().astype(int)
    cells = []
    for frame in picks.tolist():
        cell = tubes_at(clip, tubes, frame)
        if cell.shape[1] > _CELL_PX:
            size = _CELL_PX, round(cell.shape[0] * _CELL_PX / cell.shape[1])
            cell = np.asarray(cv2.resize(cell, size, interpolation=cv2.INTER_AREA), np.uint8)
        caption(cell, f"{(clip.stamps_ns[frame] - clip.stamps_ns[0]) / 1e9:.1f} s")
        cells.append(cell)
    blank = np.zeros_like(cells[0])
    cells += [blank] * (-len(cells) % columns)
    lines = [np.hstack(cells[at : at + columns]) for at in range(0, len(cells), columns)]
    return np.asarray(np.vstack(lines), np.uint8)
