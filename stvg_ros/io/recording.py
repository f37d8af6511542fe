# SPDX-License-Identifier: Apache-2.0

"""The images of a video, a zip file's member or a bag, in one form: stamped, not converted yet."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from stvg_ros.errors import RecordingError
from stvg_ros.io.bag import read_images
from stvg_ros.io.video import read_pictures
from stvg_ros.types import Frame

BAG_SUFFIXES = (".mcap", ".db3")


@dataclass(frozen=True)
class Source:
    """Where a sample's images are: a video file, a member of a zip file, or a bag's topic."""

    path: str
    member: str = ""
    topic: str = ""


class SourceImage(Protocol):
    """An image whose pixels are converted only when they are wanted."""

    @property
    def stamp_ns(self) -> int: ...

    def frame(self, long_side_px: int | None = None) -> Frame:
        """The image in RGB, scaled down to a long side. Raises: ImageError."""
        ...


def is_bag(path: Path | str) -> bool:
    """Whether a path is read as a rosbag2 recording: a folder, or one of its files."""
    return Path(path).is_dir() or Path(path).suffix in BAG_SUFFIXES


def source_images(source: Source) -> Iterator[SourceImage]:
    """The images in the order of the file. Raises: RecordingError."""
    if not Path(source.path).exists():
        raise RecordingError(f"{source.path}: no such recording or video; check the path")
    if source.member:
        with member_file(source) as file:
            yield from read_pictures(f"{source.path}: {source.member}", file)
    elif is_bag(source.path):
        yield from read_images(source.path, source.topic or None)
    else:
        yield from read_pictures(source.path)


def source_frames(source: Source, long_side_px: int | None = None) -> Iterator[Frame]:
    """The frames with increasing stamps, for pictures of results. Raises: RecordingError."""
    previous_ns = -1
    for image in source_images(source):
        if image.stamp_ns > previous_ns:
            previous_ns = image.stamp_ns
            yield image.frame(long_side_px)


def member_file(source: Source) -> IO[bytes]:
    """A member of a zip file, in memory, so that decoders may seek. Raises: RecordingError."""
    try:
        with zipfile.ZipFile(source.path) as archive:
            return io.BytesIO(archive.read(source.member))
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise RecordingError(
            f"{source.path}: the member {source.member!r} cannot be read ({error}); "
            "download the file again"
        ) from error
