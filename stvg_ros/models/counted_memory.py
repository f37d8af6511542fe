# SPDX-License-Identifier: Apache-2.0

"""Counted memory of a grounding in released checkpoints.

The counts are in `counted_memory.json`, which `stvg-ros bench --memory --counts FILE` writes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stvg_ros.errors import ModelError

FILE = Path(__file__).with_name("counted_memory.json")
# Assumed, not counted: CUDA's context and libraries, fragmentation of its allocator, and Python,
# torch and ROS in the process.
CONTEXT_BYTES, FRAGMENTATION, PROCESS_BYTES = 0.5e9, 1.1, 1.0e9
FULL = ("float32", "bfloat16")
USUAL = (20, 640)  # frames T and long side in pixels: the defaults of the settings
# Precision and whether activations are recomputed, from the most exact one on.
ON_GPU = (("bfloat16", True), ("8bit", True), ("4bit", True))
ON_CPU = (("float32", False), ("bfloat16", False), ("bfloat16", True))


@dataclass(frozen=True)
class CountedMemory:
    """Memory of a grounding with re-attention and assembling.

    Attributes:
        checkpoint: hub id.
        weights_in: precision of the language model's weights: one of `FULL`, "8bit" or "4bit".
        recomputed: whether activations are recomputed in re-attention.
        frames: T.
        long_side_px: of the images, which have the ratio 16:9.
        visual_tokens: M.
        weights: bytes of language model and vision tower.
        peak: bytes of weights and passes together.
    """

    checkpoint: str
    weights_in: str
    recomputed: bool
    frames: int
    long_side_px: int
    visual_tokens: int
    weights: int
    peak: int

    @property
    def needed_on_gpu(self) -> float:
        """Free bytes of a GPU before the model is loaded."""
        return self.peak * FRAGMENTATION + CONTEXT_BYTES

    @property
    def needed_on_cpu(self) -> float:
        """Free bytes of main memory before the program starts."""
        return self.peak * FRAGMENTATION + PROCESS_BYTES

    @property
    def settings(self) -> dict[str, str | bool]:
        """The settings that it was counted for, besides the window and the frames."""
        full = self.weights_in in FULL
        return {
            "model.path": self.checkpoint,
            "model.dtype": self.weights_in if full else "bfloat16",
            "model.quantization": "none" if full else self.weights_in,
            "model.gradient_checkpointing": self.recomputed,
        }


@cache
def counts() -> tuple[CountedMemory, ...]:
    """All counts, in the order of the file."""
    return tuple(CountedMemory(**row) for row in json.loads(FILE.read_text(encoding="utf-8")))


def counted(
    checkpoint: str, weights_in: str, recomputed: bool, frames: int, long_side_px: int
) -> CountedMemory:
    """The count for these values.

    Raises:
        ModelError: there is none.
    """
    wanted = (checkpoint, weights_in, recomputed, frames, long_side_px)
    for each in counts():
        found = (each.checkpoint, each.weights_in, each.recomputed, each.frames, each.long_side_px)
        if found == wanted:
            return each
    raise ModelError(
        f"{checkpoint}, {weights_in}, {frames} frames of {long_side_px} px: not counted; expected "
        f"one of {FILE.name}; count it with `stvg-ros bench --memory --counts FILE`"
    )
