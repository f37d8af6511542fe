# SPDX-License-Identifier: Apache-2.0

"""Seconds, FLOP and memory of each stage of a grounding, and the tokens of the split."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from stvg_lab.benchmark.measuring import PeakMemory, flop_counter
from stvg_ros.method.interfaces import Grounder
from stvg_ros.types import Clip, Query


@dataclass(frozen=True)
class Stage:
    """One stage, or the whole.

    Attributes:
        name: of the stage, or "total".
        median_s, slowest_s: seconds.
        flops: floating point operations of torch.
        tokens: that the MLLM read to split the command; 0 for the other stages.
    """

    name: str
    median_s: float
    slowest_s: float
    flops: int
    tokens: int = 0


def stages(
    grounder: Grounder, clip: Clip, query: Query, repeats: int, device: torch.device
) -> tuple[list[Stage], int]:
    """Every stage and their sum, and the peak memory of one grounding.

    Splitters know sentences that they read before, so each repeat asks a text of its own: the same
    words with more full stops, which no splitter reads.
    """
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
    tokens = []
    with PeakMemory(device) as memory:
        for repeat in range(repeats):
            again = replace(query, text=query.text + "." * (repeat + 1))
            seconds_of, read = _seconds(grounder, clip, again, device)
            tokens.append(read)
            for stage, seconds in seconds_of.items():
                times.setdefault(stage, []).append(seconds)
    times["total"] = np.sum(list(times.values()), axis=0).tolist()
    counts["total"] = sum(counts.values())
    rows = [
        Stage(
            name, float(np.median(values)), max(values), counts.get(name, 0),
            round(np.median(tokens)) if name == "split" else 0,
        )
        for name, values in times.items()
    ]  # fmt: skip
    return rows, memory.bytes


def _seconds(
    grounder: Grounder, clip: Clip, query: Query, device: torch.device
) -> tuple[dict[str, float], int]:
    """Seconds from the start of each stage to the start of the next, with device work finished.

    Also the tokens that the MLLM read to split the command.
    """
    times: list[float] = []
    names: list[str] = []

    def begin(stage: str, share: float = 0.0) -> None:
        if names and names[-1] == stage:
            return  # within the stage
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter())
        names.append(stage)

    split = grounder.ground(clip, query, begin).best.split
    begin("end")
    taken = {name: end - start for name, (start, end) in zip(names, pairwise(times), strict=False)}
    return taken, 0 if split is None else split.tokens
