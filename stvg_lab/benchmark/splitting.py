# SPDX-License-Identifier: Apache-2.0

"""Cost of splitting commands by the MLLM: tokens that it reads, arithmetic and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from stvg_lab.benchmark.measuring import flop_counter, timed
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
        # Counting takes microseconds per product.
        with flop_counter() as counter:
            found, seconds = timed(partial(splitter.split, sentence), device)
        costs.append(SplitCost(found.tokens, counter.get_total_flops(), seconds))
    return costs
