# SPDX-License-Identifier: Apache-2.0

"""Camera messages to frames, whoever read them: rclpy from a topic, or rosbags from a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_ros.errors import ImageError
from stvg_ros.images import reduced
from stvg_ros.types import Frame

# Converts a message of an encoding that is not read here to `(h, w, 3)` RGB; it gets the pixels'
# bytes without padding, `(h, bytes)`, and the encoding's usual name.
Library = Callable[[Any, NDArray[np.uint8], str], NDArray[np.uint8]]

# Read here, so that they can be scaled down before their colours are converted.
_TO_RGB = {
    "rgb8": None,
    "bgr8": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
}
# Two names of one layout; not every library knows the newer ones.
_SAME = {"uyvy": "yuv422", "yuyv": "yuv422_yuy2"}
# Bytes per pixel by encoding of sensor_msgs/image_encodings.
_PIXEL_BYTES = (
    (r"mono8|bayer_(rggb|bggr|gbrg|grbg)8", 1),
    (r"mono16|bayer_(rggb|bggr|gbrg|grbg)16|yuv422|yuv422_yuy2", 2),
    (r"rgb8|bgr8", 3),
    (r"rgba8|bgra8", 4),
    (r"rgb16|bgr16", 6),
    (r"rgba16|bgra16", 8),
)


def stamp_ns(stamp: Any, what: str = "header.stamp") -> int:
    """Nanoseconds of a `builtin_interfaces/Time`.

    Raises:
        ImageError: seconds below zero, or a second or more of nanoseconds.
    """
    if stamp.sec < 0 or not 0 <= stamp.nanosec < 1_000_000_000:
        raise ImageError(
            f"{what}: expected sec >= 0 and nanosec below 1000000000, got sec={stamp.sec} "
            f"nanosec={stamp.nanosec}; the driver stamps its images wrongly"
        )
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def image_frame(message: Any, long_side_px: int, library: Library) -> Frame:
    """A `sensor_msgs/Image` as the window keeps it; scaled down before its colours are converted.

    Args:
        message: a message of rclpy or of rosbags.
        long_side_px: the image is scaled down to this.
        library: converts the rarer encodings.

    Raises:
        ImageError: size, step, data or encoding that do not fit together.
    """
    ns = stamp_ns(message.header.stamp)
    width, height = message.width, message.height
    encoding = _SAME.get(message.encoding.lower(), message.encoding.lower())
    for pattern, count in _PIXEL_BYTES:
        if re.fullmatch(pattern, encoding):
            rows = pixel_rows(message, count)
            break
    else:
        raise ImageError(
            f"image encoding: {message.encoding!r} is not known; expected rgb8, bgr8, rgba8, "
            "bgra8, mono8, mono16, a yuv422 or a bayer encoding of sensor_msgs/image_encodings"
        )
    if encoding in _TO_RGB:
        small = reduced(rows if count == 1 else rows.reshape(height, width, count), long_side_px)
        code = _TO_RGB[encoding]
        # The view on the message's bytes must not outlive the message.
        rgb = small.copy() if code is None else np.asarray(cv2.cvtColor(small, code), np.uint8)
    elif encoding == "mono16":
        grey = rows.view(">u2" if message.is_bigendian else "<u2") >> 8
        small = reduced(grey.astype(np.uint8), long_side_px)
        rgb = np.asarray(cv2.cvtColor(small, cv2.COLOR_GRAY2RGB), np.uint8)
    else:
        try:
            rgb = reduced(library(message, rows, encoding), long_side_px)
        except Exception as error:
            raise ImageError(
                f"image encoding: {message.encoding!r} cannot be converted to rgb8 "
                f"({type(error).__name__}: {error})"
            ) from error
    return Frame(ns, rgb, width, height, message.header.frame_id)


def compressed_frame(message: Any, long_side_px: int) -> Frame:
    """The same for a JPEG or PNG `sensor_msgs/CompressedImage`.

    Raises:
        ImageError: the bytes do not decode.
    """
    ns = stamp_ns(message.header.stamp)
    data = np.frombuffer(message.data, np.uint8)
    reason = ""
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (cv2.error, MemoryError) as error:  # a size or a codec that OpenCV refuses
        image, reason = None, f" ({' '.join(str(error).split())})"
    if image is None:
        raise ImageError(
            f"compressed image: {data.size} bytes of format {message.format[:40]!r} do not decode; "
            f"expected JPEG or PNG{reason}"
        )
    height, width = image.shape[:2]
    small = reduced(np.asarray(image, np.uint8), long_side_px)
    rgb = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)
    return Frame(ns, rgb, width, height, message.header.frame_id)


def pixel_rows(message: Any, bytes_per_pixel: int) -> NDArray[np.uint8]:
    """The pixels' bytes without padding, `(h, w * bytes_per_pixel)`; a view where that is possible.

    Raises:
        ImageError: size, step and data do not fit together.
    """
    width, height = message.width, message.height
    if width < 1 or height < 1:
        raise ImageError(f"image size: expected 1 x 1 or more, got {width} x {height}")
    row_bytes = width * bytes_per_pixel
    if message.step < row_bytes:
        raise ImageError(
            f"image step: expected at least {row_bytes} bytes for {width} pixels of "
            f"{message.encoding}, got {message.step}"
        )
    if len(message.data) != message.step * height:
        raise ImageError(
            f"image data: expected step x height = {message.step * height} bytes, "
            f"got {len(message.data)}"
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(height, message.step)[:, :row_bytes]
    # Wider pixels are read through another type, which needs rows without gaps.
    return rows if bytes_per_pixel == 1 else np.ascontiguousarray(rows)
