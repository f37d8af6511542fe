# SPDX-License-Identifier: Apache-2.0

"""The gallery of re-identification: the target's appearance, and that of others near it."""

from __future__ import annotations

from stvg_ros.identity.descriptor import SAME_PERSON, TubeDescriptor

MOST_OTHERS = 12
_MOST_WEIGHT = 40.0  # of the target's mean; later frames then count no less than earlier ones


class TargetGallery:
    """What the target looks like, and what those look like who were in view together with it.

    Memory is bounded: one mean for the target, at most `MOST_OTHERS` for others. Not thread-safe.
    """

    def __init__(self, target: TubeDescriptor) -> None:
        """`target` is the appearance in the tube to follow; it is extended."""
        self.target = target
        self._others: list[TubeDescriptor] = []

    @property
    def others(self) -> tuple[TubeDescriptor, ...]:
        """Those who are not the target, the most recently seen last."""
        return tuple(self._others)

    def confirm(self, seen: TubeDescriptor) -> None:
        """Adds a view of the target."""
        if self.target.weight < _MOST_WEIGHT:
            self.target.join(seen)

    def add_other(self, seen: TubeDescriptor) -> None:
        """Adds a view of somebody who is certainly not the target."""
        if seen.vector is None:
            return
        alike = seen.similarities(self._others)
        if len(alike) and alike.max() >= SAME_PERSON:
            known = self._others.pop(int(alike.argmax()))
            if known.weight < _MOST_WEIGHT:
                known.join(seen)
            seen = known
        self._others.append(seen)
        del self._others[:-MOST_OTHERS]

    def similarity(self, seen: TubeDescriptor) -> float:
        """How alike somebody and the target are, 0 to 1."""
        return self.target.similarity(seen)

    def nearest_other(self, seen: TubeDescriptor) -> float:
        """How alike somebody and the most similar other are, 0 to 1; 0 without others."""
        return float(max(seen.similarities(self._others), default=0.0))
