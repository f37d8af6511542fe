# SPDX-License-Identifier: Apache-2.0

"""Boxes of one image, from a detector of the robot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes, clipped


@dataclass(frozen=True, eq=False)
class ExternalDetections:
    """Detections of one image, from another node.

    Attributes:
        boxes_xyxy_px: `(N, 4)` in pixels of the camera's image.
        scores: `(N,)`; 0 means not given and counts as 1.
        track_ids: N names; "" if the detector does not track.
    """

    boxes_xyxy_px: Boxes
    scores: NDArray[np.float32]
    track_ids: tuple[str, ...]

    def __post_init__(self) -> None:
        count = len(self.track_ids)
        if self.boxes_xyxy_px.shape != (count, 4) or self.scores.shape != (count,):
            raise ValueError(
                f"Detected: expected boxes ({count}, 4) and scores ({count},), got "
                f"{self.boxes_xyxy_px.shape} and {self.scores.shape}"
            )

    def usable(self, size_px: tuple[int, int]) -> ExternalDetections:
        """The detections with finite boxes that overlap the image, clipped to it."""
        inside = clipped(self.boxes_xyxy_px, *size_px)
        sound = np.isfinite(self.boxes_xyxy_px).all(axis=1)
        keep = np.asarray(sound & (inside[:, 2:] > inside[:, :2]).all(axis=1), np.bool_)
        scores = np.nan_to_num(self.scores)
        scores = np.where(scores > 0, np.minimum(scores, 1), 1).astype(np.float32)
        ids = tuple(name for name, kept in zip(self.track_ids, keep, strict=True) if kept)
        return ExternalDetections(inside[keep], scores[keep], ids)
