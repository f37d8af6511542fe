# SPDX-License-Identifier: Apache-2.0

"""A thread that processes stored images, so that callbacks do not block."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from stvg_ros.types import Frame

Handler = Callable[[str, Frame], None]
MAX_AGE_S = 0.5
MAX_BYTES = 16 * 1024 * 1024


class FrameWorker:
    """Passes stored frames, with their camera's name, to the handlers, in order of arrival.

    If the handlers are slower than the cameras, the oldest waiting frames are dropped: the queue
    is bounded in bytes and in age. Dropped frames are processed when a command needs them. The
    newest frame of a camera is never dropped for its age.

    If a handler fails, its error is reported and the thread continues with the next frame.

    Thread contract: any thread may call the public methods; the handlers run in this thread.
    """

    def __init__(
        self,
        handlers: Sequence[Handler],
        report: Callable[[Exception], None],
        max_bytes: int = MAX_BYTES,
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        """Starts the thread.

        Args:
            handlers: called for each frame, in order.
            report: receives the exceptions of handlers.
            max_bytes: maximum memory of waiting frames.
            max_age_s: maximum age of a waiting frame relative to its camera's newest, by stamps.
        """
        self._handlers = handlers
        self._report = report
        self._max_bytes = max_bytes
        self._max_age_ns = int(max_age_s * 1e9)
        self._waiting: deque[tuple[str, Frame]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._stopping = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="observing", daemon=True)
        self._thread.start()

    @property
    def fill(self) -> tuple[int, int]:
        """Number of waiting frames, and their bytes."""
        with self._changed:
            return len(self._waiting), self._bytes

    def frame_stored(self, camera: str, frame: Frame) -> None:
        """Queues a frame and drops older ones beyond the bounds. See `FrameListener`."""
        with self._changed:
            self._waiting.append((camera, frame))
            self._bytes += frame.nbytes
            oldest_ns = frame.stamp_ns - self._max_age_ns
            self._keep(lambda other, waits: other != camera or oldest_ns <= waits.stamp_ns)
            while self._bytes > self._max_bytes and len(self._waiting) > 1:
                self._bytes -= self._waiting.popleft()[1].nbytes
                self.dropped += 1
            self._changed.notify()

    def window_restarted(self, camera: str) -> None:
        """Drops the camera's waiting frames of the old time line. See `FrameListener`."""
        with self._changed:
            self._keep(lambda other, waits: other != camera)

    def stop(self, timeout_s: float = 2.0) -> None:
        """Drops waiting frames and ends the thread after the current frame."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify()
        self._thread.join(timeout_s)

    def _keep(self, wanted: Callable[[str, Frame], bool]) -> None:
        kept = deque(item for item in self._waiting if wanted(*item))
        self.dropped += len(self._waiting) - len(kept)
        self._waiting = kept
        self._bytes = sum(frame.nbytes for _, frame in kept)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                camera, frame = self._waiting.popleft()
                self._bytes -= frame.nbytes
            for handler in self._handlers:
                try:
                    handler(camera, frame)
                except Exception as error:
                    self._report(error)
            del frame  # else this reference would keep the frame alive
