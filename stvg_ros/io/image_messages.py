# SPDX-License-Identifier: Apache-2.0

"""Converts camera messages to frames: those of rclpy (a topic) and of rosbags (a file)."""

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

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"

# Colours are converted with OpenCV's names, whose Bayer patterns begin one row and column later.
_TO_RGB: dict[str, int | None] = {
    "rgb8": None,
    "bgr8": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2,
    "bayer_rggb8": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr8": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg8": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg8": cv2.COLOR_BayerGB2RGB,
}
# Scaling commutes with the conversion of these encodings, so they are scaled down before it.
_FIRST_REDUCED = ("rgb8", "bgr8", "rgba8", "bgra8", "mono8")
Library = Callable[[Any], "NDArray[np.uint8] | None"]
# Two names of one layout.
_SAME = {"uyvy": "yuv422", "yuyv": "yuv422_yuy2"}
# Channels by encoding of sensor_msgs/image_encodings, without the bits at the end.
_CHANNELS = (
    (r"mono(8|16)|bayer_(rggb|bggr|gbrg|grbg)(8|16)", 1),
    (r"yuv422|yuv422_yuy2", 2),
    (r"(rgb|bgr)(8|16)", 3),
    (r"(rgba|bgra)(8|16)", 4),
)
_SENSOR_BITS = (10, 12, 14, 16)
_DEPTH_ENCODINGS = ("16uc1", "32fc1")


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


def image_frame(message: Any, long_side_px: int, library: Library | None = None) -> Frame:
    """A `sensor_msgs/Image` as the window keeps it.

    Args:
        message: a message of rclpy or of rosbags.
        long_side_px: the image is scaled down to this.
        library: converts an image whose encoding is not in this table to `(h, w, 3)` RGB;
            returns None if it cannot.

    Raises:
        ImageError: size, step, data or encoding are inconsistent.
    """
    ns = stamp_ns(message.header.stamp)
    width, height = message.width, message.height
    encoding = _SAME.get(message.encoding.lower(), message.encoding.lower())
    wide = encoding.endswith("16")
    for pattern, channels in _CHANNELS:
        if re.fullmatch(pattern, encoding):
            rows = pixel_rows(message, channels * (1 + wide))
            break
    else:
        other = None if library is None else library(message)
        if other is not None:
            return Frame(ns, reduced(other, long_side_px), width, height, message.header.frame_id)
        raise ImageError(
            f"image encoding: {message.encoding!r} is not known; expected rgb8, bgr8, rgba8, "
            "bgra8, mono8, mono16, a yuv422 or a bayer encoding of sensor_msgs/image_encodings"
        )
    if wide:
        rows = eight_bits(rows.view(">u2" if message.is_bigendian else "<u2"))
    pixels = rows if channels == 1 else rows.reshape(height, width, channels)
    rgb = _rgb(pixels, encoding.removesuffix("16") + "8" * wide, long_side_px)
    return Frame(ns, rgb, width, height, message.header.frame_id)


def eight_bits(values: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Converts 16-bit values to 8 bits, by the number of bits that the sensor uses.

    Sensors of 10 to 14 bits leave the upper bits at zero; the brightest pixel of an image gives
    the number of bits in use.
    """
    brightest = int(values.max(initial=0))
    used = next(bits for bits in _SENSOR_BITS if brightest < 1 << bits)
    return np.asarray(values >> (used - 8), np.uint8)


def _rgb(pixels: NDArray[np.uint8], encoding: str, long_side_px: int) -> NDArray[np.uint8]:
    """Pixels `(h, w)` or `(h, w, channels)` of an encoding as RGB of at most the long side.

    Raises:
        ImageError: a size that the encoding does not allow, such as an odd width of yuv422.
    """
    code = _TO_RGB[encoding]
    early = encoding in _FIRST_REDUCED
    try:
        small = reduced(pixels, long_side_px) if early else np.ascontiguousarray(pixels)
        # The view on the message's bytes must not outlive the message.
        rgb = small.copy() if code is None else np.asarray(cv2.cvtColor(small, code), np.uint8)
    except cv2.error as error:
        raise ImageError(
            f"image encoding: {encoding!r} of {pixels.shape[1]} x {pixels.shape[0]} pixels cannot "
            f"be converted to rgb8 ({_short(error)})"
        ) from error
    return rgb if early else reduced(rgb, long_side_px)


def _short(error: cv2.error) -> str:
    """OpenCV's reason on one line."""
    return " ".join(str(error.err or error).split())[:120]


def is_depth(name: str) -> bool:
    """Whether an encoding, or the format of a CompressedImage, is that of a depth image."""
    return "compresseddepth" in name.lower() or _pixels_of(name) in _DEPTH_ENCODINGS


def _pixels_of(form: str) -> str:
    """The encoding before compression, from image_transport's "bgr8; jpeg compressed bgr8"."""
    return form.partition(";")[0].strip().lower()


def compressed_frame(message: Any, long_side_px: int) -> Frame:
    """A JPEG or PNG `sensor_msgs/CompressedImage` as the window keeps it.

    Raises:
        ImageError: the bytes do not decode, or hold a depth image.
    """
    ns = stamp_ns(message.header.stamp)
    if is_depth(message.format):
        raise ImageError(
            f"compressed image: format {message.format!r} is a depth image; expected a colour "
            "image, so choose the camera's colour topic"
        )
    pixels, encoding = _decoded(message)
    height, width = pixels.shape[:2]
    return Frame(ns, _rgb(pixels, encoding, long_side_px), width, height, message.header.frame_id)


def _decoded(message: Any) -> tuple[NDArray[np.uint8], str]:
    """Pixels and encoding of a CompressedImage; Bayer mosaics and 16 bits are not converted."""
    data = np.frombuffer(message.data, np.uint8)
    sensor = _pixels_of(message.format)
    as_it_is = sensor.startswith("bayer_") or sensor.endswith("16")
    reason = ""
    try:
        mode = cv2.IMREAD_UNCHANGED if as_it_is else cv2.IMREAD_COLOR
        # Turned by its EXIF data, an image would not fit camera_info and other nodes' detections.
        mode |= cv2.IMREAD_IGNORE_ORIENTATION
        image = cv2.imdecode(data, mode) if data.size else None
    except (cv2.error, MemoryError) as error:  # a size or a codec that OpenCV rejects
        image, reason = None, f" ({_short(error)})"
    if image is None:
        raise ImageError(
            f"compressed image: {data.size} bytes of format {message.format[:40]!r} do not decode; "
            f"expected JPEG or PNG{reason}"
        )
    if image.dtype == np.uint16:
        image = eight_bits(np.asarray(image, np.uint16))
    pixels = np.asarray(image, np.uint8)
    if pixels.ndim == 2:
        mosaic = re.match(r"bayer_(rggb|bggr|gbrg|grbg)", sensor)
        return pixels, f"{mosaic[0]}8" if mosaic else "mono8"
    return pixels, "bgra8" if pixels.shape[2] == 4 else "bgr8"


def pixel_rows(message: Any, bytes_per_pixel: int) -> NDArray[np.uint8]:
    """The pixels' bytes without padding, `(h, w * bytes_per_pixel)`; a view if possible.

    Raises:
        ImageError: size, step and data are inconsistent.
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
