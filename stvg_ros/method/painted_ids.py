# SPDX-License-Identifier: Apache-2.0

"""Painted ids as a source of evidence: the model is asked which number the target has.

The answer is read from the log-probabilities of the numbers; no text is generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from stvg_ros.method.base import MOST_NATS, BaseSource
from stvg_ros.method.interfaces import Mllm
from stvg_ros.method.marked_video import MarkedVideo
from stvg_ros.method.model_words import Wording, as_said
from stvg_ros.method.query import described
from stvg_ros.types import PAINTED_IDS, CandidateTube, Clip, SourceFinding, SplitQuery


def which_number(text: str) -> str:
    """The question for a target."""
    return (
        "The candidates in this video have numbers. Which number has "
        f"{described(text)}? Answer with the number."
    )


@dataclass(frozen=True, eq=False)
class PaintedIds(BaseSource):
    """What the model says about the numbers on a marked video.

    Attributes:
        mllm: the model.
        video: with numbers on the candidates.
        wording: of the question.
    """

    mllm: Mllm
    video: MarkedVideo
    wording: Wording = as_said
    name: str = PAINTED_IDS

    def findings(
        self, clip: Clip, split: SplitQuery, candidates: Sequence[CandidateTube]
    ) -> tuple[SourceFinding, ...]:
        """See `EvidenceSource`: log-odds of each number against the mean of the others.

        Empty if there is no choice, or the model does not know numbers.
        """
        tracks = self.video.tracks
        if len(tracks) < 2:
            return ()
        options = [str(number + 1) for number in range(len(tracks))]
        log_p = self.mllm.option_log_p(
            self.video.prefix, which_number(self.wording(split.text)), options
        )
        if log_p is None or not log_p.isfinite().all():
            return ()
        weight = self.mllm.settings.painted_ids_weight
        nats = (weight * log_odds(log_p.double())).clamp(-MOST_NATS, MOST_NATS).tolist()
        return (SourceFinding(self.name, split.text, dict(zip(tracks, nats, strict=True))),)


def log_odds(log_p: torch.Tensor) -> torch.Tensor:
    """Logarithm of each of K >= 2 probabilities over the mean of the others, `(K,)`."""
    alone = torch.eye(len(log_p), dtype=torch.bool)
    others = log_p.cpu().expand(len(log_p), -1).masked_fill(alone, float("-inf")).logsumexp(1)
    return log_p.cpu() - others + torch.tensor(len(log_p) - 1.0).log()
