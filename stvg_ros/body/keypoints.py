# SPDX-License-Identifier: Apache-2.0

"""Keypoints of people in COCO's order, and the protocol of what estimates them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes

NAMES = (
    "nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder",
    "left elbow", "right elbow", "left wrist", "right wrist", "left hip", "right hip", "left knee",
    "right knee", "left ankle", "right ankle",
)  # fmt: skip
COUNT = len(NAMES)
NOSE, LEFT_EYE, RIGHT_EYE, LEFT_EAR, RIGHT_EAR = range(5)
# Pairs of the person's own left and right.
EARS, SHOULDERS, ELBOWS, WRISTS = (3, 4), (5, 6), (7, 8), (9, 10)
HIPS, KNEES, ANKLES = (11, 12), (13, 14), (15, 16)
# Lines of a drawing, as pairs of points.
SKELETON = (
    (5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12), (11, 12), (11, 13), (13, 15),
    (12, 14), (14, 16), (0, 1), (0, 2), (1, 3), (2, 4),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Keypoints:
    """The keypoints of N people in one image.

    Attributes:
        points_px: `(N, 17, 2)` float32, x and y in the image's pixels; may lie outside of it.
        visibility: `(N, 17)` float32, 0 to 1, the estimator's confidence in a point.
    """

    points_px: NDArray[np.float32]
    visibility: NDArray[np.float32]

    def __post_init__(self) -> None:
        count = len(self.visibility)
        if self.points_px.shape != (count, COUNT, 2) or self.visibility.shape != (count, COUNT):
            raise ValueError(
                f"Keypoints: expected ({count}, {COUNT}, 2) points and ({count}, {COUNT}) "
                f"visibilities, got {self.points_px.shape} and {self.visibility.shape}"
            )

    @staticmethod
    def nobody() -> Keypoints:
        """The keypoints of no people."""
        return Keypoints(np.zeros((0, COUNT, 2), np.float32), np.zeros((0, COUNT), np.float32))


class KeypointEstimator(Protocol):
    """Estimates keypoints of people whose boxes are known. One thread uses it at a time."""

    @property
    def name(self) -> str:
        """The name in logs and answers."""
        ...

    def __call__(self, image: NDArray[np.uint8], boxes_xyxy_px: Boxes) -> Keypoints:
        """The keypoints of the person in each box.

        Args:
            image: `(h, w, 3)` RGB.
            boxes_xyxy_px: `(N, 4)` in the image's pixels.
        """
        ...
