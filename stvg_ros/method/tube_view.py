# SPDX-License-Identifier: Apache-2.0

"""The part of a clip that the model saw, and maps over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.method.scoring import around_crop, box_scores, inside_crop, slot_of_frames
from stvg_ros.method.visual_tokens import Crop
from stvg_ros.types import CandidateTube, Clip


@dataclass(frozen=True, eq=False)
class TubeView:
    """The part of a clip that the model saw.

    Attributes:
        clip: the frames of the answer.
        sampled: `(T,)` indices of the frames that the model saw.
        slots: the sampled frames of each temporal slot.
        crop: the part of the images that the model saw, see `VisualTokens`.
    """

    clip: Clip
    sampled: NDArray[np.int64]
    slots: tuple[tuple[int, ...], ...]
    crop: Crop | None = None

    def scores(self, heat: torch.Tensor, candidate: CandidateTube) -> NDArray[np.float32]:
        """`(T,)` maxima of a map inside a candidate at the sampled frames; NaN where unseen."""
        boxes, present, size_px = self._placed(candidate)
        masks = None if candidate.masks is None else candidate.masks[self.sampled]
        if masks is not None and self.crop is not None:
            height, width = masks.shape[1:]
            x1, x2 = (round(share * width) for share in self.crop[::2])
            y1, y2 = (round(share * height) for share in self.crop[1::2])
            masks = masks[:, y1:y2, x1:x2]
        slots = slot_of_frames(self.slots, len(self.sampled))
        return box_scores(heat.float().cpu().numpy(), boxes, present, slots, size_px, masks)

    def seen(self, candidate: CandidateTube) -> NDArray[np.bool_]:
        """`(T,)` whether a candidate is in the sampled frames, within the part that was seen."""
        return self._placed(candidate)[1]

    def _placed(
        self, candidate: CandidateTube
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], tuple[int, int]]:
        """Boxes at the sampled frames where the model sees them, and the size of what it sees."""
        boxes = candidate.boxes_xyxy_px[self.sampled]
        present = candidate.present[self.sampled]
        if self.crop is None:
            return boxes, present, self.clip.size_px
        return inside_crop(boxes, present, self.clip.size_px, self.crop)

    def on_image(self, heat: torch.Tensor) -> NDArray[np.float32]:
        """A map `(S, h, w)` over the whole image."""
        values = heat.float().cpu().numpy()
        return values if self.crop is None else around_crop(values, self.crop)

    def peak(self, heat: torch.Tensor, candidate: CandidateTube) -> float:
        """Maximum of a map inside a candidate; -inf if it is in no sampled frame."""
        scores = self.scores(heat, candidate)
        return float(np.nanmax(scores)) if np.isfinite(scores).any() else float("-inf")
