# SPDX-License-Identifier: Apache-2.0

"""One person over the frames of a clip: boxes, keypoints and colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stvg_ros.body import keypoints as body
from stvg_ros.body.logic import Array

SEEN = 0.5  # visibility from which on a point counts as seen
# A torso is 0.3 of a person's height (Drillis and Contini 1966: 0.288 from shoulder to hip).
_TORSO = 0.3


@dataclass(frozen=True, eq=False)
class Looks:
    """Colours of a person in one frame or in F frames: the first axis is missing, or F.

    Attributes:
        shares: `(..., R, C)` share of each basic colour in each of `clothes.REGIONS`; NaN where
            not seen.
        lab: `(..., R, 3)` median L*, a*, b* of each region.
        contrast: `(..., R)` standard deviation of L* within a region.
    """

    shares: NDArray[np.float32]
    lab: NDArray[np.float32]
    contrast: NDArray[np.float32]

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return self.shares.nbytes + self.lab.nbytes + self.contrast.nbytes


@dataclass(frozen=True, eq=False)
class BodyTrack:
    """What is known of one person in F frames. x grows to the image's right, y downwards.

    Attributes:
        seconds: `(F,)`.
        boxes_xyxy_px: `(F, 4)`, in pixels of the camera's image.
        present: `(F,)` bool.
        points_px: `(F, 17, 2)` keypoints; NaN where they were not estimated.
        visibility: `(F, 17)`; 0 where they were not estimated.
        size_px: width and height of the image.
        looks: colours; NaN where they were not measured.
        shift_px: `(F, 2)` motion of the view: a static object is at a constant place plus this.
        distance_m: `(F,)`, NaN without depth.
    """

    seconds: Array
    boxes_xyxy_px: Array
    present: NDArray[np.bool_]
    points_px: Array
    visibility: Array
    size_px: tuple[int, int]
    looks: Looks
    shift_px: Array
    distance_m: Array

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def height_px(self) -> Array:
        """Height of the boxes, `(F,)`; NaN where the person is absent."""
        tall = self.boxes_xyxy_px[:, 3] - self.boxes_xyxy_px[:, 1]
        return np.where(self.present & (tall > 0), tall, np.nan)

    @property
    def torso_px(self) -> Array:
        """Unit of lengths on the body, `(F,)`: the torso's length over the clip, at the scale of
        the frame.

        A torso that points at the camera is short in its image; so the longer of the frame's own
        length and its share of the person's height over the neighbouring frames.
        """
        own = np.hypot(*(self.middle(body.SHOULDERS) - self.middle(body.HIPS)).T)
        if not np.isfinite(own).any():
            return self.height_px * _TORSO
        usual = float(np.nanmedian(own))
        return np.where(np.isfinite(own), np.maximum(own, 0.7 * usual), usual)

    def middle(self, pair: tuple[int, int]) -> Array:
        """Half way between two points, `(F, 2)`."""
        return np.asarray(self.points_px[:, list(pair)].mean(axis=1), np.float64)

    def seen(self, *points: int) -> Array:
        """Weight of evidence from these points, `(F,)`, 0 to 1: of the least visible one."""
        return np.asarray(self.visibility[:, list(points)].min(axis=1), np.float64)
