"""Camera images to frames and back, depth images to metres."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from stvg_ros.depth import Intrinsics, thinned
from stvg_ros.errors import ImageError
from stvg_ros.images import reduced
from stvg_ros.node.conversions import stamp_ns, time_message
from stvg_ros.types import Frame

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
_DEPTHS = {"16uc1": ("u2", 1000.0), "mono16": ("u2", 1000.0), "32fc1": ("f4", 1.0)}


def image_frame(message: Image, long_side_px: int) -> Frame:
    """A camera image as the window keeps it; scaled down before its colours are converted.

    Raises:
        ImageError: size, step, data or encoding that do not fit together.
    """
    ns = stamp_ns(message.header.stamp)
    width, height = message.width, message.height
    encoding = _SAME.get(message.encoding.lower(), message.encoding.lower())
    for pattern, count in _PIXEL_BYTES:
        if re.fullmatch(pattern, encoding):
            rows = _rows(message, count)
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
        rgb = reduced(_library_rgb(message, rows, encoding), long_side_px)
    return Frame(ns, rgb, width, height, message.header.frame_id)


def compressed_frame(message: CompressedImage, long_side_px: int) -> Frame:
    """The same for a JPEG or PNG image.

    Raises:
        ImageError: the bytes do not decode.
    """
    ns = stamp_ns(message.header.stamp)
    data = np.frombuffer(message.data, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise ImageError(
            f"compressed image: {data.size} bytes of format {message.format!r} do not decode; "
            "expected JPEG or PNG"
        )
    height, width = image.shape[:2]
    small = reduced(np.asarray(image, np.uint8), long_side_px)
    rgb = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)
    return Frame(ns, rgb, width, height, message.header.frame_id)


def depth_metres(message: Image, long_side_px: int) -> NDArray[np.float32]:
    """Distances along z, `(h, w)`, NaN where there is none; thinned out to the long side.

    Raises:
        ImageError: size, step, data or encoding that do not fit together.
    """
    kind, unit = _DEPTHS.get(message.encoding.lower(), ("", 1.0))
    if not kind:
        raise ImageError(
            f"depth encoding: expected 16UC1 (millimetres) or 32FC1 (metres), "
            f"got {message.encoding!r}"
        )
    order = ">" if message.is_bigendian else "<"
    values = thinned(_rows(message, int(kind[1])).view(order + kind), long_side_px)
    metres: NDArray[np.float32] = values.astype(np.float32) / np.float32(unit)
    metres[~(metres > 0) | np.isinf(metres)] = np.nan  # zero: not measured
    return metres


def intrinsics_of(info: CameraInfo, width: int, height: int) -> Intrinsics:
    """The camera matrix K for an image of this size; lens distortion is not corrected.

    Raises:
        ImageError: the camera is not calibrated.
    """
    try:
        eye = Intrinsics(info.k[0], info.k[4], info.k[2], info.k[5])
        if info.width and info.height:  # the driver may bin the image after calibration
            eye = eye.scaled(width / info.width, height / info.height)
        return eye
    except ValueError as error:
        raise ImageError(f"camera_info: {error}") from error


def _rows(message: Image, bytes_per_pixel: int) -> NDArray[np.uint8]:
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


@functools.cache
def _library() -> Callable[[Image, str], Any]:
    """cv_bridge's conversion, or that of rosbags-image where cv_bridge is missing or broken."""
    try:
        from cv_bridge import CvBridge

        convert: Callable[[Image, str], Any] = CvBridge().imgmsg_to_cv2
    except Exception:  # built for another NumPy, it fails with more than ImportError
        from rosbags.image import message_to_cvimage as convert
    return convert


def _library_rgb(message: Image, rows: NDArray[np.uint8], encoding: str) -> NDArray[np.uint8]:
    """The rarer encodings, through a library; it gets the rows without padding."""
    packed = Image(
        header=message.header,
        height=message.height,
        width=message.width,
        encoding=encoding,
        is_bigendian=message.is_bigendian,
        step=rows.shape[1],
    )
    packed.data.frombytes(rows.tobytes())
    try:
        return np.asarray(_library()(packed, "rgb8"), np.uint8)
    except Exception as error:
        raise ImageError(
            f"image encoding: {message.encoding!r} cannot be converted to rgb8 "
            f"({type(error).__name__}: {error})"
        ) from error


def image_message(image: NDArray[np.uint8], ns: int, frame_id: str) -> Image:
    """An rgb8 message of an `(h, w, 3)` RGB image."""
    result = Image(
        header=Header(stamp=time_message(ns), frame_id=frame_id),
        height=image.shape[0],
        width=image.shape[1],
        encoding="rgb8",
        step=3 * image.shape[1],
    )
    result.data.frombytes(np.ascontiguousarray(image).tobytes())  # faster than assignment
    return result
