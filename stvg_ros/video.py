"""Video files as lazy frames, and frames as an MP4 that browsers play."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from stvg_ros.errors import RecordingError
from stvg_ros.types import Frame

_CLOCK_HZ = 90_000  # time base of written files


def read_video(
    path: Path | str, start_s: float = 0.0, end_s: float | None = None
) -> Iterator[Frame]:
    """Decodes a video one frame at a time; stamps are presentation times, the first at 0.

    Args:
        path: any file that FFmpeg decodes.
        start_s: frames before this time are skipped.
        end_s: frames at or after this time are not read; None reads to the end.

    Raises:
        RecordingError: the file is missing, no video, or its data is broken.
    """
    if not Path(path).is_file():
        raise RecordingError(f"{path}: no such video file; check the path")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise RecordingError(f"{path}: expected a video stream, found none")
            stream = container.streams.video[0]
            base = stream.time_base or Fraction(1, _CLOCK_HZ)
            rate = float(stream.average_rate or 25)
            first: Fraction | None = None
            previous_ns = -1
            for index, picture in enumerate(container.decode(stream)):
                # Some old containers carry no stamps: then the frame rate has to do.
                time_s = Fraction(index / rate) if picture.pts is None else picture.pts * base
                first = time_s if first is None else first
                stamp_ns = round((time_s - first) * 1_000_000_000)
                if stamp_ns < start_s * 1e9 or stamp_ns <= previous_ns:
                    continue
                if end_s is not None and stamp_ns >= end_s * 1e9:
                    return
                previous_ns = stamp_ns
                image = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
                yield Frame(stamp_ns, image, image.shape[1], image.shape[0])
            if first is None:
                raise RecordingError(f"{path}: expected at least one frame, found none")
    except (av.FFmpegError, OSError) as error:
        raise RecordingError(
            f"{path}: cannot be decoded ({error}); expected a video file such as MP4 or AVI"
        ) from error


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
