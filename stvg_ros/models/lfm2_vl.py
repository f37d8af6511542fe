# SPDX-License-Identifier: Apache-2.0

"""LFM2-VL: frames as images of one prompt, since it takes no video; tokens by image size.

Frames are not split into tiles, so that the tokens of a frame are one grid; the library calls this
`do_image_splitting=False`. Times of the frames are no part of the prompt.

Dimensions: T frames, n patches of p x p pixels a frame.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.family import Family, Layout
from stvg_ros.models.llava_onevision import CHUNK, positions
from stvg_ros.models.preprocess import Images, common_size, fitted_size, normalised, slots_of

MIN_TOKENS, MAX_TOKENS = 64, 256  # of a frame, in a checkpoint without bounds


def frame_size(
    preprocessing: ImagePreprocessing, height: int, width: int, merge: int
) -> tuple[int, int]:
    """`(height, width)` px; the bounds hold for each frame."""
    factor = preprocessing.patch * merge
    least = preprocessing.size.get("min_image_tokens", MIN_TOKENS)
    most = preprocessing.size.get("max_image_tokens", MAX_TOKENS)
    return fitted_size(height, width, factor, least * factor**2, most * factor**2)


def flat_patches(pixels: Tensor, patch: int) -> Tensor:
    """Frames `(T, 3, H, W)` as `(T, n, p * p * 3)`, row by row."""
    frames, channels, height, width = pixels.shape
    cut = pixels.view(frames, channels, height // patch, patch, width // patch, patch)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(frames, -1, patch * patch * channels)


def encode(
    model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
) -> VisualTokens:
    """T frames to T slots."""
    merge, patch = model.config.downsample_factor, preprocessing.patch
    height, width = frame_size(preprocessing, *common_size(images), merge)
    rows, columns = height // patch, width // patch
    features: list[Tensor] = []
    for start in range(0, len(images), CHUNK):
        some = images[start : start + CHUNK]
        pixels = normalised(some, height, width, preprocessing, model.device)
        output = model.model.get_image_features(
            flat_patches(pixels, patch).to(model.dtype),
            torch.tensor([[rows, columns]] * len(some)),
            torch.ones(len(some), rows * columns, dtype=torch.int32, device=model.device),
        )
        features += output.pooler_output
    grid = (len(images), rows // merge, columns // merge)
    return VisualTokens(torch.cat(features), grid, slots_of(len(images), 1))


def layout(tokenizer: Any, model: Any, visual: VisualTokens) -> Layout:
    """A run of visual tokens for each frame, between the tokens of an image."""
    token_id = model.config.image_token_id
    token = tokenizer.convert_ids_to_tokens(token_id)
    start = getattr(tokenizer, "image_start_token", "<|image_start|>")
    end = getattr(tokenizer, "image_end_token", "<|image_end|>")
    frame = start + token * visual.slot_size + end
    return Layout(token, frame * len(visual.slots), token_id)


FAMILY = Family(encode, layout, positions, medium="image")
