# SPDX-License-Identifier: Apache-2.0

"""This package's schedule compared with the slow one: same weights, process and video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stvg_lab.benchmark.measuring import PeakMemory, flops, timed
from stvg_lab.benchmark.random_models import CELL_PX
from stvg_lab.benchmark.slow_schedule import SlowSchedule
from stvg_ros.config import Config
from stvg_ros.method.base import BaseProposer
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.reattention import Step
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.setting import Value
from stvg_ros.types import CandidateTube, Clip, Frame, Query, SplitQuery

# Stages of `LocalGrounder` in which the language model runs.
MODEL_STAGES = ("forward pass", "reversed pass", "re-attend", "attend", "assemble")
_SPLIT = SplitQuery(
    "the person in the red shirt who waves",
    "the person in the red shirt",
    "the person who waves",
    "rules",
)
_STEP = Step("code", "plain", 8.0)
_CONFIG: dict[str, Value] = {
    "reattention.loss": _STEP.loss,
    "reattention.step": _STEP.rule,
    "reattention.learning_rate": _STEP.rate,
}


@dataclass(frozen=True)
class Side:
    """One schedule. Memory is the peak above weights and video, in bytes."""

    seconds: float
    flops: int
    peak_bytes: int
    prefills: int
    backward: int
    decodes: int
    map_bytes: int


@dataclass(frozen=True)
class ScheduleComparison:
    """Both schedules on one video.

    Attributes:
        visual_tokens: M.
        pass_flops: operations of one pass over the video without a question.
        ours, slow: the two sides.
        difference: largest difference of the two schedules' maps, relative to the map's peak.
    """

    visual_tokens: int
    pass_flops: int
    ours: Side
    slow: Side
    difference: float


def side_by_side(
    mllm: HfMllm, frames: int, grid: tuple[int, int], decode_steps: int
) -> ScheduleComparison:
    """Runs both schedules on noise: `frames` frames, `grid` (rows, columns) tokens per slot."""
    clip, device = noise(frames, grid), mllm.checkpoint.model.device
    visual = mllm.encode([frame.image for frame in clip.frames])
    _, pass_flops = flops(lambda: _without_gradient(lambda: mllm.prefill(visual)))
    slow = SlowSchedule(mllm, _STEP, decode_steps)
    counted = CountingMllm(mllm)
    ours_maps, ours = _measured(lambda: grounded(counted, clip, visual), device)
    slow_maps, theirs = _measured(lambda: slow.maps(visual, _SPLIT), device)
    difference = max(
        float((a - b).abs().max() / b.abs().max())
        for a, b in zip(ours_maps, (each.cpu() for each in slow_maps), strict=True)
    )
    counts = slow.counts
    map_bytes = counts.map_elements * mllm.checkpoint.model.dtype.itemsize
    return ScheduleComparison(
        len(visual.features),
        pass_flops,
        Side(*ours, counted.passes, counted.backward, 0, mllm.largest_map * 4),
        Side(*theirs, counts.prefills, counts.backward, counts.decodes, map_bytes),
        difference,
    )


def model_seconds(mllm: HfMllm, frames: int, grid: tuple[int, int]) -> tuple[int, float]:
    """M, and the seconds of this package's schedule."""
    clip, device = noise(frames, grid), mllm.checkpoint.model.device
    visual = mllm.encode([frame.image for frame in clip.frames])
    _, seconds = timed(lambda: grounded(CountingMllm(mllm), clip, visual), device)
    return len(visual.features), seconds


def noise(frames: int, grid: tuple[int, int], cell_px: int = CELL_PX) -> Clip:
    """A clip whose frames give `grid` tokens each, of `cell_px` pixels of a side."""
    draw = np.random.default_rng(0)
    height, width = grid[0] * cell_px, grid[1] * cell_px
    return Clip(
        tuple(
            Frame(k, draw.integers(0, 256, (height, width, 3), dtype=np.uint8), width, height)
            for k in range(frames)
        )
    )


def _measured(
    work: Callable[[], tuple[Tensor, Tensor]], device: torch.device
) -> tuple[tuple[Tensor, Tensor], tuple[float, int, int]]:
    """The maps, and seconds, operations and bytes."""
    if device.type == "cuda":
        work()  # selects and compiles kernels
        with PeakMemory(device) as memory:
            maps, seconds = timed(work, device)
        return maps, (seconds, flops(work)[1], memory.bytes)
    # Counting takes microseconds per product; a second run would take minutes.
    with PeakMemory(device) as memory:
        (maps, seconds), count = flops(lambda: timed(work, device))
    return maps, (seconds, count, memory.bytes)


@torch.no_grad()
def _without_gradient(work: Callable[[], Any]) -> Any:
    return work()


def grounded(mllm: CountingMllm, clip: Clip, visual: VisualTokens) -> tuple[Tensor, Tensor]:
    """A_S and A_T by `LocalGrounder`."""
    config = Config.from_flat({**_CONFIG, "sampling.frames": len(clip)})
    mllm.start(visual)
    found = LocalGrounder(mllm, mllm, mllm, config).ground(
        clip, Query(_SPLIT.text), lambda stage, share: None
    )
    assert found.evidence is not None
    return torch.from_numpy(found.evidence.spatial), torch.from_numpy(found.evidence.temporal)


class CountingMllm(BaseProposer):
    """A model that counts its passes; T_v, the split and the only candidate are given."""

    name = "counted"

    def __init__(self, mllm: HfMllm) -> None:
        self._mllm = mllm
        self.settings = mllm.settings
        self.frames_per_slot = mllm.frames_per_slot
        self.complete = mllm.complete
        self.option_log_p = mllm.option_log_p
        self.limits = mllm.limits
        self.saving_memory = mllm.saving_memory

    def start(self, visual: VisualTokens) -> None:
        """Resets the counts."""
        self._visual, self.passes, self.backward = visual, 0, 0

    def encode(self, images: Any, total: int = 0) -> VisualTokens:
        return self._visual

    def prefill(self, visual: VisualTokens, offset: Tensor | None = None) -> Any:
        self.passes += 1
        if offset is not None and offset.requires_grad:
            leaf: Any = offset
            leaf.register_hook(self._count_backward)
        return self._mllm.prefill(visual, offset)

    def ask(self, prefix: Any, questions: Sequence[str]) -> Any:
        return self._mllm.ask(prefix, questions)

    def attention_rows(self, passes: Any, question: str) -> Any:
        self.passes += len(passes)
        return self._mllm.attention_rows(passes, question)

    def split(self, text: str) -> SplitQuery:
        return _SPLIT

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        box = np.array([0, 0, *clip.size_px], np.float32)
        everywhere = np.ones(len(clip), np.bool_)
        boxes = np.tile(box, (len(clip), 1))
        return (CandidateTube(0, boxes, everywhere, ~everywhere),)

    def _count_backward(self, grad: Tensor) -> None:
        self.backward += 1
