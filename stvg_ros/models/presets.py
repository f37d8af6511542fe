# SPDX-License-Identifier: Apache-2.0

"""The parameter files of config/ for models on a GPU, with their counted memory."""

from __future__ import annotations

from dataclasses import dataclass

from stvg_ros.models.counted_memory import PROCESS_BYTES, CountedMemory, counted


@dataclass(frozen=True)
class Preset:
    """A parameter file, and what it needs.

    Attributes:
        name: of the file in config/, without its ending.
        machine: in words.
        memory_gb: of the machine.
        checkpoint, weights_in, recomputed, frames, long_side_px: see `CountedMemory`.
        window_bytes: `window.max_bytes`.
        shared: whether CPU and GPU share the memory.
    """

    name: str
    machine: str
    memory_gb: int
    checkpoint: str
    weights_in: str
    recomputed: bool
    frames: int
    long_side_px: int
    window_bytes: int
    shared: bool = True

    @property
    def count(self) -> CountedMemory:
        """The counted memory of its model."""
        return counted(
            self.checkpoint, self.weights_in, self.recomputed, self.frames, self.long_side_px
        )

    @property
    def needed(self) -> float:
        """Free bytes before the node starts."""
        beside = PROCESS_BYTES + self.window_bytes if self.shared else 0.0
        return self.count.needed_on_gpu + beside

    @property
    def model(self) -> str:
        """The model in words."""
        kind = self.weights_in.replace("bit", " bits")
        return f"{self.checkpoint.partition('/')[2]} in {kind}"


_MIB = 2**20
# From the largest to the smallest of each kind of machine.
PRESETS = (
    Preset(
        "jetson_thor", "Jetson Thor", 128, "Qwen/Qwen2.5-VL-7B-Instruct", "bfloat16", False, 20,
        960, 1024 * _MIB,
    ),
    Preset(
        "jetson_orin_64gb", "Jetson AGX Orin", 64, "Qwen/Qwen2.5-VL-7B-Instruct", "bfloat16", True,
        20, 640, 512 * _MIB,
    ),
    Preset(
        "jetson_orin_16gb", "Jetson Orin NX", 16, "Qwen/Qwen2.5-VL-3B-Instruct", "4bit", True, 12,
        448, 128 * _MIB,
    ),
    Preset(
        "jetson_orin_8gb", "Jetson Orin Nano or NX", 8, "Qwen/Qwen2-VL-2B-Instruct", "4bit", True,
        10, 336, 64 * _MIB,
    ),
    Preset(
        "gpu_24gb", "GPU with 24 GB", 24, "Qwen/Qwen2.5-VL-7B-Instruct", "bfloat16", True, 20, 960,
        1024 * _MIB, shared=False,
    ),
)  # fmt: skip
