# SPDX-License-Identifier: Apache-2.0

"""Uses the candidate tubes of a command, if it contains any."""

from __future__ import annotations

import numpy as np

from stvg_ros.method.base import BaseProposer
from stvg_ros.method.interfaces import Proposer
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import CandidateTube, Clip, SplitQuery


class ClientTubesOverride(BaseProposer):
    """Proposes the tubes of the command, or those of `inner` for a command without tubes.

    Thread contract: the grounding thread.
    """

    def __init__(self, inner: Proposer) -> None:
        self._inner = inner
        self._clip: Clip | None = None
        self._tubes: tuple[CandidateTube, ...] | None = None

    @property
    def name(self) -> str:
        """Name of the source in use."""
        return self._inner.name if self._tubes is None else "given"

    def give(self, clip: Clip, tubes: tuple[CandidateTube, ...] | None) -> None:
        """Sets the tubes over the frames of `clip` for the next command; None uses `inner`."""
        self._clip, self._tubes = clip, tubes

    def forget(self) -> None:
        """Releases the command's frames and tubes."""
        self._clip = self._tubes = None

    def reconfigure(self, config: ProposalConfig) -> None:
        """Applies new dynamic settings to commands without tubes."""
        self._inner.reconfigure(config)

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        """Candidate tubes over `clip`, which is the clip of `give` or a part of it."""
        if self._tubes is None or self._clip is None:
            return self._inner.propose(clip, query)
        rows = np.isin(self._clip.stamps_ns, clip.stamps_ns)
        return tuple(tube.part(rows) for tube in self._tubes if tube.present[rows].any())
