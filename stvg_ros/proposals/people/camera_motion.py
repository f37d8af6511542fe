# SPDX-License-Identifier: Apache-2.0

"""Small working copies of the camera's images, and the camera motion between them.

Boxes in this package's classical source are in *scene pixels*: pixels of the working copies minus
the view's offset, so that static objects have constant coordinates.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Offset = NDArray[np.float32]

_WORK_WIDTH_PX = 320
_WORK_HEIGHT_PX = 1280  # maximum; copies of narrow images are narrower
_LEAST_SIDE_PX = 8
_LEAST_STEP_PX = 0.15
_AGREE_PX = 0.7
_STILL = 0.15  # share of unmoved key corners from which the view counts as still
_QUORUM = 0.15  # share of the key's corners that must agree on a jump ...
_FEWEST = 4  # ... and their minimum number
_FAR = 0.03  # of the width; farther views become keys, and views twice as far differ too much
_SAME_LEVEL = 18.0  # maximum mean difference in grey levels of an unchanged place


def working_copy(image: Image) -> Image:
    """The image `(h, w, 3)`, 320 px wide, or 1280 px high where it is narrower than 1 to 4."""
    height, width = image.shape[:2]
    factor = min(_WORK_WIDTH_PX / width, _WORK_HEIGHT_PX / height)
    return resized(
        image,
        max(_LEAST_SIDE_PX, round(width * factor)),
        max(_LEAST_SIDE_PX, round(height * factor)),
    )


def resized(image: Image, width: int, height: int) -> Image:
    """The image at another size."""
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


class Stabilizer:
    """The offset of the camera's view per frame, from the motion of a key frame's corners.

    Corners on walking people disagree with those of the room and are outvoted. A frame far from
    the key becomes the next key, so a slow pan accumulates. If the corners do not agree (a cut, a
    fast turn), the view counts as unmoved. Not thread-safe.
    """

    def __init__(self) -> None:
        self._key: Image | None = None
        self._corners = np.zeros((0, 2), np.float32)
        self._key_offset: Offset = np.zeros(2, np.float32)
        self._last: Offset = self._key_offset

    def __call__(self, copy: Image) -> Offset:
        """The offset `(2,)` of a working copy's view, in its pixels."""
        grey = cv2.GaussianBlur(cv2.cvtColor(copy, cv2.COLOR_RGB2GRAY), (3, 3), 0)
        grey = np.asarray(grey, np.uint8)
        if self._key is None or self._key.shape != grey.shape:
            self._last = np.zeros(2, np.float32)
            self._start(grey)
        elif len(self._corners):
            moved = self._moved(grey)
            if moved is None:
                self._start(grey)
            else:
                self._last = self._key_offset + moved
                if float(np.hypot(*moved)) > _FAR * grey.shape[1]:
                    self._start(grey)
        return self._last

    def _start(self, grey: Image) -> None:
        self._key, self._key_offset = grey, self._last
        found = cv2.goodFeaturesToTrack(grey, 120, 0.03, 6)
        self._corners = np.zeros((0, 2), np.float32)
        if found is not None:
            self._corners = np.asarray(found, np.float32).reshape(-1, 2)

    def _moved(self, grey: Image) -> Offset | None:
        """Motion of the view since the key frame, or None if the corners do not agree."""
        before = self._last - self._key_offset
        guess = self._corners + before
        after, found, _ = cv2.calcOpticalFlowPyrLK(
            self._key, grey, self._corners, guess.copy(),
            winSize=(11, 11), maxLevel=2, flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )  # fmt: skip
        kept = found.ravel() > 0
        moves, places = (after - self._corners)[kept], self._corners[kept]
        still = np.hypot(*(moves - before).T) < _AGREE_PX
        # If the camera moved, no corner is still; if a person walks in a bare room, the few
        # corners of the room are still.
        if still.sum() >= _STILL * len(self._corners):
            agreeing = moves[still]
        else:
            agreeing = self._widest(moves, places)
            if len(agreeing) < _QUORUM * len(self._corners):
                return None
        moved = np.median(agreeing, axis=0).astype(np.float32)
        near = float(np.hypot(*moved)) < _LEAST_STEP_PX
        return np.zeros(2, np.float32) if near else np.asarray(moved, np.float32)

    @staticmethod
    def _widest(moves: NDArray[np.float32], places: NDArray[np.float32]) -> NDArray[np.float32]:
        """The motions with the widest agreement in the view: a room is wider than a person."""
        alike = np.hypot(*(moves[:, None] - moves[None]).T) < _AGREE_PX
        best, widest = moves[:0], 0.0
        for group in np.unique(alike, axis=0):
            extent = float(np.ptp(places[group], axis=0).prod())
            if group.sum() >= _FEWEST and extent > widest:
                best, widest = moves[group], extent
        return best


def stabilized(copy: Image, offset: Offset) -> Image | None:
    """The working copy shifted back by its offset; None if too little of the view remains."""
    height, width = copy.shape[:2]
    if not offset.any():
        return copy
    if float(np.hypot(*offset)) > 2 * _FAR * width:
        return None
    move = np.array([[1, 0, -offset[0]], [0, 1, -offset[1]]], np.float64)
    return np.asarray(
        cv2.warpAffine(copy, move, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def looks_equal(first: Image, second: Image, box_xyxy_px: NDArray[np.floating[Any]]) -> bool:
    """Whether the content of a box is similar in two stabilized working copies."""
    height, width = first.shape[:2]
    x1, x2 = np.clip(box_xyxy_px[[0, 2]], 0, width).astype(int).tolist()
    y1, y2 = np.clip(box_xyxy_px[[1, 3]], 0, height).astype(int).tolist()
    if x2 <= x1 or y2 <= y1:
        return False
    return float(difference(first[y1:y2, x1:x2], second[y1:y2, x1:x2]).mean()) < _SAME_LEVEL


def difference(first: Image, second: Image) -> Image:
    """The maximum difference over the channels, `(h, w)`, of two images `(h, w, 3)`."""
    red, green, blue = cv2.split(
        cv2.absdiff(np.ascontiguousarray(first), np.ascontiguousarray(second))
    )  # much faster than NumPy's maximum over the last axis
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)
