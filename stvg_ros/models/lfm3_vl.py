# SPDX-License-Identifier: Apache-2.0

"""LFM3-VL: the video of Qwen3-VL in a language model of convolutions, windows and attention."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models import qwen3_vl
from stvg_ros.models.family import Family, Layout
from stvg_ros.models.llava_onevision import positions


def layout(tokenizer: Any, model: Any, visual: VisualTokens) -> Layout:
    """As in Qwen3-VL, in the place of the visual token alone."""
    found = qwen3_vl.layout(tokenizer, model, visual)
    return replace(found, placeholder=tokenizer.convert_ids_to_tokens(found.token_id))


FAMILY = Family(qwen3_vl.encode, layout, positions, pairs=True)
