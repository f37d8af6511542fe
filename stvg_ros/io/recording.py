# SPDX-License-Identifier: Apache-2.0

"""The reader of recordings: a video, a member of a zip file, or a bag, as stamped images.

It reads everything that is readable, and its report lists what is lost. All commands and the bag
player read recordings through `open_recording`.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
import zlib
from collections.abc import Hashable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from stvg_ros.errors import ImageError, RecordingError
from stvg_ros.io.file_kinds import BAG_SUFFIXES, is_bag
from stvg_ros.io.read_report import ReadReport
from stvg_ros.types import Frame

if TYPE_CHECKING:
    from stvg_ros.io.bag_recording import BagRecording


@dataclass(frozen=True)
class Source:
    """The source of a sample's images: a video file, a member of a zip file, or a bag's topic."""

    path: str
    member: str = ""
    topic: str = ""


class SourceImage(Protocol):
    """An image whose pixels are converted on demand."""

    @property
    def stamp_ns(self) -> int: ...

    @property
    def error(self) -> str:
        """Why it is lost, as the report says; "" if no reason is known."""
        ...

    def frame(self, long_side_px: int | None = None) -> Frame:
        """The image in RGB, scaled down to the long side. Raises: ImageError."""
        ...


class Recording(Protocol):
    """An open recording. One thread uses it.

    Attributes:
        path: of the file or folder.
        topic: the bag's image topic, "" for a video.
        report: counts of read and lost images of the latest pass.
    """

    path: Path
    topic: str
    report: ReadReport

    def images(self) -> Iterator[SourceImage]:
        """All images in the order of the file.

        Damaged images are included: their stamp may be -1, and `frame` raises.

        Raises:
            RecordingError: nothing in it can be read.
        """
        ...

    def scan(self) -> Sequence[tuple[int, Any]]:
        """Stamp and place of all images with random access. Raises: RecordingError."""
        ...

    def at(self, place: Any, stamp_ns: int) -> Iterator[tuple[Hashable, SourceImage]]:
        """The image at a place, possibly with others that were decoded before it, with places.

        Raises:
            RecordingError: the file cannot be read there.
        """
        ...

    def close(self) -> None:
        """Closes the files."""
        ...


def open_recording(path: Path | str, topic: str | None = None, member: str = "") -> Recording:
    """Opens a bag (its folder, or one of its files), a video, or a video in a zip file.

    Args:
        path: the bag, video or zip file.
        topic: a bag's image topic, required if it has several cameras.
        member: name of the video in the zip file.

    Raises:
        RecordingError: it cannot be read at all, or has no such topic.
    """
    path = Path(path)
    _check_file(path)
    try:
        if not member and is_bag(path):
            from stvg_ros.io.bag_recording import BagRecording

            return BagRecording(path, topic)
        if topic is not None:
            raise RecordingError(f"{path}: is a video, which has no topic {topic!r}; leave it out")
        from stvg_ros.io.video_recording import VideoRecording
    except ModuleNotFoundError as error:
        package = {"av": "av"}.get(str(error.name).partition(".")[0], "rosbags")
        raise RecordingError(
            f"{path}: cannot be read without the Python package {package}; install it with "
            f"'pip install {package}'"
        ) from error
    if member:
        file = member_file(Source(str(path), member))
        return VideoRecording(path, file, f"{path}: {member}")
    return VideoRecording(path)


def _check_file(path: Path) -> None:
    """Raises: RecordingError: it is neither a file nor a folder."""
    if os.path.isfile(path) or os.path.isdir(path):
        return
    record = "record it first, such as with 'ffmpeg -i ADDRESS -c copy FILE.mkv'"
    if os.path.exists(path):
        raise RecordingError(
            f"{path}: is a device or a pipe, expected a file or a folder; {record}, or give the "
            "camera's topic to the node"
        )
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:/", str(path)):  # Path has made one slash of two
        raise RecordingError(f"{path}: is an address, expected a file or a folder; {record}")
    kind = "recording" if path.suffix in ("", *BAG_SUFFIXES) else "video file"
    raise RecordingError(f"{path}: no such {kind}; check the path")


def open_bag(path: Path | str, topic: str | None = None) -> BagRecording:
    """Opens a bag whose messages will be published. Raises: RecordingError."""
    if Path(path).exists() and not is_bag(path):
        raise RecordingError(
            f"{path}: is a video; expected a rosbag2 recording, whose messages can be published"
        )
    return cast("BagRecording", open_recording(path, topic))


def source_images(source: Source, report: ReadReport | None = None) -> Iterator[SourceImage]:
    """The images in the order of the file.

    Args:
        source: file or topic of the images.
        report: receives the counts of read and lost images.

    Raises:
        RecordingError: nothing in it can be read.
    """
    with closing(open_recording(source.path, source.topic or None, source.member)) as recording:
        if report is not None:
            recording.report = report.follow(recording.report)
        yield from recording.images()


def read_frames(
    path: Path | str, topic: str | None = None, *, start_s: float = 0.0, end_s: float | None = None,
    long_side_px: int | None = None,
) -> Iterator[Frame]:  # fmt: skip
    """The frames of a recording with increasing stamps, one at a time; skips damaged ones.

    Args:
        path: a video or bag.
        topic: image topic of the bag.
        start_s: frames before this time are skipped, counted from the first.
        end_s: frames at or after this time are not read; None reads to the end.
        long_side_px: frames are scaled down to this; None keeps their size.

    Raises:
        RecordingError: nothing in it can be read.
    """
    previous_ns = first_ns = -1
    with closing(open_recording(path, topic)) as recording:
        for image in recording.images():
            if image.stamp_ns <= previous_ns:
                continue
            previous_ns = image.stamp_ns
            first_ns = image.stamp_ns if first_ns < 0 else first_ns
            time_s = (image.stamp_ns - first_ns) / 1e9
            if end_s is not None and time_s >= end_s:
                return
            if time_s < start_s:
                continue
            try:
                frame = image.frame(long_side_px)
            except ImageError:
                continue
            yield frame


def member_file(source: Source) -> IO[bytes]:
    """A member of a zip file, in memory, so that decoders can seek. Raises: RecordingError."""
    try:
        with zipfile.ZipFile(source.path) as archive:
            return io.BytesIO(archive.read(source.member))
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise RecordingError(
            f"{source.path}: the member {source.member!r} cannot be read ({error}); "
            "download the file again"
        ) from error
