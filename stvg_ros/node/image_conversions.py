"""Camera images to frames and back."""

from __future__ import annotations

import re

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from stvg_ros.errors import ImageError
from stvg_ros.images import reduced
from stvg_ros.node.conversions import stamp_ns, time_message
from stvg_ros.types import Frame

_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
_TO_RGB = {
    "bgr8": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
}
_PIXEL_BYTES = (
    (r"(rgb|bgr)16", 6),
    (r"(rgba|bgra)16", 8),
    (r"mono16|16[su]c1|bayer_.{4}16", 2),
    (r"bayer_.{4}8|8[su]c1", 1),
    (r"yuv422.*|uyvy|yuyv|8[su]c2|nv21|nv24", 2),
    (r"8[su]c3", 3),
    (r"8[su]c4", 4),
)


def image_frame(message: Image, long_side_px: int) -> Frame:
    """A camera image as the window keeps it; scaled down before its colours are converted.

    Raises:
        ImageError: size, step, data or encoding that do not fit together.
    """
    ns = stamp_ns(message.header.stamp)
    width, height, encoding = message.width, message.height, message.encoding
    if width < 1 or height < 1:
        raise ImageError(f"image size: expected 1 x 1 or more, got {width} x {height}")
    bytes_per_pixel = _bytes_per_pixel(encoding)
    if message.step < width * bytes_per_pixel:
        raise ImageError(
            f"image step: expected at least {width * bytes_per_pixel} bytes for {width} pixels of "
            f"{encoding}, got {message.step}"
        )
    if len(message.data) != message.step * height:
        raise ImageError(
            f"image data: expected step x height = {message.step * height} bytes, "
            f"got {len(message.data)}"
        )
    channels = _CHANNELS.get(encoding)
    if channels is None:
        rgb = reduced(_library_rgb(message), long_side_px)
    else:
        rows = np.frombuffer(message.data, np.uint8).reshape(height, message.step)
        image = rows[:, : width * channels].reshape(height, width, channels)
        small = reduced(image[..., 0] if channels == 1 else image, long_side_px)
        # The view on the message's bytes must not outlive the message.
        rgb = small.copy() if encoding == "rgb8" else cv2.cvtColor(small, _TO_RGB[encoding])
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


def _bytes_per_pixel(encoding: str) -> int:
    if encoding in _CHANNELS:
        return _CHANNELS[encoding]
    for pattern, count in _PIXEL_BYTES:
        if re.fullmatch(pattern, encoding.lower()):
            return count
    raise ImageError(
        f"image encoding: {encoding!r} is not known; expected rgb8, bgr8, rgba8, bgra8, mono8, "
        "mono16, a yuv422 or a bayer encoding of sensor_msgs/image_encodings"
    )


def _library_rgb(message: Image) -> NDArray[np.uint8]:
    """The rarer encodings through cv_bridge, or rosbags-image where that is not installed."""
    try:
        if message.encoding == "mono16":
            depth = np.frombuffer(message.data, ">u2" if message.is_bigendian else "<u2")
            grey = depth.reshape(message.height, message.step // 2)[:, : message.width] >> 8
            return np.asarray(cv2.cvtColor(grey.astype(np.uint8), cv2.COLOR_GRAY2RGB), np.uint8)
        try:
            from cv_bridge import CvBridge
        except ImportError:
            from rosbags.image import message_to_cvimage

            return np.asarray(message_to_cvimage(message, "rgb8"), np.uint8)
        return np.asarray(CvBridge().imgmsg_to_cv2(message, "rgb8"), np.uint8)
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
