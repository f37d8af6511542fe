# SPDX-License-Identifier: Apache-2.0

"""PerceptionLM: one slot a frame, a square grid. Its vision tower needs timm and torchvision."""

from __future__ import annotations

import math
from typing import Any

import torch

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.family import Family
from stvg_ros.models.llava_next_video import layout
from stvg_ros.models.llava_onevision import CHUNK, positions
from stvg_ros.models.preprocess import Images, normalised, slots_of, square_size

SIZE_PX = 448  # of a checkpoint without a size, as in the library


def encode(
    model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
) -> VisualTokens:
    """T frames to T slots, pooled by `projector_pooling_ratio`."""
    size = square_size(preprocessing, SIZE_PX)
    parts = []
    for start in range(0, len(images), CHUNK):
        pixels = normalised(images[start : start + CHUNK], *size, preprocessing, model.device)
        parts.append(model.model.get_image_features(pixels[None].to(model.dtype)).pooler_output)
    features = torch.cat(parts)  # (T, n, D)
    side = math.isqrt(features.shape[1])
    return VisualTokens(features.flatten(0, 1), (len(images), side, side), slots_of(len(images), 1))


FAMILY = Family(encode, layout, positions)
