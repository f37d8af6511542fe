# SPDX-License-Identifier: Apache-2.0

"""Counts the memory of a grounding in released checkpoints on images of 16:9."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from stvg_lab.benchmark.grounding_memory import memory_use, quantized
from stvg_lab.benchmark.random_models import DEEP_TOWERS, MERGE, TOWERS, random_mllm
from stvg_ros.models.counted_memory import ON_CPU, ON_GPU, USUAL, CountedMemory
from stvg_ros.models.presets import PRESETS

# Shape of the language model and vision tower, by their config.json.
CHECKPOINTS = {
    "Qwen/Qwen2-VL-2B-Instruct": ("2b", TOWERS["Qwen2-VL"]),
    "Qwen/Qwen2.5-VL-3B-Instruct": ("3b", TOWERS["Qwen2.5-VL"]),
    "Qwen/Qwen2.5-VL-7B-Instruct": ("7b", TOWERS["Qwen2.5-VL"]),
    "Qwen/Qwen3-VL-2B-Instruct": ("3-2b", DEEP_TOWERS["small"]),
    "Qwen/Qwen3-VL-4B-Instruct": ("3-4b", DEEP_TOWERS["small"]),
    "Qwen/Qwen3-VL-8B-Instruct": ("3-8b", DEEP_TOWERS["large"]),
}


@dataclass(frozen=True)
class MemoryCase:
    """What is counted; see `CountedMemory`."""

    checkpoint: str
    weights_in: str
    recomputed: bool
    frames: int
    long_side_px: int


def cases() -> Iterator[MemoryCase]:
    """All that is counted: each checkpoint and precision at the usual size, and the presets."""
    found = [
        MemoryCase(checkpoint, weights_in, recomputed, *USUAL)
        for checkpoint in CHECKPOINTS
        for weights_in, recomputed in (*ON_GPU, *ON_CPU)
    ]
    found += [
        MemoryCase(
            each.checkpoint, each.weights_in, each.recomputed, each.frames, each.long_side_px
        )
        for each in PRESETS
    ]
    yield from dict.fromkeys(found)


def count(case: MemoryCase) -> CountedMemory:
    """The memory of a case, counted on shapes."""
    shape, tower = CHECKPOINTS[case.checkpoint]
    dtype = torch.float32 if case.weights_in == "float32" else torch.bfloat16
    mllm = random_mllm(shape, torch.device("meta"), dtype, tower, case.recomputed)
    if case.weights_in.endswith("bit"):
        mllm = quantized(mllm, int(case.weights_in[0]))
    side, cell = case.long_side_px, tower.patch * MERGE
    grid = (max(1, round(side * 9 / 16 / cell)), max(1, round(side / cell)))
    use = memory_use(mllm, case.frames, grid)
    return CountedMemory(
        case.checkpoint, case.weights_in, case.recomputed, case.frames, side, use.visual_tokens,
        use.weights, use.peak,
    )  # fmt: skip
