# SPDX-License-Identifier: Apache-2.0

"""A second look as a source of evidence: yes or no about the images cut to the best two tubes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from stvg_ros.method.answering import cut_to_tube
from stvg_ros.method.base import MOST_NATS, BaseSource
from stvg_ros.method.interfaces import Mllm
from stvg_ros.method.query import question
from stvg_ros.method.tube_selection import TubeView
from stvg_ros.types import SECOND_LOOK, CandidateTube, Clip, SourceFinding, SplitQuery


@dataclass(frozen=True, eq=False)
class SecondLook(BaseSource):
    """Asks the whole query about each of a few tubes by itself.

    Attributes:
        mllm: the model.
        view: the frames that it saw.
    """

    mllm: Mllm
    view: TubeView
    name: str = SECOND_LOOK

    def margins(self, split: SplitQuery, candidates: Sequence[CandidateTube]) -> dict[int, float]:
        """log p(yes) - log p(no) by track id, in nats; without tubes that the model did not see."""
        found = {}
        for candidate in candidates:
            pictures = cut_to_tube(candidate, self.view)
            if pictures:
                with torch.no_grad():
                    prefix = self.mllm.prefill(self.mllm.encode(pictures))
                    (reading,) = self.mllm.ask(prefix, [question(split.text)])
                margin = float(reading.margin)
                if np.isfinite(margin):
                    found[candidate.track_id] = margin
        return found

    def findings(
        self, clip: Clip, split: SplitQuery, candidates: Sequence[CandidateTube]
    ) -> tuple[SourceFinding, ...]:
        """See `EvidenceSource`: log-odds of each of the candidates against their mean."""
        return self.compared(split, self.margins(split, candidates))

    def compared(self, split: SplitQuery, margins: dict[int, float]) -> tuple[SourceFinding, ...]:
        """The finding of given margins; none without a choice."""
        if len(margins) < 2:
            return ()
        mean = float(np.mean(list(margins.values())))
        weight = self.mllm.settings.second_look_weight
        tubes = {
            track: float(np.clip(weight * (margin - mean), -MOST_NATS, MOST_NATS))
            for track, margin in margins.items()
        }
        return (SourceFinding(self.name, split.text, tubes),)
