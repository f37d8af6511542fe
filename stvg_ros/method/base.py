# SPDX-License-Identifier: Apache-2.0

"""Default methods that do nothing, for grounders and sources of tubes and of evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from stvg_ros.errors import ProposalError
from stvg_ros.types import CandidateTube, Clip, Frame, SplitQuery

if TYPE_CHECKING:
    from stvg_ros.config import Config
    from stvg_ros.method.interfaces import Follower, Proposer
    from stvg_ros.proposals.settings import ProposalConfig

Own = TypeVar("Own")


class BaseGrounder:
    """A `Grounder` without `ground`: stores nothing, and has no source of tubes."""

    proposer: Proposer | None = None
    candidates: str = ""

    @property
    def prepared_bytes(self) -> int:
        """Memory of prefetched results: none."""
        return 0

    def observe(self, frame: Frame) -> None:
        """Needs no frame before a command."""

    def prefetch(self, clip: Clip) -> bool:
        """Does nothing before a command."""
        return False

    def forget(self) -> None:
        """Stores no frames."""

    def reconfigure(self, config: Config) -> None:
        """Has no settings."""

    def for_recording(self: Own) -> Own:
        """Itself: it stores no frames."""
        return self

    def close(self) -> None:
        """Nothing to close: no threads or connections."""


MOST_NATS = 6.0  # that one source can say for or against a tube or a frame


class BaseSource:
    """An `EvidenceSource` without `name` and `findings`: measures no words, and stores nothing."""

    def unmeasured(self, split: SplitQuery) -> tuple[str, ...]:
        """No words: it takes the query as a whole."""
        return ()

    def keypoints(
        self, clip: Clip, candidates: Sequence[CandidateTube], frames: NDArray[np.int64]
    ) -> Mapping[int, NDArray[np.float32]]:
        """Knows no keypoints."""
        return {}

    def described(self, clip: Clip, candidate: CandidateTube, asked: str) -> str:
        """Has no words for a tube."""
        return ""

    def renewed(self: Own) -> Own:
        """Itself: it stores no frames."""
        return self

    def reconfigure(self, config: Config) -> None:
        """Has no settings."""


class BaseProposer:
    """A `Proposer` without `name` and `propose`: receives frames with a command only."""

    can_follow: bool = False
    proposes_anytime: bool = False

    def observe(self, frame: Frame) -> None:
        """Needs no frame before a command."""

    def follower(self, frame: Frame, box_xyxy_px: NDArray[np.float32]) -> Follower:
        """Raises: ProposalError."""
        raise ProposalError("this source of tubes cannot follow; choose another proposals.source")

    def reconfigure(self, config: ProposalConfig) -> None:
        """Has no settings."""

    def renewed(self: Own) -> Own:
        """Itself: it stores no frames."""
        return self
