# SPDX-License-Identifier: Apache-2.0

"""How a stored frame reaches those who want it: one list of listeners."""

from __future__ import annotations

import logging
from typing import Protocol

from stvg_ros.types import Frame

_LOG = logging.getLogger(__name__)


class FrameListener(Protocol):
    """Receives what enters a camera's window, in the thread that stores it; it must not wait."""

    def frame_stored(self, camera: str, frame: Frame) -> None:
        """A frame is now in the camera's window."""
        ...

    def window_restarted(self, camera: str) -> None:
        """The window was cleared, since the stamps jumped back or the size changed.

        The first frame of the new time line follows.
        """
        ...


class FrameBus:
    """Passes frames on to its listeners, in the order in which they were added.

    A listener that fails does not keep the frame from the others; its error is logged.

    Thread contract: one thread calls all methods.
    """

    def __init__(self) -> None:
        self._listeners: list[FrameListener] = []

    def add(self, listener: FrameListener) -> None:
        """Passes frames on to the listener from now on."""
        self._listeners.append(listener)

    def remove(self, listener: FrameListener) -> None:
        """Passes no more frames on to it."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def frame_stored(self, camera: str, frame: Frame) -> None:
        """Tells all; see `FrameListener`."""
        for listener in tuple(self._listeners):
            try:
                listener.frame_stored(camera, frame)
            except Exception:
                _LOG.exception("a listener of camera %r failed", camera)

    def window_restarted(self, camera: str) -> None:
        """Tells all; see `FrameListener`."""
        for listener in tuple(self._listeners):
            try:
                listener.window_restarted(camera)
            except Exception:
                _LOG.exception("a listener of camera %r failed", camera)
