# SPDX-License-Identifier: Apache-2.0

"""Frames as JPEG or PNG files and back."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stvg_ros.errors import ImageError

MAX_PIXELS = 4096 * 4096
_FORMATS = ("JPEG", "PNG")


def encoded(image: NDArray[np.uint8], quality: int) -> bytes:
    """An `(h, w, 3)` RGB image as JPEG of this quality (1 to 100), or as PNG for quality 0."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    kind, options = ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality]
    if quality == 0:
        kind, options = ".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]
    good, data = cv2.imencode(kind, bgr, options)
    if not good:
        raise ImageError(f"image of {image.shape}: OpenCV cannot encode it as {kind}")
    return bytes(data.tobytes())


def decoded_size(data: bytes) -> tuple[int, int]:
    """Width and height of the image, read from the file's header alone.

    Raises:
        ImageError: neither JPEG nor PNG, or more than `MAX_PIXELS`.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as header:
            width, height = map(int, header.size)
    except Exception as error:  # Pillow raises many types for damaged files
        raise ImageError(
            f"image: expected a JPEG or PNG file, got {len(data)} bytes that are none"
        ) from error
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"image: expected at most {MAX_PIXELS} pixels, got {width} x {height}; scale it down "
            "(window.long_side_px)"
        )
    return width, height


def decoded(data: bytes) -> NDArray[np.uint8]:
    """The `(h, w, 3)` RGB image of a JPEG or PNG file.

    Raises:
        ImageError: it does not decode, or is too large.
    """
    decoded_size(data)
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        bgr = None
    if bgr is None:
        raise ImageError(f"image: {len(data)} bytes do not decode as JPEG or PNG")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
