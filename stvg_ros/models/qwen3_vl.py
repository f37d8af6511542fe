# SPDX-License-Identifier: Apache-2.0

"""Qwen3-VL: a time stamp before each frame pair, and features for the first deeper layers."""

from __future__ import annotations

from typing import Any

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.family import Family, Layout
from stvg_ros.models.frame_times import mean_times
from stvg_ros.models.preprocess import Images, common_size, slots_of, video_size
from stvg_ros.models.qwen2_vl import positions, tower

# Of frames without times, as in the model's own sampling.
FRAMES_PER_SECOND = 2.0
MIN_TOKENS, MAX_TOKENS = 128, 768


def frame_size(
    preprocessing: ImagePreprocessing, height: int, width: int, total: int
) -> tuple[int, int]:
    """`(height, width)` px of the resized frames; the bounds hold for the whole video."""
    token = (preprocessing.patch * preprocessing.merge) ** 2
    return video_size(preprocessing, height, width, total, MIN_TOKENS * token, MAX_TOKENS * token)


def encode(
    model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
) -> VisualTokens:
    """T frames to `ceil(T / 2)` slots."""
    height, width = frame_size(preprocessing, *common_size(images), total)
    features, deep = tower(model, preprocessing, images, height, width)
    slots = slots_of(len(images), preprocessing.pair)
    factor = preprocessing.patch * preprocessing.merge
    return VisualTokens(features, (len(slots), height // factor, width // factor), slots, deep)


def layout(tokenizer: Any, model: Any, visual: VisualTokens) -> Layout:
    """`<1.2 seconds>`, start, the slot's tokens, end; the time is the mean of its frames' times."""

    def token(token_id: int) -> str:
        return str(tokenizer.convert_ids_to_tokens(token_id))

    config = model.config
    start, end = token(config.vision_start_token_id), token(config.vision_end_token_id)
    video = token(config.video_token_id)
    inside = start + video * visual.slot_size + end
    times = mean_times(visual, FRAMES_PER_SECOND)
    text = "".join(f"<{time_s:.1f} seconds>{inside}" for time_s in times)
    return Layout(start + video + end, text, config.video_token_id)


FAMILY = Family(encode, layout, positions, deep=True, pairs=True)
