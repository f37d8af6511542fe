# SPDX-License-Identifier: Apache-2.0

"""Axis-aligned boxes as `(..., 4)` float arrays `(x1, y1, x2, y2)`, pixels, x2 and y2 excluded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


def checked_boxes(boxes: object, count: int | None = None) -> Boxes:
    """Returns `boxes` as float32 `(N, 4)`.

    Raises:
        ValueError: the shape is not `(count, 4)` or an edge order is reversed.
    """
    array = np.asarray(boxes, dtype=np.float32)
    wanted = f"({'N' if count is None else count}, 4)"
    if array.ndim != 2 or array.shape[1] != 4 or (count is not None and len(array) != count):
        raise ValueError(f"boxes: expected shape {wanted} as (x1, y1, x2, y2), got {array.shape}")
    if bool(np.any(array[:, 2:] < array[:, :2])):
        row = int(np.argmax(np.any(array[:, 2:] < array[:, :2], axis=1)))
        raise ValueError(f"boxes: row {row} has x2 < x1 or y2 < y1: {array[row].tolist()}")
    return array


def area(boxes: Boxes) -> NDArray[np.float32]:
    """Areas in square pixels, shape `(...,)`."""
    sides = np.clip(boxes[..., 2:] - boxes[..., :2], 0, None)
    return np.asarray(sides[..., 0] * sides[..., 1], dtype=np.float32)


def paired_iou(first: Boxes, second: Boxes) -> NDArray[np.float32]:
    """Intersection over union of row i with row i; 0 where both are empty. Shape `(...,)`."""
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    inter = area(np.concatenate([low, np.maximum(low, high)], axis=-1))
    union = area(first) + area(second) - inter
    return np.asarray(np.where(union > 0, inter / np.where(union > 0, union, 1), 0), np.float32)


def iou_matrix(first: Boxes, second: Boxes) -> NDArray[np.float32]:
    """Intersection over union of every row with every row, shape `(N, K)`."""
    return paired_iou(first[:, None, :], second[None, :, :])


def shared_with(first: Boxes, second: Boxes) -> NDArray[np.float32]:
    """Intersection over the smaller area of every row with every row, shape `(N, K)`."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.maximum(low, np.minimum(first[:, None, 2:], second[None, :, 2:]))
    smaller = np.minimum(area(first)[:, None], area(second)[None])
    shared = area(np.concatenate([low, high], axis=-1))
    return np.asarray(shared / np.maximum(smaller, 1e-6), np.float32)


def clipped(boxes: Boxes, width: int, height: int) -> Boxes:
    """The parts of the boxes inside an image of `width` x `height` pixels."""
    limit = np.array([width, height, width, height], np.float32)
    return np.clip(boxes, 0, limit).astype(np.float32)


def scaled(boxes: Boxes, factor_x: float, factor_y: float) -> Boxes:
    """Boxes with x times `factor_x` and y times `factor_y`."""
    return (boxes * np.array([factor_x, factor_y, factor_x, factor_y], np.float32)).astype(
        np.float32
    )
