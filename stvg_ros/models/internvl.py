# SPDX-License-Identifier: Apache-2.0

"""InternVL3: frames as numbered images, one slot a frame."""

from __future__ import annotations

from typing import Any

import torch

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.family import Family, Layout
from stvg_ros.models.llava_onevision import CHUNK, positions
from stvg_ros.models.preprocess import Images, normalised, slots_of, square_size


def encode(
    model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
) -> VisualTokens:
    """T frames to T slots, pixel-shuffled to `downsample_ratio` of the tower's grid."""
    default, _ = model.config.vision_config.image_size
    patch, _ = model.config.vision_config.patch_size
    size = square_size(preprocessing, default)
    rows, columns = (int(side // patch * model.config.downsample_ratio) for side in size)
    parts = []
    for start in range(0, len(images), CHUNK):
        pixels = normalised(images[start : start + CHUNK], *size, preprocessing, model.device)
        output = model.model.get_image_features(pixels.to(model.dtype))
        parts.append(output.pooler_output.flatten(0, 1))
    grid = (len(images), rows, columns)
    return VisualTokens(torch.cat(parts), grid, slots_of(len(images), 1))


def layout(tokenizer: Any, model: Any, visual: VisualTokens) -> Layout:
    """`Frame1: ` and a bracketed run of visual tokens, one line per frame."""
    token_id = model.config.image_token_id
    run = tokenizer.convert_ids_to_tokens(token_id) * visual.slot_size
    start, end = tokenizer.start_image_token, tokenizer.end_image_token
    lines = (f"Frame{frame + 1}: {start}{run}{end}" for frame in range(len(visual.slots)))
    return Layout(tokenizer.video_token, "\n".join(lines), token_id)


FAMILY = Family(encode, layout, positions)
