# SPDX-License-Identifier: Apache-2.0

"""A part of a video or recording as a clip, or its last seconds as in a robot's window."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from stvg_ros.errors import ImageError, NoImagesError, RecordingError
from stvg_ros.io.read_report import ReadReport
from stvg_ros.io.recording import SourceImage, open_recording
from stvg_ros.stamps import StampLine, StampStep
from stvg_ros.types import Clip
from stvg_ros.window import Window

_ALL_S = 1e9  # longer than any recording


@dataclass(frozen=True)
class _Bounds:
    """Settings of the window in which a file's part is collected."""

    duration_s: float
    max_rate_hz: float
    max_bytes: int = 2**62


def file_clip(
    path: Path,
    *,
    start_s: float,
    end_s: float | None,
    long_side_px: int,
    max_rate_hz: float,
    last_s: float = math.inf,
    topic: str | None = None,
    report: ReadReport | None = None,
    progress: Callable[[float], None] | None = None,
) -> Clip:
    """A part of a video file or of a recording's image topic as a clip.

    The images pass through the node's window: it is cleared when stamps jump back or the image
    size changes, and it holds at most `last_s`.

    Args:
        path: a video file, or a rosbag2 recording.
        start_s: from this time on, counted from the first frame.
        end_s: up to, excluding, this time; None reads to the end.
        long_side_px: images are scaled down to this when kept.
        max_rate_hz: frames are kept at most this often; 0 keeps all.
        last_s: only this many seconds before the last frame are kept.
        topic: image topic of the recording, required if it has several.
        report: receives the counts of read and lost images.
        progress: called with the time in seconds, from the first frame on, of each read image.

    Raises:
        RecordingError: the file cannot be read, or the part holds no frames.
    """
    window = Window(_Bounds(min(last_s, _ALL_S), max_rate_hz))
    with closing(open_recording(path, topic)) as recording:
        for image in _part(recording.images(), start_s, end_s, progress):
            if image.error or not window.wanted(image.stamp_ns):
                continue
            try:
                window.add(image.frame(long_side_px))
            except ImageError as error:
                recording.report.refuse(str(error.__cause__ or error))
        found = report.follow(recording.report) if report is not None else recording.report
        if odd := window.counts.get("odd"):
            found.note(f"{path}: {odd} images with odd stamps are left out")
        if late := window.counts["late"]:
            found.note(f"{path}: left out, as they are not later than those before: {late} images")
        if restarts := window.counts["restarted"]:
            found.note(
                f"{path}: the stamps jump back or the image size changes ({restarts} times); only "
                "what comes after is used"
            )
    try:
        return window.snapshot()
    except NoImagesError as error:
        end = "its end" if end_s is None else f"{end_s:g} s"
        lost = "; ".join(found.sentences)
        raise RecordingError(
            f"{path}: no frames from {start_s:g} s to {end}; choose another part"
            + (f" ({lost})" if lost else "")
        ) from error


def _part(
    images: Iterable[SourceImage],
    start_s: float,
    end_s: float | None,
    progress: Callable[[float], None] | None,
) -> Iterator[SourceImage]:
    """The images of a part; times are relative to the first stamp."""
    line, first_ns = StampLine(), None
    for image in images:
        if image.stamp_ns < 0:
            continue
        step = line.take(image.stamp_ns)
        if first_ns is None or step is StampStep.JUMP:
            first_ns = image.stamp_ns
        time_s = (image.stamp_ns - first_ns) / 1e9
        if progress is not None:
            progress(time_s)
        if end_s is not None and time_s >= end_s and step is not StampStep.ODD:
            return
        if step is StampStep.LATE and line.newest_ns is not None:
            time_s = (line.newest_ns - first_ns) / 1e9
        if time_s >= start_s or step is StampStep.ODD:
            yield image  # the window refuses late ones, and counts them
