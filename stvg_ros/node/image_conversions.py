# SPDX-License-Identifier: Apache-2.0

"""Converts camera images to frames and back, and depth images to metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from stvg_ros.depth import Intrinsics, thinned
from stvg_ros.errors import ImageError
from stvg_ros.io import image_messages
from stvg_ros.io.image_messages import compressed_frame as compressed_frame
from stvg_ros.io.image_messages import pixel_rows
from stvg_ros.node.conversions import time_message
from stvg_ros.types import Frame

# By sensor_msgs/distortion_models, and other names in use.
_LENSES = {"plumb_bob", "rational_polynomial", "thin_prism", "brown_conrady", "radtan", ""}
_FISHEYES = {"equidistant", "fisheye", "kannala_brandt", "kannala_brandt4"}
_DEPTHS = {"16uc1": ("u2", 1000.0), "mono16": ("u2", 1000.0), "32fc1": ("f4", 1.0)}


def depth_metres(message: Image, long_side_px: int) -> NDArray[np.float32]:
    """Distances along z, `(h, w)`, NaN where not measured; subsampled to the long side.

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
    values = thinned(pixel_rows(message, int(kind[1])).view(order + kind), long_side_px)
    metres: NDArray[np.float32] = values.astype(np.float32) / np.float32(unit)
    metres[~(metres > 0) | np.isinf(metres)] = np.nan  # zero: not measured
    return metres


def intrinsics_of(
    info: CameraInfo, width: int, height: int, *, rectified: bool = False
) -> Intrinsics:
    """The camera and its lens for an image of this size (REP 104).

    K and D refer to the full image; `roi` is the part of it that is sent, and the size of the
    image gives the binning.

    Args:
        info: at the image's stamp.
        width, height: of the image, in pixels.
        rectified: the image is undistorted: P applies to it, and D is ignored.

    Raises:
        ImageError: the camera is not calibrated, or the number of distortion coefficients is
            invalid.
    """
    try:
        if rectified and info.p[0] and info.p[5]:
            eye = Intrinsics(info.p[0], info.p[5], info.p[2], info.p[6])
        else:
            lens, fisheye = ((), False) if rectified else _lens(info)
            eye = Intrinsics(info.k[0], info.k[4], info.k[2], info.k[5], lens, fisheye)
        if not info.width or not info.height:
            return eye
        left, top, columns, rows = _sent_part(info, width, height)
        return eye.cropped(left, top).scaled(width / columns, height / rows)
    except ValueError as error:
        raise ImageError(f"camera_info: {error}") from error


def lens_is_known(info: CameraInfo) -> bool:
    """Whether the camera has no distortion or a known distortion model."""
    return not any(info.d) or info.distortion_model.lower() in _LENSES | _FISHEYES


def _lens(info: CameraInfo) -> tuple[tuple[float, ...], bool]:
    """The distortion coefficients, and whether the lens is a fisheye; () for an unknown model."""
    if not any(info.d) or not lens_is_known(info):
        return (), False
    fisheye = info.distortion_model.lower() in _FISHEYES
    lens = tuple(float(value) for value in info.d)
    count = next((n for n in ((4,) if fisheye else (4, 5, 8, 12, 14)) if n >= len(lens)), 0)
    return lens + (0.0,) * (count - len(lens)), fisheye


def _sent_part(info: CameraInfo, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of the part of the full image that is sent."""
    full, roi = (info.width, info.height), info.roi
    part = (roi.width or info.width, roi.height or info.height)
    outside = roi.x_offset + part[0] > full[0] or roi.y_offset + part[1] > full[1]
    # An image of the full size is not cropped, whatever roi is; a region beyond the full image
    # means that the camera was calibrated on the cropped image.
    if outside or (width, height) == full != part:
        return 0, 0, *full
    return roi.x_offset, roi.y_offset, *part


def image_frame(message: Image, long_side_px: int) -> Frame:
    """As in `io.image_messages`; other encodings are converted by cv_bridge."""
    return image_messages.image_frame(message, long_side_px, _by_cv_bridge)


def _by_cv_bridge(message: Image) -> NDArray[np.uint8] | None:
    """RGB by cv_bridge; None if it is missing, broken, or does not know the encoding."""
    try:
        from cv_bridge import CvBridge

        return np.array(CvBridge().imgmsg_to_cv2(message, "rgb8"), np.uint8)
    except Exception:  # built for another NumPy, it fails with more than ImportError
        return None


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
