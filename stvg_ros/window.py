# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""The sliding window of camera frames, bounded by seconds and by bytes."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import replace
from enum import Enum

from stvg_ros.config import WindowConfig
from stvg_ros.depth import Depth
from stvg_ros.errors import NoImagesError
from stvg_ros.types import Clip, Frame

# Frames that come late by less than this are dropped; a larger step back is a new time line.
TIME_JUMP_NS = 500_000_000


class Added(Enum):
    """What became of a frame."""

    STORED = "stored"
    THINNED = "thinned"  # sooner after the last one than max_rate_hz allows
    LATE = "late"  # not newer than the newest frame
    RESTARTED = "restarted"  # stored, after a backward time jump or a new resolution cleared all


class Window:
    """Frames by header stamp, oldest first.

    Thread contract: any thread may call any method; one lock guards all state. Frames are
    immutable, so a snapshot copies references, never pixels.
    """

    def __init__(self, config: WindowConfig) -> None:
        self._lock = threading.Lock()
        self._config = config
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._counts: Counter[str] = Counter()

    def wanted(self, stamp_ns: int) -> bool:
        """Whether a frame of this stamp would be stored; lets callers skip the conversion.

        An unwanted frame is counted here and need not be offered to `add`.
        """
        with self._lock:
            outcome = self._judged(stamp_ns)
            if outcome in (Added.THINNED, Added.LATE):
                self._counts[outcome.value] += 1
                return False
            return True

    def add(self, frame: Frame) -> Added:
        """Stores a frame, or says why not, and drops what is too old or too much."""
        with self._lock:
            outcome = self._judged(frame.stamp_ns)
            size = (frame.source_width_px, frame.source_height_px)
            if self._frames and outcome is Added.STORED:
                newest = self._frames[-1]
                if (newest.source_width_px, newest.source_height_px) != size:
                    outcome = Added.RESTARTED
            self._counts[outcome.value] += 1
            if outcome in (Added.THINNED, Added.LATE):
                return outcome
            if outcome is Added.RESTARTED:
                self._frames.clear()
                self._bytes = 0
            self._frames.append(frame)
            self._bytes += frame.nbytes
            self._trim()
            return outcome

    def attach(self, stamp_ns: int, depth: Depth) -> bool:
        """Gives the frame of exactly this stamp its depth, and says whether it was still there."""
        with self._lock:
            for index in range(len(self._frames) - 1, -1, -1):
                frame = self._frames[index]
                if frame.stamp_ns == stamp_ns:
                    self._frames[index] = replace(frame, depth=depth)
                    self._bytes += self._frames[index].nbytes - frame.nbytes
                    self._trim()
                    return True
            return False

    def snapshot(self) -> Clip:
        """All frames, immutable.

        Raises:
            NoImagesError: the window is empty.
        """
        with self._lock:
            frames = tuple(self._frames)
        if not frames:
            raise NoImagesError(
                "no image has been stored yet; check that ~/image is remapped to the camera's "
                "topic and that image.qos and image.transport fit its publisher"
            )
        return Clip(frames)

    def frame(self, stamp_ns: int) -> Frame | None:
        """The frame of exactly this stamp, if it is still there."""
        with self._lock:
            return next((f for f in reversed(self._frames) if f.stamp_ns == stamp_ns), None)

    def clear(self) -> None:
        """Forgets all frames."""
        with self._lock:
            self._frames.clear()
            self._bytes = 0

    def reconfigure(self, config: WindowConfig) -> None:
        """Uses other bounds from now on."""
        with self._lock:
            self._config = config
            self._trim()

    @property
    def counts(self) -> dict[str, int]:
        """How many frames had each outcome, by `Added` value."""
        with self._lock:
            return {outcome.value: self._counts[outcome.value] for outcome in Added}

    @property
    def fill(self) -> tuple[int, float, int]:
        """Frames, seconds and bytes in the window."""
        with self._lock:
            if not self._frames:
                return 0, 0.0, 0
            span_ns = self._frames[-1].stamp_ns - self._frames[0].stamp_ns
            return len(self._frames), span_ns / 1e9, self._bytes

    def _judged(self, stamp_ns: int) -> Added:
        if not self._frames:
            return Added.STORED
        step_ns = stamp_ns - self._frames[-1].stamp_ns
        if step_ns < -TIME_JUMP_NS:
            return Added.RESTARTED
        if step_ns <= 0:
            return Added.LATE
        rate_hz = self._config.max_rate_hz
        # A tenth of a period of tolerance: cameras jitter.
        if rate_hz > 0 and step_ns < 0.9e9 / rate_hz:
            return Added.THINNED
        return Added.STORED

    def _trim(self) -> None:
        if not self._frames:
            return
        oldest_ns = self._frames[-1].stamp_ns - int(self._config.duration_s * 1e9)
        while len(self._frames) > 1 and (
            self._frames[0].stamp_ns < oldest_ns or self._bytes > self._config.max_bytes
        ):
            self._bytes -= self._frames.popleft().nbytes
