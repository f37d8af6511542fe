# SPDX-License-Identifier: Apache-2.0

"""MiniCPM-V 4.7: as 4.6, with positions of a token's time, row and column."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models import minicpmv4_6
from stvg_ros.models.chat_template import QUESTION, rendered, turn, written
from stvg_ros.models.family import Family, Layout


def layout(tokenizer: Any, model: Any, visual: VisualTokens) -> Layout:
    """As in 4.6, without the number of the video."""
    found = minicpmv4_6.layout(tokenizer, model, visual, use_image_id=False)
    # The position of a newline behind the last frame is one of that frame's.
    end = _newlines_behind(tokenizer, found.placeholder, model.config.newline_id)
    return replace(found, placeholder=found.placeholder + end, text=found.text + end)


@lru_cache(maxsize=8)
def _newlines_behind(tokenizer: Any, placeholder: str, newline_id: int) -> str:
    """The text that the chat template writes behind a video, if it is of newline tokens alone."""
    text = rendered(tokenizer, [turn("user", {"type": "video"}, written(QUESTION))])
    between = text.partition(placeholder)[2].partition(QUESTION)[0]
    ids = tokenizer(between, add_special_tokens=False)["input_ids"]
    return between if set(ids) == {newline_id} else ""


def positions(model: Any, ids: Tensor, visual: VisualTokens) -> tuple[Tensor, int]:
    """`(3, 1, N)` time, row and column, by the library's own rule.

    One text token is appended to get the position of the text after the video.
    """
    config = model.config
    slots, rows, columns = visual.grid
    merge = minicpmv4_6.patches_to_a_token(model)
    marks = {config.video_token_id, config.image_start_id, config.image_end_id}
    marks |= {config.slice_start_id, config.slice_end_id, config.newline_id}
    other = next(token for token in itertools.count() if token not in marks)
    longer = torch.cat([ids, ids.new_full((1, 1), other)], dim=1)
    at, _ = model.model.get_rope_index(
        longer,
        mm_token_type_ids=torch.where(longer == config.video_token_id, 2, 0).int(),
        target_sizes_videos=torch.tensor([[rows * merge, columns * merge]] * slots),
    )
    return at[..., :-1], int(at[..., -1].max())


FAMILY = Family(minicpmv4_6.encode, layout, positions)
