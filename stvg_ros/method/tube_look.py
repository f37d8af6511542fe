# SPDX-License-Identifier: Apache-2.0

"""What a second look says of one tube, and the source that takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stvg_ros.types import CandidateTube, SourceFinding, SplitQuery


@dataclass(frozen=True, eq=False)
class TubeLook:
    """What the model says of the images cut to one tube.

    Attributes:
        margin: log p(yes) - log p(no), in nats.
        scores: `(T,)` largest relative attention in each sampled frame; NaN where the tube is not
            there.
    """

    margin: float
    scores: NDArray[np.float32]


class Look(Protocol):
    """A source that is asked about the best tubes, see `second_look.SecondLook`."""

    def looks(self, split: SplitQuery, candidates: Sequence[CandidateTube]) -> dict[int, TubeLook]:
        """What the model says of tubes, by track id."""
        ...

    def compared(
        self, split: SplitQuery, looks: Mapping[int, TubeLook], others: Sequence[int] = ()
    ) -> tuple[SourceFinding, ...]:
        """What the looks say about the tubes and frames, and about tubes without a look."""
        ...
