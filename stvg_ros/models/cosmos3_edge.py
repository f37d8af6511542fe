# SPDX-License-Identifier: Apache-2.0

"""Cosmos3-Edge: a time stamp before each frame, one slot a frame, three-fold positions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.family import Family
from stvg_ros.models.preprocess import Images, common_size, patches, slots_of, video_size
from stvg_ros.models.qwen2_vl import CHUNK, positions
from stvg_ros.models.qwen3_vl import layout

MIN_PIXELS, MAX_PIXELS = 64 * 64, 24 * 1024 * 1024  # of a whole video


def frame_size(
    preprocessing: ImagePreprocessing, height: int, width: int, total: int
) -> tuple[int, int]:
    """`(height, width)` px of the resized frames; the bounds hold for the whole video."""
    one = replace(preprocessing, pair=1)
    return video_size(one, height, width, total, MIN_PIXELS, MAX_PIXELS)


def encode(
    model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
) -> VisualTokens:
    """T frames to T slots."""
    one = replace(preprocessing, pair=1)
    height, width = frame_size(one, *common_size(images), total)
    rows, columns = height // one.patch, width // one.patch
    features = []
    for start in range(0, len(images), CHUNK):
        some = images[start : start + CHUNK]
        output = model.model.get_video_features(
            interleaved(patches(some, height, width, one, model.device)),
            torch.tensor([[len(some), rows, columns]], device=model.device),
        )
        features.append(torch.cat(output.pooler_output))
    grid = (len(images), rows // one.merge, columns // one.merge)
    return VisualTokens(torch.cat(features), grid, slots_of(len(images), 1))


def interleaved(pixels: Tensor) -> Tensor:
    """Patches `(N, 3 * p * p)`, channel by channel, to the family's order: pixel by pixel."""
    return pixels.view(len(pixels), 3, -1).transpose(1, 2).flatten(1)


FAMILY = Family(encode, layout, positions)
