# SPDX-License-Identifier: Apache-2.0

"""Seconds, FLOP and memory of each stage of a grounding."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from stvg_lab.benchmark.measuring import PeakMemory, flop_counter
from stvg_ros.method.interfaces import Grounder
from stvg_ros.types import Clip, Query


@dataclass(frozen=True)
class Stage:
    """One stage, or the whole: median and maximum seconds, floating point operations of torch."""

    name: str
    median_s: float
    slowest_s: float
    flops: int


def stages(
    grounder: Grounder, clip: Clip, query: Query, repeats: int, device: torch.device
) -> tuple[list[Stage], int]:
    """Every stage and their sum, and the peak memory of one grounding."""
    counts: dict[str, int] = {}
    with flop_counter() as counter:  # the first run also loads and compiles
        begins: list[tuple[str, int]] = []

        def begin(stage: str, share: float) -> None:
            if not begins or begins[-1][0] != stage:  # it is also called within stages
                begins.append((stage, counter.get_total_flops()))

        grounder.ground(clip, query, begin)
        ends = [*(count for _, count in begins[1:]), counter.get_total_flops()]
        counts = {name: end - count for (name, count), end in zip(begins, ends, strict=True)}
    times: dict[str, list[float]] = {}
    with PeakMemory(device) as memory:
        for _ in range(repeats):
            for stage, seconds in _seconds(grounder, clip, query, device).items():
                times.setdefault(stage, []).append(seconds)
    times["total"] = np.sum(list(times.values()), axis=0).tolist()
    counts["total"] = sum(counts.values())
    rows = [
        Stage(name, float(np.median(values)), max(values), counts.get(name, 0))
        for name, values in times.items()
    ]
    return rows, memory.bytes


def _seconds(
    grounder: Grounder, clip: Clip, query: Query, device: torch.device
) -> dict[str, float]:
    """Seconds from the start of each stage to the start of the next, with device work finished."""
    times: list[float] = []
    names: list[str] = []

    def begin(stage: str, share: float = 0.0) -> None:
        if names and names[-1] == stage:
            return  # within the stage
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter())
        names.append(stage)

    grounder.ground(clip, query, begin)
    begin("end")
    return {name: end - start for name, (start, end) in zip(names, pairwise(times), strict=False)}
