# SPDX-License-Identifier: Apache-2.0

"""The sliding window of camera frames, bounded by seconds and by bytes."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from stvg_ros.depth import Depth
from stvg_ros.errors import NoImagesError
from stvg_ros.setting import Group, setting
from stvg_ros.stamps import UNSTAMPED, StampLine, StampStep
from stvg_ros.types import Clip, Frame


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
        "a camera whose newest image is older is not searched; 0 is no limit, for commands "
        "after the end of a recording",
        unit="s",
        minimum=0.0,
        maximum=86400.0,
        dynamic=True,
    )


class WindowBounds(Protocol):
    """The bounds of a window: see `WindowConfig`."""

    @property
    def duration_s(self) -> float: ...

    @property
    def max_bytes(self) -> int: ...

    @property
    def max_rate_hz(self) -> float: ...


class FrameOutcome(Enum):
    """Outcome of adding a frame."""

    STORED = "stored"
    THINNED = "thinned"  # earlier after the last one than max_rate_hz allows
    LATE = "late"  # not later than the newest frame
    ODD = "odd"  # without a stamp or far from the others; kept only if the next one agrees with it
    RESTARTED = "restarted"  # stored; a backward time jump or a new resolution cleared the others


_OUTCOMES = {
    StampStep.LATE: FrameOutcome.LATE,
    StampStep.ODD: FrameOutcome.ODD,
    StampStep.JUMP: FrameOutcome.RESTARTED,
}


class Window:
    """Frames by header stamp, oldest first.

    Thread contract: any thread may call any method; one lock guards all state. Frames are
    immutable, so a snapshot copies references, never pixels.
    """

    def __init__(self, config: WindowBounds) -> None:
        self._lock = threading.Lock()
        self._config = config
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._counts: Counter[str] = Counter()
        self._unstamped = False
        self._missing = 0  # frames without a stamp since the last one with it
        self._arrived_ns = 0  # of the last frame that was stamped here
        self._line = StampLine()
        self._odd: Frame | None = None  # held until the next one confirms or refutes it

    def wanted(self, stamp_ns: int) -> bool:
        """Whether a frame of this stamp would be stored; lets callers skip the conversion.

        An unwanted frame is counted here and need not be offered to `add`.
        """
        with self._lock:
            if stamp_ns > 0:
                self._missing = 0
            outcome = self._judged(stamp_ns)
            if outcome is FrameOutcome.ODD and (stamp_ns > 0 or self._never_stamps(stamp_ns)):
                return True
            if outcome in (FrameOutcome.THINNED, FrameOutcome.LATE, FrameOutcome.ODD):
                self._counts[outcome.value] += 1
                self._missing += stamp_ns == 0
                return False
            return True

    def add(self, frame: Frame) -> FrameOutcome:
        """Stores a frame and drops frames beyond the bounds; returns the outcome.

        A frame of a camera that does not stamp its images is stamped here, on arrival.
        """
        with self._lock:
            frame = self._stamped(frame)
            outcome = self._judged(frame.stamp_ns)
            if outcome is FrameOutcome.THINNED and self._unstamped:
                outcome = FrameOutcome.STORED  # its arrival does not indicate the rate
            if outcome is FrameOutcome.ODD:
                self._counts[outcome.value] += frame.stamp_ns <= 0 or self._odd is not None
                self._missing += frame.stamp_ns == 0
                if frame.stamp_ns > 0:
                    self._line.take(frame.stamp_ns)
                    self._odd = frame
                return outcome
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
            agrees = self._line.take(frame.stamp_ns) in (StampStep.JUMP, StampStep.RESUMED)
            odd, self._odd = self._odd, None
            if odd is not None:
                if agrees and (odd.source_width_px, odd.source_height_px) == size:
                    self._append(odd)
                else:
                    self._counts[FrameOutcome.ODD.value] += 1
            self._append(frame)
            self._trim()
            return outcome

    def _never_stamps(self, stamp_ns: int) -> bool:
        """Whether the camera does not stamp: all stamps so far are zero, or the last ones in a
        row. A video starts at zero, so a single zero is a valid time.
        """
        stopped = self._missing + 1 >= UNSTAMPED
        return stamp_ns == 0 and (self._unstamped or self._line.newest_ns == 0 or stopped)

    def _stamped(self, frame: Frame) -> Frame:
        """The frame, stamped with the time of arrival if its camera does not stamp."""
        self._unstamped = self._never_stamps(frame.stamp_ns)
        if not self._unstamped:
            if frame.stamp_ns > 0:
                self._missing = 0
            return frame
        self._arrived_ns = max(time.time_ns(), self._arrived_ns + 1)
        return replace(frame, stamp_ns=self._arrived_ns)

    def _append(self, frame: Frame) -> None:
        self._frames.append(frame)
        self._bytes += frame.nbytes

    def attach(self, stamp_ns: int, depth: Depth) -> bool:
        """Adds depth to the frame of exactly this stamp; returns whether the frame was found."""
        with self._lock:
            for index, frame in enumerate(self._frames):
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
        """The frame of exactly this stamp, if it is in the window."""
        with self._lock:
            return next((f for f in reversed(self._frames) if f.stamp_ns == stamp_ns), None)

    def spans(self, stamp_ns: int) -> bool:
        """Whether a time is not before the oldest frame and not after the newest one."""
        with self._lock:
            frames = self._frames
            return bool(frames) and frames[0].stamp_ns <= stamp_ns <= frames[-1].stamp_ns

    def clear(self) -> None:
        """Drops all frames."""
        with self._lock:
            self._frames.clear()
            self._bytes = 0
            self._line.clear()
            self._odd = None

    def reconfigure(self, config: WindowBounds) -> None:
        """Applies new bounds."""
        with self._lock:
            self._config = config
            self._trim()

    @property
    def counts(self) -> dict[str, int]:
        """Number of frames by `FrameOutcome` value; "odd" only if there were any."""
        with self._lock:
            counts = {outcome.value: self._counts[outcome.value] for outcome in FrameOutcome}
        if not counts[FrameOutcome.ODD.value]:
            del counts[FrameOutcome.ODD.value]
        return counts

    @property
    def fill(self) -> tuple[int, float, int]:
        """Frames, seconds and bytes in the window."""
        with self._lock:
            if not self._frames:
                return 0, 0.0, 0
            span_ns = self._frames[-1].stamp_ns - self._frames[0].stamp_ns
            return len(self._frames), span_ns / 1e9, self._bytes

    def _judged(self, stamp_ns: int) -> FrameOutcome:
        step = self._line.judge(stamp_ns)
        if step in _OUTCOMES:
            return _OUTCOMES[step]
        rate_hz = self._config.max_rate_hz
        if step is StampStep.RESUMED or not self._frames or rate_hz <= 0:
            return FrameOutcome.STORED
        # A tenth of a period of tolerance: cameras jitter.
        early = stamp_ns - self._frames[-1].stamp_ns < 0.9e9 / rate_hz
        return FrameOutcome.THINNED if early else FrameOutcome.STORED

    def _trim(self) -> None:
        if not self._frames:
            return
        oldest_ns = self._frames[-1].stamp_ns - int(self._config.duration_s * 1e9)
        while len(self._frames) > 1 and (
            self._frames[0].stamp_ns < oldest_ns or self._bytes > self._config.max_bytes
        ):
            self._bytes -= self._frames.popleft().nbytes
