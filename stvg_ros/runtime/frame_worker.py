# SPDX-License-Identifier: Apache-2.0

"""A thread that works on images as they are stored, so that the callbacks need not."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from stvg_ros.types import Frame

Handler = Callable[[str, Frame], None]
_MOST_WAITING = 200  # frames; what is left out here is done when a command needs it


class FrameWorker:
    """Hands each stored frame, with its camera's name, to the handlers, in order of arrival.

    A handler that fails does not end the thread: its error is reported, and the next frame comes.

    Thread contract: any thread may call `offer` and `stop`; the handlers run in the own thread.
    """

    def __init__(self, handlers: Sequence[Handler], report: Callable[[Exception], None]) -> None:
        """Starts the thread.

        Args:
            handlers: are called for each frame, one after the other.
            report: told what a handler raised.
        """
        self._handlers = handlers
        self._report = report
        self._waiting: deque[tuple[str, Frame]] = deque(maxlen=_MOST_WAITING)
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="observing", daemon=True)
        self._thread.start()

    def offer(self, camera: str, frame: Frame) -> None:
        """Queues a frame; the oldest one makes way when too many wait."""
        with self._changed:
            self._waiting.append((camera, frame))
            self._changed.notify()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Drops what waits and ends the thread after the frame it works on."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                camera, frame = self._waiting.popleft()
            for handler in self._handlers:
                try:
                    handler(camera, frame)
                except Exception as error:
                    self._report(error)
            del frame  # the window alone decides how long it lives
