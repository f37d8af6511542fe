# SPDX-License-Identifier: Apache-2.0

"""Cost of splitting commands by the MLLM: tokens that it reads, arithmetic and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from stvg_lab.benchmark.measuring import flops, timed
from stvg_ros.method.query import MllmSplitter
from stvg_ros.models.hf_common import HfMllm

SENTENCES = (
    "find the person in the red shirt who waves",
    "the woman in the blue coat who walks to the door and sits down",
    "which of the two men in green jackets picks up the box",
)


@dataclass(frozen=True)
class SplitCost:
    """One sentence. The first one of a model includes the examples, which are kept.

    Attributes:
        tokens: read by the model.
        flops: floating point operations.
        seconds: as `measuring.timed`.
    """

    tokens: int
    flops: int
    seconds: float


def split_costs(mllm: HfMllm, sentences: Sequence[str] = SENTENCES) -> list[SplitCost]:
    """The cost of each sentence, in order."""
    splitter, device = MllmSplitter(mllm), mllm.checkpoint.model.device
    costs = []
    for sentence in sentences:
        split = partial(splitter.split, sentence)
        # Counting takes microseconds per product.
        (found, seconds), count = flops(partial(timed, split, device))
        costs.append(SplitCost(found.tokens, count, seconds))
    return costs
