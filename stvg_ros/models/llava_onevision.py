# SPDX-License-Identifier: Apache-2.0

"""LLaVA-OneVision: one slot a frame, a square grid, and one token at the end of the video."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.family import Family, Layout
from stvg_ros.models.preprocess import Images, normalised, slots_of, square_size

CHUNK = 8  # frames that go through the vision tower at a time


def encode(
    model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
) -> VisualTokens:
    """T frames to T slots, pooled to half the tower's grid."""
    vision = model.config.vision_config
    size = square_size(preprocessing, vision.image_size)
    side = math.ceil(vision.image_size // vision.patch_size / 2)
    features = torch.cat([part[:-1] for part in tower(model, preprocessing, images, size)])
    return VisualTokens(features, (len(images), side, side), slots_of(len(images), 1))


def tower(
    model: Any, preprocessing: ImagePreprocessing, images: Images, size: tuple[int, int]
) -> list[Tensor]:
    """Features `(n, D)` of each chunk of frames at `size` (height, width)."""
    features = []
    for start in range(0, len(images), CHUNK):
        pixels = normalised(images[start : start + CHUNK], *size, preprocessing, model.device)
        output = model.model.get_video_features(pixels[None].to(model.dtype))
        features.append(output.pooler_output[0])
    return features


def layout(tokenizer: Any, model: Any, visual: VisualTokens) -> Layout:
    """One run of visual tokens and the newline that transformers appends to a video."""
    token_id = model.config.video_token_id
    token = tokenizer.convert_ids_to_tokens(token_id)
    newline = model.model.image_newline.detach()[None]
    return Layout(token, token * (len(visual.features) + 1), token_id, newline)


def positions(model: Any, ids: Tensor, visual: VisualTokens) -> tuple[Tensor, int]:
    """`(1, N)`: 0, 1, 2, ..."""
    return torch.arange(ids.shape[1], device=ids.device)[None], ids.shape[1]


FAMILY = Family(encode, layout, positions)
