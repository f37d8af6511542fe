# SPDX-License-Identifier: Apache-2.0

"""The sliding window of camera frames, bounded by seconds and by bytes."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, replace
from enum import Enum

from stvg_ros.depth import Depth
from stvg_ros.errors import NoImagesError
from stvg_ros.setting import Group, setting
from stvg_ros.types import Clip, Frame

# Frames that come late by less than this are dropped; a larger step back is a new time line.
TIME_JUMP_NS = 500_000_000


@dataclass(frozen=True)
class WindowConfig(Group):
    """The sliding window of frames; the bounds hold together."""

    group_name = "window"
    duration_s: float = setting(
        10.0, "length of the window", unit="s", minimum=0.1, maximum=3600.0, dynamic=True
    )
    max_bytes: int = setting(
        512 * 1024 * 1024,
        "memory for buffered images",
        unit="bytes",
        minimum=1,
        maximum=2**40,
        dynamic=True,
    )
    long_side_px: int = setting(
        640,
        "stored images are scaled down to this long side; boxes are in pixels of the original",
        unit="px",
        minimum=16,
        maximum=16384,
        dynamic=True,
    )
    max_rate_hz: float = setting(
        15.0,
        "maximum rate of stored frames; 0 stores every frame",
        unit="Hz",
        minimum=0.0,
        maximum=1000.0,
        dynamic=True,
    )
    max_age_s: float = setting(
        10.0,
        "a camera whose newest image came longer ago is not searched; 0 is no limit, for commands "
        "after the end of a recording",
        unit="s",
        minimum=0.0,
        maximum=86400.0,
        dynamic=True,
    )


class FrameOutcome(Enum):
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
            if outcome in (FrameOutcome.THINNED, FrameOutcome.LATE):
                self._counts[outcome.value] += 1
                return False
            return True

    def add(self, frame: Frame) -> FrameOutcome:
        """Stores a frame, or says why not, and drops what is too old or too much."""
        with self._lock:
            outcome = self._judged(frame.stamp_ns)
            size = (frame.source_width_px, frame.source_height_px)
            if self._frames and outcome is FrameOutcome.STORED:
                newest = self._frames[-1]
                if (newest.source_width_px, newest.source_height_px) != size:
                    outcome = FrameOutcome.RESTARTED
            self._counts[outcome.value] += 1
            if outcome in (FrameOutcome.THINNED, FrameOutcome.LATE):
                return outcome
            if outcome is FrameOutcome.RESTARTED:
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
        """How many frames had each outcome, by `FrameOutcome` value."""
        with self._lock:
            return {outcome.value: self._counts[outcome.value] for outcome in FrameOutcome}

    @property
    def fill(self) -> tuple[int, float, int]:
        """Frames, seconds and bytes in the window."""
        with self._lock:
            if not self._frames:
                return 0, 0.0, 0
            span_ns = self._frames[-1].stamp_ns - self._frames[0].stamp_ns
            return len(self._frames), span_ns / 1e9, self._bytes

    def _judged(self, stamp_ns: int) -> FrameOutcome:
        if not self._frames:
            return FrameOutcome.STORED
        step_ns = stamp_ns - self._frames[-1].stamp_ns
        if step_ns < -TIME_JUMP_NS:
            return FrameOutcome.RESTARTED
        if step_ns <= 0:
            return FrameOutcome.LATE
        rate_hz = self._config.max_rate_hz
        # A tenth of a period of tolerance: cameras jitter.
        if rate_hz > 0 and step_ns < 0.9e9 / rate_hz:
            return FrameOutcome.THINNED
        return FrameOutcome.STORED

    def _trim(self) -> None:
        if not self._frames:
            return
        oldest_ns = self._frames[-1].stamp_ns - int(self._config.duration_s * 1e9)
        while len(self._frames) > 1 and (
            self._frames[0].stamp_ns < oldest_ns or self._bytes > self._config.max_bytes
        ):
            self._bytes -= self._frames.popleft().nbytes
