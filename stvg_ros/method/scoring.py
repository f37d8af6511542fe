# SPDX-License-Identifier: Apache-2.0

"""Scores of candidate tubes and frames (method, section 4). Maps are `(S, h, w)` arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes
from stvg_ros.method.visual_tokens import Crop

Map = NDArray[np.float32]
FINER = 4  # a crop's borders are rounded to a quarter of a cell


def cells_inside(
    box_xyxy_px: NDArray[np.float32], size_px: tuple[int, int], grid: tuple[int, int]
) -> NDArray[np.bool_]:
    """The h x w cells whose centre is in the box; the cell of the box's centre always counts."""
    rows, columns = grid
    x1, y1, x2, y2 = box_xyxy_px / np.array([size_px[0], size_px[1]] * 2, np.float32)
    x, y = (np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows
    inside = ((y >= y1) & (y < y2))[:, None] & ((x >= x1) & (x < x2))[None, :]
    centre_row = min(rows - 1, max(0, int((y1 + y2) / 2 * rows)))
    centre_column = min(columns - 1, max(0, int((x1 + x2) / 2 * columns)))
    inside[centre_row, centre_column] = True
    return np.asarray(inside, np.bool_)


def cells_of_mask(mask: NDArray[np.bool_], grid: tuple[int, int]) -> NDArray[np.bool_]:
    """The h x w cells that a mask covers by half or more; the best covered one always counts.

    An empty mask has no cells. The mask covers the whole image and is not smaller than the grid.
    """
    counts = mask.astype(np.int64)
    for axis, cells in enumerate(grid):
        edges = np.arange(cells) * mask.shape[axis] // cells
        counts = np.add.reduceat(counts, edges, axis=axis)
    area = mask.size / (grid[0] * grid[1])
    return np.asarray((counts > 0) & (counts >= min(area / 2, counts.max())), np.bool_)


def inside_crop(
    boxes_xyxy_px: Boxes, present: NDArray[np.bool_], size_px: tuple[int, int], crop: Crop
) -> tuple[Boxes, NDArray[np.bool_], tuple[int, int]]:
    """Boxes of an image in the pixels of a crop of it, cut at its borders.

    Args:
        boxes_xyxy_px: `(T, 4)`, in pixels of an image of `size_px`.
        present: `(T,)`.
        size_px: width and height of the image.
        crop: x1, y1, x2, y2 as shares of the image.

    Returns:
        The boxes, whether they are present and not outside the crop, and the crop's size.
    """
    corners = np.array(crop, np.float32).reshape(2, 2) * np.array(size_px, np.float32)
    size = corners[1] - corners[0]
    boxes = np.clip((boxes_xyxy_px.reshape(-1, 2, 2) - corners[0]), 0, size).reshape(-1, 4)
    overlaps = ((boxes[:, 2:] - boxes[:, :2]) > 0).all(1)
    return boxes.astype(np.float32), present & overlaps, (round(size[0]), round(size[1]))


def around_crop(heat: Map, crop: Crop) -> Map:
    """A map of a crop as one of the whole image, in cells a quarter as long; zero around."""
    for axis, (begin, end) in ((1, (crop[1], crop[3])), (2, (crop[0], crop[2]))):
        if end - begin < 1:
            heat = heat.repeat(FINER, axis)
            cell = (end - begin) / heat.shape[axis]
            margins = [(0, 0)] * 3
            margins[axis] = round(begin / cell), round((1 - end) / cell)
            heat = np.pad(heat, margins)
    return heat


def box_scores(
    heat: Map,
    boxes_xyxy_px: Boxes,
    present: NDArray[np.bool_],
    slot_of_frame: NDArray[np.int64],
    size_px: tuple[int, int],
    masks: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Maximum of the map in each frame's mask or box, `(T,)`; NaN where the object is absent.

    Args:
        heat: `(S, h, w)`.
        boxes_xyxy_px: `(T, 4)` boxes of one object in pixels of an image of `size_px`.
        present: `(T,)`.
        slot_of_frame: `(T,)`, the slot in which each frame lies.
        size_px: width and height.
        masks: `(T, m, n)`; the box is used where a mask is empty.
    """
    scores = np.full(len(present), np.nan, np.float32)
    grid = (heat.shape[1], heat.shape[2])
    for frame in np.flatnonzero(present):
        if masks is not None and masks[frame].any():
            inside = cells_of_mask(masks[frame], grid)
        else:
            inside = cells_inside(boxes_xyxy_px[frame], size_px, grid)
        scores[frame] = heat[slot_of_frame[frame]][inside].max()
    return scores


def slot_of_frames(slots: Sequence[Sequence[int]], count: int) -> NDArray[np.int64]:
    """The slot of each of `count` sampled frames, `(T,)`."""
    result = np.zeros(count, np.int64)
    for slot, frames in enumerate(slots):
        result[[frame for frame in frames if frame < count]] = slot
    return result
