# SPDX-License-Identifier: Apache-2.0

"""Molmo2: a time before each frame, one slot a frame; visual tokens attend to one another.

Dimensions: T frames, N tokens of the prefix, m x m patches of p x p pixels to a token.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.errors import ModelError
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.family import Family, Layout
from stvg_ros.models.frame_times import begin_times
from stvg_ros.models.llava_onevision import CHUNK, positions
from stvg_ros.models.preprocess import Images, scaled, slots_of, square_size

FRAMES_PER_SECOND = 2.0  # of frames without times, as in the library


def patches_of(preprocessing: ImagePreprocessing, images: Images, side: int) -> Tensor:
    """`(T, (side/p)^2, p * p * 3)` float32, row by row.

    Frames are resized without a filter against aliasing, as the library does.
    """
    frames = [torch.from_numpy(image).permute(2, 0, 1) for image in images]
    resized = functional.interpolate(torch.stack(frames).float(), (side, side), mode="bilinear")
    pixels = scaled(resized.round().clamp(0, 255), preprocessing)
    count, p = side // preprocessing.patch, preprocessing.patch
    cut = pixels.view(len(images), 3, count, p, count, p).permute(0, 2, 4, 3, 5, 1)
    return cut.reshape(len(images), count * count, p * p * 3)


def pooled_patches(frames: int, side: int, pool: int) -> Tensor:
    """`(T * (side/m)^2, m * m)` numbers of the patches of each token, frame after frame."""
    numbers = torch.arange(frames * side * side).view(
        frames, side // pool, pool, side // pool, pool
    )
    return numbers.transpose(2, 3).reshape(-1, pool * pool)


def encode(
    model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
) -> VisualTokens:
    """T frames to T slots; the model adds features to the visual token's own embedding.

    Raises:
        ModelError: patches that do not fill the tokens.
    """
    pool = preprocessing.merge
    size, _ = square_size(preprocessing, model.config.vision_config.image_size[0])
    side = size // preprocessing.patch
    if side % pool:
        raise ModelError(
            f"frames of {side} x {side} patches, {pool} x {pool} to a token: expected a multiple; "
            "download the checkpoint's video_preprocessor_config.json again"
        )
    rows = side // pool
    own = model.get_input_embeddings().weight[model.config.image_patch_id]
    features = []
    for start in range(0, len(images), CHUNK):
        some = images[start : start + CHUNK]
        output = model.model.get_video_features(
            patches_of(preprocessing, some, size).to(model.device),
            pooled_patches(len(some), side, pool).to(model.device),
            torch.tensor([[len(some), rows, rows]]),
        )
        features.append(output.pooler_output[0] + own)
    return VisualTokens(torch.cat(features), (len(images), rows, rows), slots_of(len(images), 1))


def layout(tokenizer: Any, model: Any, visual: VisualTokens) -> Layout:
    """`0.5 ` and a bracketed run of visual tokens for each frame."""
    config = model.config
    start, patch, end = tokenizer.convert_ids_to_tokens(
        [config.frame_start_token_id, config.image_patch_id, config.frame_end_token_id]
    )
    frame = start + patch * (visual.grid[1] * visual.grid[2]) + end
    text = " ".join(f"{time_s:.1f} {frame}" for time_s in begin_times(visual, FRAMES_PER_SECOND))
    placeholder = getattr(tokenizer, "video_token", "<|video|>")
    return Layout(placeholder, text, config.image_patch_id)


def start_of(tokenizer: Any) -> str:
    """The token before the template's text."""
    return str(tokenizer.bos_token or tokenizer.eos_token)


def mask(model: Any, ids: Tensor) -> Tensor:
    """`(1, 1, N, N)` bool: causal, and all tokens of frames attend to one another."""
    config = model.config
    of_frames = [config.frame_start_token_id, config.image_patch_id, config.frame_end_token_id]
    seen = torch.isin(ids[0], torch.tensor(of_frames, device=ids.device))
    count = len(seen)
    causal = torch.ones(count, count, dtype=torch.bool, device=ids.device).tril()
    return (causal | (seen[:, None] & seen))[None, None]


FAMILY = Family(encode, layout, positions, start=start_of, mask=mask)
