# SPDX-License-Identifier: Apache-2.0

"""Writes frames as an MP4 that browsers play."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from stvg_ros.errors import RecordingError

_CLOCK_HZ = 90_000  # time base of written files


def write_video(
    path: Path | str, images: Iterable[NDArray[np.uint8]], stamps_ns: Iterable[int]
) -> int:
    """Writes RGB images as H.264 in yuv420p; odd sizes are padded by one row or column.

    Args:
        path: the file to write, ending in `.mp4`.
        images: `(h, w, 3)` RGB uint8, all of one size.
        stamps_ns: an increasing time for each image; the video starts at the first.

    Returns:
        The number of frames written.

    Raises:
        RecordingError: no images, images of several sizes, or the file cannot be written.
    """
    count, size, first_ns = 0, (0, 0), 0
    try:
        with av.open(
            f"file:{path}", "w", format="mp4", options={"movflags": "faststart"}
        ) as container:
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
