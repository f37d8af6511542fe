# SPDX-License-Identifier: Apache-2.0

"""Operations on masks for SAM 3, which transformers would otherwise fetch as code from the hub."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor
from transformers.models.sam3_video import modeling_sam3_video


class MaskOperations:
    """Stands in for the package `kernels-community/cv-utils`, with its interface."""

    def generic_nms(
        self, ious: Tensor, scores: Tensor, least_iou: float, use_iou_matrix: bool = True
    ) -> Tensor:
        """Indices of the detections that overlap with no better one that is kept, best first.

        Args:
            ious: `(N, N)`.
            scores: `(N,)`.
            least_iou: detections with a larger IoU are one object.
            use_iou_matrix: always true here.
        """
        kept: list[int] = []
        overlaps = (ious > least_iou).cpu().numpy()
        for index in scores.argsort(descending=True, stable=True).tolist():
            if not overlaps[index, kept].any():
                kept.append(index)
        return torch.tensor(kept, dtype=torch.long, device=ious.device)

    def cc_2d(self, masks: Tensor, get_counts: bool = True) -> tuple[Tensor, Tensor]:
        """Connected parts of masks `(N, 1, h, w)`: their numbers, and their areas in pixels.

        Parts touch at sides and corners; both results have the shape of the masks.
        """
        numbers, areas = [], []
        for mask in masks[:, 0].cpu().numpy().astype(np.uint8):
            _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
            numbers.append(labels)
            areas.append(np.where(mask > 0, stats[labels, cv2.CC_STAT_AREA], 0))
        first, second = (
            torch.from_numpy(np.stack(each).astype(np.int32))[:, None].to(masks.device)
            for each in (numbers, areas)
        )
        return first, second


def use_own_operations() -> None:
    """From here on SAM 3 uses these operations, with and without the package `kernels`."""
    modeling_sam3_video.cv_utils_kernel = MaskOperations()
