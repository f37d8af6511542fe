# SPDX-License-Identifier: Apache-2.0

"""Encodes frames as JPEG or PNG files and decodes them."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_ros.errors import ImageError

MAX_PIXELS = 4096 * 4096
_MAX_JPEG_SIDE_PX = 65_500
_MAX_SEGMENTS = 65_536  # of a file; more than any camera or program writes
_MAX_SCANS = 100  # of a progressive JPEG, each a pass over the whole image
_PNG = b"\x89PNG\r\n\x1a\n"
_CRITICAL = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_JPEG = b"\xff\xd8\xff"
_NO_SIZE = (0xC4, 0xC8, 0xCC)  # of the markers C0 to CF, those that begin no frame


def encoded(image: NDArray[np.uint8], quality: int) -> bytes:
    """An `(h, w, 3)` RGB image as JPEG of this quality (1 to 100), or as PNG for quality 0.

    An image too large for JPEG becomes a PNG.
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    kind, options = ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality]
    if quality == 0 or max(image.shape) > _MAX_JPEG_SIDE_PX:
        kind, options = ".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]
    good, data = cv2.imencode(kind, bgr, options)
    if not good:
        raise ImageError(f"image of {image.shape}: OpenCV cannot encode it as {kind}")
    return bytes(data.tobytes())


def decoded_size(data: bytes) -> tuple[int, int]:
    """Width and height of the image, read from the file's header only.

    Not read by Pillow or OpenCV, since they also decompress a PNG's text chunks.

    Raises:
        ImageError: neither JPEG nor PNG, or more than `MAX_PIXELS`.
    """
    size = None
    if data.startswith(_PNG) and data[12:16] == b"IHDR" and len(data) >= 24:
        size = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    elif data.startswith(_JPEG):
        size = _jpeg_size(data)
    if size is None or 0 in size:
        raise ImageError(f"image: expected a JPEG or PNG file, got {len(data)} bytes of neither")
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"image: expected at most {MAX_PIXELS} pixels, got {width} x {height}; scale it down "
            "(window.long_side_px)"
        )
    return size


def decoded(data: bytes) -> NDArray[np.uint8]:
    """The `(h, w, 3)` RGB image of a JPEG or PNG file.

    Raises:
        ImageError: the file does not decode, or the image is too large.
    """
    decoded_size(data)
    if data.startswith(_PNG):
        data = _PNG + b"".join(_critical_chunks(data))
    elif data.count(b"\xff\xda") > _MAX_SCANS:
        raise ImageError(f"image: expected a JPEG of at most {_MAX_SCANS} scans, got more")
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        bgr = None
    if bgr is None:
        raise ImageError(f"image: {len(data)} bytes do not decode as JPEG or PNG")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of the first frame header."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        segment = data[at : at + 9]
        if len(segment) < 9 or segment[0] != 0xFF:
            return None
        marker = segment[1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE:
            return int.from_bytes(segment[7:9], "big"), int.from_bytes(segment[5:7], "big")
        else:
            at += 2 + max(2, int.from_bytes(segment[2:4], "big"))
    return None


def _critical_chunks(data: bytes) -> Iterator[bytes]:
    """The PNG's pixel chunks, without text and profile chunks, which could be large."""
    at = len(_PNG)
    for _ in range(_MAX_SEGMENTS):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if kind in _CRITICAL:
            yield data[at:end]
        if kind == b"IEND" or end > len(data):
            return
        at = end
    raise ImageError(f"image: expected a PNG of at most {_MAX_SEGMENTS} chunks, got more")
