# SPDX-License-Identifier: Apache-2.0

"""GLM-4.1V and GLM-4.6V: frame pairs as images with their time behind, three-fold positions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.family import Family, Layout
from stvg_ros.models.frame_times import begin_times
from stvg_ros.models.preprocess import Images, common_size, patches, slots_of, video_size
from stvg_ros.models.qwen2_vl import CHUNK, positions_of

FRAMES_PER_SECOND = 2.0  # of frames without times, as in the model's own sampling
MIN_PIXELS, MAX_PIXELS = 112 * 112, 28 * 28 * 2 * 30000  # of a whole video


def frame_size(
    preprocessing: ImagePreprocessing, height: int, width: int, total: int
) -> tuple[int, int]:
    """`(height, width)` px of the resized frames; the bounds hold for the whole video."""
    return video_size(preprocessing, height, width, total, MIN_PIXELS, MAX_PIXELS)


def encode(
    model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
) -> VisualTokens:
    """T frames to `ceil(T / 2)` slots."""
    height, width = frame_size(preprocessing, *common_size(images), total)
    rows, columns = height // preprocessing.patch, width // preprocessing.patch
    features = []
    for start in range(0, len(images), CHUNK * preprocessing.pair):
        some = images[start : start + CHUNK * preprocessing.pair]
        slots = len(slots_of(len(some), preprocessing.pair))
        output = model.model.get_video_features(
            patches(some, height, width, preprocessing, model.device),
            torch.tensor([[slots, rows, columns]], device=model.device),
        )
        features.append(torch.cat(output.pooler_output))
    slots_ = slots_of(len(images), preprocessing.pair)
    merge = preprocessing.merge
    return VisualTokens(torch.cat(features), (len(slots_), rows // merge, columns // merge), slots_)


def layout(tokenizer: Any, model: Any, visual: VisualTokens) -> Layout:
    """Each slot is an image with the time of its first frame behind: whole seconds in GLM-4.1V."""

    def token(token_id: int) -> str:
        return str(tokenizer.convert_ids_to_tokens(token_id))

    config = model.config
    run = token(config.image_token_id) * visual.slot_size
    image = f"{token(config.image_start_token_id)}{run}{token(config.image_end_token_id)}"
    whole = config.model_type == "glm4v"
    text = "".join(
        f"{image}{int(time_s)}" if whole else f"{image}{time_s:.1f} seconds"
        for time_s in begin_times(visual, FRAMES_PER_SECOND)
    )
    return Layout(token(config.video_token_id), text, config.image_token_id)


def positions(model: Any, ids: Tensor, visual: VisualTokens) -> tuple[Tensor, int]:
    """`(3, 1, N)` time, row and column, by the library's own rule."""
    return positions_of(model, ids, visual, model.config.image_token_id)


FAMILY = Family(encode, layout, positions, pairs=True)
