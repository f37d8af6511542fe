# SPDX-License-Identifier: Apache-2.0

"""Passes each stored frame to a list of listeners."""

from __future__ import annotations

import logging
from typing import Protocol

from stvg_ros.types import Frame

_LOG = logging.getLogger(__name__)


class FrameListener(Protocol):
    """Receives each frame stored in a camera's window, in the storing thread; must not block."""

    def frame_stored(self, camera: str, frame: Frame) -> None:
        """A frame was stored in the camera's window."""
        ...

    def window_restarted(self, camera: str) -> None:
        """The window was cleared because the stamps jumped back or the image size changed.

        The first frame of the new time line follows.
        """
        ...


class FrameBus:
    """Passes frames on to its listeners, in the order in which they were added.

    If a listener fails, its error is logged and the other listeners still receive the frame.

    Thread contract: one thread calls all methods.
    """

    def __init__(self) -> None:
        self._listeners: list[FrameListener] = []

    def add(self, listener: FrameListener) -> None:
        """Adds a listener."""
        self._listeners.append(listener)

    def remove(self, listener: FrameListener) -> None:
        """Removes a listener."""
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
