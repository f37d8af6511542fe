# SPDX-License-Identifier: Apache-2.0

"""Measures the people of arriving frames beside the detector, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from stvg_ros.boxes import Boxes
from stvg_ros.types import Frame

_LOG = logging.getLogger(__name__)
WAITING = 5  # frames; half a second at 10 Hz


class ArrivalThread:
    """Passes frames and the boxes of their people on, in order of arrival.

    A detector and an estimator of keypoints need a core each. If the estimator is slower than the
    frames, the oldest waiting ones are dropped, and a command measures them. The thread ends when
    nothing has arrived for a while, and starts again with the next frame, so nobody has to end it.

    Thread contract: any thread may call the methods; `measure` runs in this object's thread.
    """

    def __init__(self, measure: Callable[[Frame, Boxes], None], idle_s: float = 2.0) -> None:
        """`measure` is called with each frame; the thread ends after `idle_s` without one."""
        self._measure = measure
        self._idle_s = idle_s
        self._waiting: deque[tuple[Frame, Boxes]] = deque(maxlen=WAITING)
        self._changed = threading.Condition()
        self._running = self._busy = False
        self.dropped = 0

    def __call__(self, frame: Frame, boxes_xyxy_px: Boxes) -> None:
        """Queues a frame with the boxes `(N, 4)` of its people."""
        with self._changed:
            self.dropped += len(self._waiting) == WAITING
            self._waiting.append((frame, boxes_xyxy_px))
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="keypoints", daemon=True).start()
            self._changed.notify_all()

    def wait(self) -> None:
        """Returns when all frames that have arrived are measured or dropped."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._busy)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                if not self._changed.wait_for(lambda: bool(self._waiting), self._idle_s):
                    self._running = False
                    return
                frame, boxes = self._waiting.popleft()
                self._busy = True
            try:
                self._measure(frame, boxes)
            except Exception as error:  # the next frame may be measured, and a command says why not
                _LOG.warning("keypoints: %s: %s", type(error).__name__, error)
            del frame, boxes  # else these references would keep the image alive
