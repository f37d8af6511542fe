# SPDX-License-Identifier: Apache-2.0

"""Holds images back until their depth arrives, so that trackers can use positions."""

from __future__ import annotations

from collections.abc import Callable

from stvg_ros.types import Frame
from stvg_ros.window import Window

LONGEST_WAIT_NS = 500_000_000  # of images behind the newest one
GOES_ON_NS = 1_000_000_000  # depth that arrived this recently is expected again


class DepthGate:
    """Forwards images in the order of their stamps, each with its depth if depth arrives.

    An image waits only while depth arrives, and until a later image is `LONGEST_WAIT_NS` newer:
    if the depth camera fails, only the positions are missing.

    Thread contract: the executor's thread.
    """

    def __init__(self, window: Window, offer: Callable[[Frame], None]) -> None:
        """Creates an empty gate.

        Args:
            window: holds the frames, and their depth once it is attached.
            offer: receives the frames.
        """
        self._window = window
        self._offer = offer
        self._waiting: dict[int, Frame] = {}
        self._attached_ns: int | None = None

    def stored(self, frame: Frame) -> None:
        """Receives an image that was stored in the window, or whose detections have arrived."""
        frame = self._window.frame(frame.stamp_ns) or frame
        self._waiting[frame.stamp_ns] = frame
        if frame.depth is not None or not self._expected(frame.stamp_ns):
            self._pass(frame.stamp_ns)
        else:
            self._pass(frame.stamp_ns - LONGEST_WAIT_NS)

    def attached(self, stamp_ns: int) -> None:
        """Receives the stamp of an image whose depth was attached."""
        self._attached_ns = stamp_ns
        self._pass(stamp_ns)

    def restart(self) -> None:
        """Drops the waiting images."""
        self._waiting.clear()
        self._attached_ns = None

    def _expected(self, stamp_ns: int) -> bool:
        return self._attached_ns is not None and 0 < stamp_ns - self._attached_ns <= GOES_ON_NS

    def _pass(self, until_ns: int) -> None:
        for stamp_ns in sorted(self._waiting):
            if stamp_ns > until_ns:
                return
            frame = self._waiting.pop(stamp_ns)
            self._offer(self._window.frame(stamp_ns) or frame)
