# SPDX-License-Identifier: Apache-2.0

"""A deterministic version of OpenCV's `HOGDescriptor.detectMultiScale`.

OpenCV collects positions and margins of its threads in two lists with separate locks, so on several
cores their order changes between calls, and sometimes a margin belongs to another position. Here
the scales run in threads too, but each has its own result. Grouping is that of OpenCV.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

Rectangles = NDArray[np.int64]  # (N, 4): x, y, width, height
_LEVELS = 64
_GROUP_THRESHOLD = 2  # maximum size of a group of rectangles that is rejected
_GROUP_EPS = 0.2


def detect_multi_scale(
    hog: cv2.HOGDescriptor,
    image: NDArray[np.uint8],
    *,
    hit_threshold: float,
    stride_px: int,
    scale: float,
) -> tuple[Rectangles, NDArray[np.float64]]:
    """Positions of people at all scales.

    Args:
        hog: with its detector set.
        image: `(h, w, 3)`, at least as large as the detector's window.
        hit_threshold: minimum margin.
        stride_px: steps of the window, in both directions.
        scale: factor from one scale to the next, above 1.

    Returns:
        Rectangles `(N, 4)` of grouped detections, and their largest margins `(N,)`.
    """
    width, height = hog.winSize
    scales = [1.0]
    while len(scales) < _LEVELS:
        larger = scales[-1] * scale
        if round(image.shape[1] / larger) < width or round(image.shape[0] / larger) < height:
            break
        scales.append(larger)

    def level(factor: float) -> tuple[Rectangles, NDArray[np.float64]]:
        size = (round(image.shape[1] / factor), round(image.shape[0] / factor))
        small = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR_EXACT)
        places, margins = hog.detect(small, hit_threshold, (stride_px, stride_px))
        corners = np.rint(np.asarray(places, np.float64).reshape(-1, 2) * factor)
        sides = np.rint(np.array([[width, height]]) * factor).repeat(len(corners), 0)
        found = np.concatenate([corners, sides], axis=1).astype(np.int64)
        return found, np.asarray(margins, np.float64).ravel()

    with ThreadPoolExecutor(max(1, cv2.getNumThreads())) as pool:
        levels = list(pool.map(level, scales))
    rectangles, margins = (np.concatenate(parts) for parts in zip(*levels, strict=True))
    return grouped(rectangles, margins)


def grouped(
    rectangles: Rectangles, margins: NDArray[np.float64]
) -> tuple[Rectangles, NDArray[np.float64]]:
    """Means of similar rectangles, without those inside one of a larger group."""
    if not len(rectangles):
        return rectangles, margins
    sides = rectangles[:, 2:]
    smaller = np.minimum(sides[:, None], sides[None]).sum(axis=-1)
    edges = np.concatenate([rectangles[:, :2], rectangles[:, :2] + sides], axis=1)
    apart = np.abs(edges[:, None] - edges[None]).max(axis=-1)
    count, labels = connected_components(csr_array(apart <= _GROUP_EPS * smaller * 0.5))
    members = np.bincount(labels, minlength=count)
    sums = np.zeros((count, 4))
    np.add.at(sums, labels, rectangles)
    means = np.rint(sums / members[:, None]).astype(np.int64)
    best = np.full(count, -np.inf)
    np.maximum.at(best, labels, margins)
    kept = members > _GROUP_THRESHOLD
    means, best, members = means[kept], best[kept], members[kept]
    slack = np.rint(means[:, 2:] * _GROUP_EPS)
    low, high = means[:, :2] - slack, means[:, :2] + means[:, 2:] + slack
    inside = (means[:, None, :2] >= low[None]).all(-1)
    inside &= (means[:, None, :2] + means[:, None, 2:] <= high[None]).all(-1)
    inside &= members[None] > np.maximum(3, members[:, None])
    np.fill_diagonal(inside, False)
    alone = ~inside.any(axis=1)
    return means[alone], best[alone]
