# SPDX-License-Identifier: Apache-2.0

"""MiniCPM-V 4.6: frames as bracketed images, tokens by shape, the language model of Qwen3.5.

Frames are not cut into slices, so that the tokens of a frame are one grid; for videos the library
calls this `max_slice_nums=1`. Times of the frames are no part of the prompt.

Dimensions: T frames of h x w tokens, N prefix tokens, p x p pixels to a patch.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.family import Family, Layout
from stvg_ros.models.llava_onevision import CHUNK, positions
from stvg_ros.models.preprocess import Images, common_size, normalised, slots_of
from stvg_ros.models.vision_tower import NAME

SIDE_PX = 448  # of the square whose area a frame fills, in a checkpoint without one


def patches_to_a_token(model: Any) -> int:
    """Patches of one side of a token's square."""
    return 2 if model.config.downsample_mode == "4x" else 4


def frame_size(
    preprocessing: ImagePreprocessing, height: int, width: int, merge: int
) -> tuple[int, int]:
    """`(height, width)` px: the area of a square, the frame's shape, in whole tokens."""
    ratio = width / height
    tall = int((preprocessing.tile or SIDE_PX) / math.sqrt(ratio))
    factor = preprocessing.patch * merge
    rows, columns = (max(round(side / factor), 1) for side in (tall, int(tall * ratio)))
    return rows * factor, columns * factor


def strips(pixels: Tensor, patch: int) -> Tensor:
    """Frames `(T, 3, H, W)` as the strip of patches `(1, 3, p, T * H * W / p)` of the tower."""
    frames, channels, height, width = pixels.shape
    rows = pixels.view(frames, channels, height // patch, patch, width)
    return rows.permute(1, 3, 0, 2, 4).reshape(1, channels, patch, -1)


def encode(
    model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
) -> VisualTokens:
    """T frames to T slots."""
    merge, patch = patches_to_a_token(model), preprocessing.patch
    height, width = frame_size(preprocessing, *common_size(images), merge)
    model.model.vision_tower.config._attn_implementation = NAME
    features: list[Tensor] = []
    for start in range(0, len(images), CHUNK):
        some = images[start : start + CHUNK]
        pixels = normalised(some, height, width, preprocessing, model.device)
        sizes = torch.tensor([[height // patch, width // patch]] * len(some))
        found = model.model.get_video_features(strips(pixels, patch), sizes).pooler_output
        features += found
    grid = (len(images), height // patch // merge, width // patch // merge)
    return VisualTokens(torch.cat(features), grid, slots_of(len(images), 1))


def layout(
    tokenizer: Any, model: Any, visual: VisualTokens, *, use_image_id: bool = True
) -> Layout:
    """A bracketed run of visual tokens for each frame, after the number of the video."""
    token_id = model.config.video_token_id
    token = tokenizer.convert_ids_to_tokens(token_id)
    run = token * visual.slot_size
    text = f"{tokenizer.image_start_token}{run}{tokenizer.image_end_token}" * len(visual.slots)
    if use_image_id:
        text = f"{tokenizer.image_id_start_token}0{tokenizer.image_id_end_token}{text}"
    return Layout(token, text, token_id)


FAMILY = Family(encode, layout, positions, markup=("use_image_id",))
