# SPDX-License-Identifier: Apache-2.0

"""Qwen2-VL and Qwen2.5-VL: frame pairs, tokens by image size, three-fold positions.

The first of the three gives Qwen2.5-VL the times of the frames, Qwen2-VL their order only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.family import Family, Layout
from stvg_ros.models.frame_times import begin_times
from stvg_ros.models.preprocess import (
    Images,
    common_size,
    fitted_size,
    letterboxed,
    patches,
    slots_of,
)
from stvg_ros.models.vision_tower import run_tower

# Upper bound in tokens of one frame of a video, as in transformers; the files of older
# checkpoints hold the much larger bound for single images.
MAX_FRAME_TOKENS = 768
MIN_FRAME_TOKENS = 128
CHUNK = 8  # slots that go through the vision tower at a time
FRAMES_PER_SECOND = 2.0  # of frames without times, as in transformers
# Positions are whole; the stamps of cameras jitter around them. 10 ms at two positions a second.
JITTER = 0.02


def frame_size(
    preprocessing: ImagePreprocessing, height: int, width: int, total: int
) -> tuple[int, int]:
    """`(height, width)` px of the resized frames; the bounds hold for each frame."""
    factor = preprocessing.patch * preprocessing.merge
    most = MAX_FRAME_TOKENS * factor**2
    return fitted_size(
        height,
        width,
        factor,
        min(preprocessing.size.get("shortest_edge", MIN_FRAME_TOKENS * factor**2), most),
        min(preprocessing.size.get("longest_edge", most), most),
    )


def encode(
    model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
) -> VisualTokens:
    """T frames to `ceil(T / 2)` slots; padded if the model was trained on one shape only."""
    height, width = frame_size(preprocessing, *common_size(images), total)
    factor, ratio = preprocessing.patch * preprocessing.merge, preprocessing.aspect_ratio
    picture = None
    if ratio:
        trained = frame_size(preprocessing, 960, round(960 * ratio), total)
        if trained != (height, width):
            height, width = trained
            cells = height // factor, width // factor
            images, picture = letterboxed(images, trained, cells, preprocessing.resample)
    features, _ = tower(model, preprocessing, images, height, width)
    slots = slots_of(len(images), preprocessing.pair)
    grid = (len(slots), height // factor, width // factor)
    return VisualTokens(features, grid, slots, picture=picture)


def tower(
    model: Any, preprocessing: ImagePreprocessing, images: Images, height: int, width: int
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Features `(M, D)` and deep features of images at `height` x `width` px."""
    grid = (height // preprocessing.patch, width // preprocessing.patch)
    step = CHUNK * preprocessing.pair
    vision = getattr(model.model, "visual", None) or model.model.vision_tower
    features: list[Tensor] = []
    deep: list[list[Tensor]] = []
    for start in range(0, len(images), step):
        some = images[start : start + step]
        output = run_tower(
            vision,
            model.model.get_video_features,
            patches(some, height, width, preprocessing, model.device).to(vision.dtype),
            (len(slots_of(len(some), preprocessing.pair)), *grid),
            preprocessing.merge,
        )
        features.append(torch.cat(output.pooler_output))
        levels = getattr(output, "deepstack_features", None) or ()
        deep.append([torch.cat(tuple(level)) for level in levels])
    return torch.cat(features), tuple(torch.cat(level) for level in zip(*deep, strict=True))


def layout(tokenizer: Any, model: Any, visual: VisualTokens) -> Layout:
    """One run of visual tokens."""
    token_id = model.config.video_token_id
    token = tokenizer.convert_ids_to_tokens(token_id)
    text = token * len(visual.features)
    return Layout(token, text, token_id, slot_times=slot_times(model, visual))


def slot_times(model: Any, visual: VisualTokens) -> tuple[int, ...]:
    """Time position of each slot after the first; empty for a model without times.

    The library knows one interval a video (`second_per_grid_ts`); here each slot has its own time,
    which is the same for evenly spaced frames.
    """
    rate = getattr(model.config.vision_config, "tokens_per_second", None)
    if rate is None:
        return ()
    return tuple(int(rate * time_s + JITTER) for time_s in begin_times(visual, FRAMES_PER_SECOND))


def positions(model: Any, ids: Tensor, visual: VisualTokens) -> tuple[Tensor, int]:
    """`(3, 1, N)` time, row and column, by the library's own rule."""
    at, following = positions_of(model, ids, visual, model.config.video_token_id)
    if times := slot_times(model, visual):
        seen = ids == model.config.video_token_id
        after = torch.tensor(times, device=ids.device).repeat_interleave(visual.slot_size)
        at[0, seen] = at[:, seen].min() + after
    return at, following


def positions_of(
    model: Any, ids: Tensor, visual: VisualTokens, token_id: int
) -> tuple[Tensor, int]:
    """The library's positions of a video whose tokens are `token_id`, and the one that follows.

    One text token is appended to get the position of the text after the video.
    """
    merge = model.config.vision_config.spatial_merge_size
    slots, rows, columns = visual.grid
    longer = functional.pad(ids, (0, 1))
    kinds = functional.pad((ids == token_id).int() * 2, (0, 1))
    grid = torch.tensor([[slots, rows * merge, columns * merge]], device=ids.device)
    at, _ = model.model.get_rope_index(longer, mm_token_type_ids=kinds, video_grid_thw=grid)
    return at[..., :-1], int(at[..., -1].max())


FAMILY = Family(encode, layout, positions, pairs=True)
