# SPDX-License-Identifier: Apache-2.0

"""Classifies the stamps of a camera's images: in order, late, one odd stamp, or a new time line.

The node's window, the readers of recordings and the annotation page use these rules.
"""

from __future__ import annotations

from enum import Enum

# Images that are late by less than this are dropped; a larger step back is a new time line.
TIME_JUMP_NS = 500_000_000
# A larger step ahead is first treated as one odd stamp ...
_GAP_NS = 2_000_000_000
# ... unless the earlier images arrived as slowly.
_GAP_STEPS = 10
# A time line of at least this many images is not ended by one odd stamp.
_TRUSTED = 5
# A camera that stamped images has stopped doing so after this many images without a stamp, or with
# the stamp of the image before.
UNSTAMPED = 5


class HeaderStamps:
    """Replaces the stamps of a camera that does not stamp its images by the times of arrival.

    Attributes:
        unstamped: whether the last images had no stamp of their own: all of them so far, or five
            in a row. A stamp of zero is none, and neither is one that is repeated.
    """

    def __init__(self) -> None:
        self._stamped, self.unstamped = False, False
        self._missing = 0  # images without a stamp since the last one with it
        self._last_ns = 0

    def stamp_ns(self, header_ns: int, arrival_ns: int) -> int:
        """The image's time; -1 for a stamp of zero from a camera that stamps its images."""
        if header_ns > 0 and header_ns != self._last_ns:
            self._stamped, self.unstamped, self._missing = True, False, 0
            self._last_ns = header_ns
            return header_ns
        self._missing += 1
        self.unstamped = not self._stamped or self._missing >= UNSTAMPED
        if self.unstamped:
            return arrival_ns
        return header_ns or -1  # a repeated stamp is late


class StampStep(Enum):
    """Classification of a stamp relative to earlier ones."""

    NEXT = "next"
    LATE = "late"  # not later than the latest stamp
    ODD = "odd"  # far from the others; the next stamp shows whether it is the only one
    JUMP = "jump"  # further back: a new time line, starting with a preceding odd stamp
    RESUMED = "resumed"  # as far ahead as the preceding odd stamp, which was right


class StampLine:
    """Classifies a camera's stamps in the order of arrival. One thread uses it.

    One odd stamp, far ahead or back, is held. If the next one continues the earlier ones, the odd
    one was wrong; if it continues the odd one, the time jumped. A time line of only a few images is
    replaced immediately by a stamp far from it.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Drops all stamps."""
        self.newest_ns: int | None = None
        self._step_ns = self._count = 0
        self._odd_ns: int | None = None

    def judge(self, stamp_ns: int) -> StampStep:
        """Classifies a stamp without recording it."""
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
        """Classifies a stamp and records it."""
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
