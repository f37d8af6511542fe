# SPDX-License-Identifier: Apache-2.0

"""VideoLLaMA3: a time stamp before each frame, one slot a frame, tokens by image size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.family import Family, Layout
from stvg_ros.models.frame_times import begin_times
from stvg_ros.models.llava_onevision import positions
from stvg_ros.models.preprocess import Images, common_size, fitted_size, patches, slots_of
from stvg_ros.models.vision_tower import run_tower

# Of frames without times, as in the model's own sampling.
FRAMES_PER_SECOND = 1.0
MIN_FRAME_TOKENS, MAX_TOKENS = 128, 768
CHUNK = 8  # frames that go through the vision tower at a time


def frame_size(
    preprocessing: ImagePreprocessing, height: int, width: int, total: int
) -> tuple[int, int]:
    """`(height, width)` px: the lower bound holds for a frame, the upper for the whole video."""
    factor = preprocessing.patch * preprocessing.merge
    return fitted_size(
        height,
        width,
        factor,
        preprocessing.size.get("shortest_edge", MIN_FRAME_TOKENS * factor**2),
        preprocessing.size.get("longest_edge", MAX_TOKENS * factor**2) // total,
    )


def encode(
    model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
) -> VisualTokens:
    """T frames to T slots.

    All tokens are kept: transformers can omit those that hardly change between frames, but a map
    needs the whole grid.
    """
    preprocessing = replace(preprocessing, pair=1)
    height, width = frame_size(preprocessing, *common_size(images), total)
    rows, columns = height // preprocessing.patch, width // preprocessing.patch
    features = []
    for start in range(0, len(images), CHUNK):
        some = images[start : start + CHUNK]
        output = run_tower(
            model.model.vision_model,
            model.model.get_video_features,
            patches(some, height, width, preprocessing, model.device),
            (len(some), rows, columns),
            preprocessing.merge,
            torch.tensor([preprocessing.merge]),
        )
        features.append(torch.cat(output.pooler_output))
    grid = (len(images), rows // preprocessing.merge, columns // preprocessing.merge)
    return VisualTokens(torch.cat(features), grid, slots_of(len(images), 1))


def layout(tokenizer: Any, model: Any, visual: VisualTokens) -> Layout:
    """`Time 1.0s:` and the frame's tokens."""
    token_id = model.config.video_token_id
    token = tokenizer.convert_ids_to_tokens(token_id)
    run = token * visual.slot_size
    times = begin_times(visual, FRAMES_PER_SECOND)
    text = ",".join(f"Time {time_s:.1f}s:{run}" for time_s in times)
    return Layout(token, text, token_id)


FAMILY = Family(encode, layout, positions)
