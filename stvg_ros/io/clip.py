# SPDX-License-Identifier: Apache-2.0

"""A part of a video or a recording as a clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from stvg_ros.errors import RecordingError
from stvg_ros.images import reduced
from stvg_ros.io.bag import read_frames
from stvg_ros.io.video import read_video
from stvg_ros.types import Clip, Frame


def thinned(frames: Iterable[Frame], max_rate_hz: float) -> Iterator[Frame]:
    """Frames that follow one another at `max_rate_hz` at most."""
    due_ns = -1.0
    for frame in frames:
        if frame.stamp_ns >= due_ns:
            # A tenth of a period of tolerance keeps every second frame of 30 Hz at 15 Hz.
            due_ns = frame.stamp_ns + 0.9e9 / max_rate_hz
            yield frame


def shrunk(frame: Frame, long_side_px: int) -> Frame:
    """The frame with its image scaled down to a long side; the source size stays."""
    return replace(frame, image=reduced(frame.image, long_side_px))


def file_clip(
    path: Path, *, start_s: float, end_s: float | None, long_side_px: int, max_rate_hz: float
) -> Clip:
    """A part of a video file or of a recording's image topic as a clip.

    Args:
        path: a video file, or the folder of a rosbag2 recording.
        start_s: from this time on, counted from the first frame.
        end_s: before this time; None takes all.
        long_side_px: images are scaled down to this when kept.
        max_rate_hz: frames are kept at most this often; 0 keeps all.

    Raises:
        RecordingError: the file cannot be read, or the part holds no frames.
    """
    if path.is_dir():
        frames = _part(read_frames(path), start_s, end_s)
    else:
        frames = read_video(path, start_s, end_s)
    if max_rate_hz > 0:
        frames = thinned(frames, max_rate_hz)
    kept = tuple(shrunk(frame, long_side_px) for frame in frames)
    if not kept:
        end = "its end" if end_s is None else f"{end_s:g} s"
        raise RecordingError(f"{path}: no frames from {start_s:g} s to {end}; choose another part")
    return Clip(kept)


def _part(frames: Iterable[Frame], start_s: float, end_s: float | None) -> Iterator[Frame]:
    first_ns = None
    for frame in frames:
        first_ns = frame.stamp_ns if first_ns is None else first_ns
        time_s = (frame.stamp_ns - first_ns) / 1e9
        if end_s is not None and time_s >= end_s:
            return
        if time_s >= start_s:
            yield frame
