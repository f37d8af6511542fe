# SPDX-License-Identifier: Apache-2.0

"""Several descriptors of one person together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes
from stvg_ros.identity.descriptor import AppearanceDescriptor, Vectors, log_odds, probability


class CombinedDescriptor:
    """Adds the log-odds of several descriptors; `AppearanceDescriptor`."""

    def __init__(self, parts: Sequence[tuple[AppearanceDescriptor, int]]) -> None:
        """Takes descriptors, each with its D."""
        self._parts = [descriptor for descriptor, _ in parts]
        self._ends = np.cumsum([width for _, width in parts])[:-1]

    @property
    def name(self) -> str:
        """The names of the parts."""
        return " and ".join(part.name for part in self._parts)

    def __call__(
        self,
        image: NDArray[np.uint8],
        boxes_xyxy_px: Boxes,
        keypoints: NDArray[np.float32] | None = None,
    ) -> Vectors:
        """See `AppearanceDescriptor`; the vectors of the parts, one after the other."""
        rows = [part(image, boxes_xyxy_px, keypoints) for part in self._parts]
        return np.concatenate(rows, axis=1)

    def similarity(self, first: Vectors, second: Vectors) -> NDArray[np.float32]:
        """See `AppearanceDescriptor`."""
        halves = zip(
            self._parts,
            np.split(first, self._ends, axis=1),
            np.split(second, self._ends, axis=1),
            strict=True,
        )
        nats = sum(log_odds(part.similarity(one, other)) for part, one, other in halves)
        return probability(np.asarray(nats, np.float32), 0.0, 1.0)
