# SPDX-License-Identifier: Apache-2.0

"""Video files as lazy frames, and frames as an MP4 that browsers play."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
from numpy.typing import NDArray

from stvg_ros.errors import RecordingError
from stvg_ros.images import reduced
from stvg_ros.types import Frame

_CLOCK_HZ = 90_000  # time base of written files


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """A decoded video frame whose pixels are not converted yet.

    Attributes:
        index: its number in the video, from 0.
        stamp_ns: presentation time from the first picture; broken files may repeat one.
        picture: the decoder's frame.
    """

    index: int
    stamp_ns: int
    picture: Any

    def frame(self, long_side_px: int | None = None) -> Frame:
        """The picture in RGB, scaled down to a long side where one is given."""
        image = np.asarray(self.picture.to_ndarray(format="rgb24"), np.uint8)
        small = image if long_side_px is None else reduced(image, long_side_px)
        return Frame(self.stamp_ns, small, image.shape[1], image.shape[0])


def read_pictures(path: Path | str, file: IO[bytes] | None = None) -> Iterator[VideoFrame]:
    """Decodes a video one picture at a time.

    Args:
        path: any file that FFmpeg decodes.
        file: where its bytes are, when it is inside another file; `path` is then its name.

    Raises:
        RecordingError: the file is missing, no video, or its data is broken.
    """
    if file is None and not Path(path).is_file():
        raise RecordingError(f"{path}: no such video file; check the path")
    try:
        with av.open(str(path) if file is None else file) as container:
            if not container.streams.video:
                raise RecordingError(f"{path}: expected a video stream, found none")
            stream = container.streams.video[0]
            base = stream.time_base or Fraction(1, _CLOCK_HZ)
            rate = float(stream.average_rate or 25)
            first: Fraction | None = None
            for index, picture in enumerate(container.decode(stream)):
                # Some old containers carry no stamps: then the frame rate has to do.
                time_s = Fraction(index / rate) if picture.pts is None else picture.pts * base
                first = time_s if first is None else first
                yield VideoFrame(index, round((time_s - first) * 1_000_000_000), picture)
            if first is None:
                raise RecordingError(f"{path}: expected at least one frame, found none")
    except (av.FFmpegError, OSError) as error:
        raise RecordingError(
            f"{path}: cannot be decoded ({error}); expected a video file such as MP4 or AVI"
        ) from error


def read_video(
    path: Path | str, start_s: float = 0.0, end_s: float | None = None
) -> Iterator[Frame]:
    """The frames of a video with increasing stamps, one at a time.

    Args:
        path: any file that FFmpeg decodes.
        start_s: frames before this time are skipped.
        end_s: frames at or after this time are not read; None reads to the end.

    Raises:
        RecordingError: the file is missing, no video, or its data is broken.
    """
    previous_ns = -1
    for picture in read_pictures(path):
        if picture.stamp_ns < start_s * 1e9 or picture.stamp_ns <= previous_ns:
            continue
        if end_s is not None and picture.stamp_ns >= end_s * 1e9:
            return
        previous_ns = picture.stamp_ns
        yield picture.frame()


def write_video(
    path: Path | str, images: Iterable[NDArray[np.uint8]], stamps_ns: Iterable[int]
) -> int:
    """Writes RGB images as H.264 in yuv420p; odd sizes are padded by one row or column.

    Args:
        path: the file to write, ending in `.mp4`.
        images: `(h, w, 3)` RGB uint8, all of one size.
        stamps_ns: an increasing time for each image; the first becomes the begin of the video.

    Returns:
        The number of frames written.

    Raises:
        RecordingError: no images, images of several sizes, or the file cannot be written.
    """
    count, size, first_ns = 0, (0, 0), 0
    try:
        with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=30, options={"crf": "20"})
            stream.pix_fmt = "yuv420p"
            stream.time_base = stream.codec_context.time_base = Fraction(1, _CLOCK_HZ)
            for image, stamp_ns in zip(images, stamps_ns, strict=True):
                if count == 0:
                    size, first_ns = (image.shape[0], image.shape[1]), int(stamp_ns)
                    stream.height, stream.width = (side + side % 2 for side in size)
                if image.shape[:2] != size:
                    raise RecordingError(
                        f"{path}: frame {count} is {image.shape[1]} x {image.shape[0]}, expected "
                        f"{size[1]} x {size[0]} like the first; resize before writing"
                    )
                padded = np.pad(image, ((0, size[0] % 2), (0, size[1] % 2), (0, 0)), mode="edge")
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24")
                picture.pts = (int(stamp_ns) - first_ns) * _CLOCK_HZ // 1_000_000_000
                picture.time_base = Fraction(1, _CLOCK_HZ)
                container.mux(stream.encode(picture))
                count += 1
            if count:
                container.mux(stream.encode(None))
    except (av.FFmpegError, OSError) as error:
        raise RecordingError(f"{path}: cannot be written ({error})") from error
    if count == 0:
        Path(path).unlink(missing_ok=True)
        raise RecordingError(f"{path}: expected at least one image to write, got none")
    return count
