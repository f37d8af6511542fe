# SPDX-License-Identifier: Apache-2.0

"""Qwen3.5 and later: the video of Qwen3-VL in a language model of mostly recurrent layers.

Three of four layers are Gated DeltaNet, every fourth attends. `hf_common` copies the recurrent
states of a prefix for each question; the vision tower has no features for deeper layers.
"""

from __future__ import annotations

from stvg_ros.models.family import Family
from stvg_ros.models.qwen2_vl import positions
from stvg_ros.models.qwen3_vl import encode, layout

FAMILY = Family(encode, layout, positions, pairs=True)
