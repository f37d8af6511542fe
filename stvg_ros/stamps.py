# SPDX-License-Identifier: Apache-2.0

"""What the stamps of a camera's images mean: in order, late, one odd stamp, or a new time line.

The node's window, the recordings that are read, and the annotation page decide by these rules.
"""

from __future__ import annotations

from enum import Enum

# Images that come late by less than this are dropped; a larger step back is a new time line.
TIME_JUMP_NS = 500_000_000
# A step ahead by more is first taken for one odd stamp ...
_GAP_NS = 2_000_000_000
# ... unless the images before came as slowly.
_GAP_STEPS = 10
# So many images make a time line that one odd stamp does not end.
_TRUSTED = 5


class HeaderStamps:
    """Replaces the stamps of a camera that does not stamp by the times of arrival.

    Attributes:
        stamped: whether an image had a stamp.
        unstamped: whether images came, and none of them had one.
    """

    def __init__(self) -> None:
        self.stamped = self.unstamped = False

    def stamp_ns(self, header_ns: int, arrival_ns: int) -> int:
        """The image's time; -1 for a stamp of zero from a camera that stamps its images."""
        if header_ns > 0:
            self.stamped, self.unstamped = True, False
            return header_ns
        if self.stamped:
            return -1
        self.unstamped = True
        return arrival_ns


class StampStep(Enum):
    """What a stamp is after those before it."""

    NEXT = "next"
    LATE = "late"  # not newer than the newest
    ODD = "odd"  # far from the others; the next stamp tells whether only this one is
    JUMP = "jump"  # further back: a new time line, which begins with the odd stamp before, if any
    RESUMED = "resumed"  # as far ahead as the odd stamp before, which was right


class StampLine:
    """Judges a camera's stamps in the order of arrival. One thread uses it.

    One odd stamp, far ahead or back, is held; the next one either goes on as before, and the odd
    one was wrong, or goes on from the odd one, and time did jump. A time line of a few images is
    not trusted as much: a step away from it is believed at once.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets all stamps."""
        self.newest_ns: int | None = None
        self._step_ns = self._count = 0
        self._odd_ns: int | None = None

    def judge(self, stamp_ns: int) -> StampStep:
        """What a stamp would be, without taking it."""
        newest_ns, odd_ns = self.newest_ns, self._odd_ns
        if newest_ns is None and stamp_ns >= 0:
            return StampStep.NEXT
        if newest_ns is None or stamp_ns <= 0:
            return StampStep.ODD
        step_ns = stamp_ns - newest_ns
        if -TIME_JUMP_NS <= step_ns <= 0:
            return StampStep.LATE
        if self._count < _TRUSTED:
            return StampStep.NEXT if step_ns > 0 else StampStep.JUMP
        if 0 < step_ns <= max(_GAP_NS, _GAP_STEPS * self._step_ns):
            return StampStep.NEXT
        if odd_ns is None or stamp_ns <= odd_ns or (odd_ns > newest_ns) != (step_ns > 0):
            return StampStep.ODD
        return StampStep.RESUMED if step_ns > 0 else StampStep.JUMP

    def take(self, stamp_ns: int) -> StampStep:
        """Judges a stamp and remembers it."""
        step = self.judge(stamp_ns)
        if step is StampStep.ODD:
            if stamp_ns > 0:
                self._odd_ns = stamp_ns
        elif step is not StampStep.LATE:
            before_ns = self.newest_ns if step is StampStep.NEXT else self._odd_ns
            self._step_ns = 0 if before_ns is None else stamp_ns - before_ns
            self._count = self._count + 1 if step is StampStep.NEXT else 1
            self.newest_ns, self._odd_ns = stamp_ns, None
        return step
