# SPDX-License-Identifier: Apache-2.0

"""Camera messages that are easily misread: sensors' bits, mosaics, depth, impossible bytes."""

from __future__ import annotations

import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from stvg_ros.errors import ImageError
from stvg_ros.io.image_messages import compressed_frame, eight_bits, image_frame, is_depth

HEADER = SimpleNamespace(stamp=SimpleNamespace(sec=5, nanosec=7), frame_id="camera")


def scene(height: int = 48, width: int = 64) -> np.ndarray:
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[: height // 2], rgb[height // 2 :] = (230, 30, 30), (20, 40, 220)
    rgb[:, width * 5 // 8 :] = (30, 255, 60)
    return rgb


def raw(pixels: np.ndarray, encoding: str, bigendian: int = 0) -> SimpleNamespace:
    height, width = pixels.shape[:2]
    data = np.ascontiguousarray(pixels).view(np.uint8).ravel()
    return SimpleNamespace(
        header=HEADER, height=height, width=width, encoding=encoding, is_bigendian=bigendian,
        step=data.size // height, data=data,
    )  # fmt: skip


def packed(data: bytes, form: str) -> SimpleNamespace:
    return SimpleNamespace(header=HEADER, format=form, data=data)


def mosaic(rgb: np.ndarray, pattern: str) -> np.ndarray:
    seen = np.zeros(rgb.shape[:2], rgb.dtype)
    for place, colour in enumerate(pattern):
        y, x = place // 2, place % 2
        seen[y::2, x::2] = rgb[y::2, x::2, "rgb".index(colour)]
    return seen


def encoded(kind: str, pixels: np.ndarray) -> bytes:
    return cv2.imencode(f".{kind}", pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes()


def close(found: np.ndarray, wanted: np.ndarray, most: int = 4) -> bool:
    return bool(np.median(np.abs(found.astype(int) - wanted)) <= most)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("encoding", ["mono16", "rgb16", "bgr16", "bayer_rggb16", "bayer_gbrg16"])
@pytest.mark.parametrize("bigendian", [0, 1])
def test_the_bits_that_a_sensor_uses_make_the_brightness(
    bits: int, encoding: str, bigendian: int
) -> None:
    rgb = scene()
    wanted = np.repeat(rgb[..., 1:2], 3, 2) if encoding == "mono16" else rgb
    wide = rgb.astype(np.uint32) * ((1 << bits) - 1) // 255
    if encoding == "mono16":
        wide = wide[..., 1]
    elif encoding == "bgr16":
        wide = wide[..., ::-1]
    elif encoding.startswith("bayer"):
        wide = mosaic(wide, encoding[6:10])
    message = raw(wide.astype(">u2" if bigendian else "<u2"), encoding, bigendian)
    assert close(image_frame(message, 640).image, wanted)


def test_eight_bits_of_dark_and_empty_images() -> None:
    assert eight_bits(np.zeros((2, 2), np.uint16)).tolist() == [[0, 0], [0, 0]]
    assert eight_bits(np.array([0, 1023], np.uint16)).tolist() == [0, 255]
    assert eight_bits(np.array([0, 65535], np.uint16)).tolist() == [0, 255]


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize(("bits", "kind"), [(8, "png"), (16, "png"), (8, "jpg")])
def test_a_mosaic_in_a_compressed_topic_has_its_colours(pattern: str, bits: int, kind: str) -> None:
    seen = mosaic(scene(), pattern)
    data = encoded(kind, seen if bits == 8 else seen.astype(np.uint16) * 257)
    name = "jpeg" if kind == "jpg" else kind
    message = packed(data, f"bayer_{pattern}{bits}; {name} compressed ")
    assert close(compressed_frame(message, 640).image, scene(), 12 if kind == "jpg" else 2)
    small = compressed_frame(message, 32)
    assert small.image.shape == (24, 32, 3)
    assert (small.source_width_px, small.source_height_px) == (64, 48)


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("jpeg", "jpg"), ("png", "png"), ("rgb8; jpeg compressed bgr8", "jpg"),
        ("bgr8; png compressed bgr8", "png"), ("bayer_rggb8; jpeg compressed bgr8", "jpg"),
        ("rgba8; png compressed ", "png"), ("yuv422; jpeg compressed bgr8", "jpg"), ("", "png"),
    ],
)  # fmt: skip
def test_colours_of_compressed_images(form: str, kind: str) -> None:
    assert close(compressed_frame(packed(encoded(kind, scene()), form), 640).image, scene(), 6)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_a_grey_png_of_a_sensors_bits(bits: int) -> None:
    grey = scene()[..., 1]
    wide = (grey.astype(np.uint32) * ((1 << bits) - 1) // 255).astype(np.uint16)
    frame = compressed_frame(packed(encoded("png", wide), "mono16; png compressed "), 640)
    assert close(frame.image, np.repeat(grey[..., None], 3, 2))


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("16UC1", True), ("32FC1", True), ("16uc1", True), ("16UC1; png compressed ", True),
        ("16UC1; compressedDepth png", True), ("32FC1; compressedDepth", True),
        ("16UC1; compressedDepth rvl", True), ("rgb8", False), ("mono16", False), ("jpeg", False),
        ("bayer_rggb16; png compressed ", False), ("", False),
    ],
)  # fmt: skip
def test_which_images_are_depth(name: str, depth: bool) -> None:
    assert is_depth(name) is depth
    if depth and ";" in name:
        with pytest.raises(ImageError, match="is a depth image"):
            compressed_frame(packed(encoded("png", scene()[..., 0]), name), 640)


def png_that_claims(width: int, height: int) -> bytes:
    def part(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    head = part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + part(b"IDAT", zlib.compress(bytes(99))) + part(b"IEND", b"")
    )


def jpeg_that_claims(size: bytes) -> bytes:
    data = bytearray(encoded("jpg", scene()))
    at = data.find(b"\xff\xc0") + 5
    data[at : at + 4] = size
    return bytes(data)


IMPOSSIBLE = {
    "nothing": b"",
    "one byte": b"\xff",
    "four bytes of JPEG": b"\xff\xd8\xff\xe0",
    "four bytes of OpenEXR": b"\x76\x2f\x31\x01",
    "text": b"no image",
    "a PNG too wide": png_that_claims(2**20 + 1, 10),
    "a PNG too high": png_that_claims(10, 2**20 + 1),
    "a PNG too large": png_that_claims(2**16, 2**16),
    "a PNG of no size": png_that_claims(0, 0),
    "a JPEG too large": jpeg_that_claims(b"\xff\xff\xff\xff"),
    "a JPEG of no size": jpeg_that_claims(bytes(4)),
    "a cut PNG head": png_that_claims(10, 10)[:20],
    "TIFF": b"II*\0" + bytes(65),
    "WebP": b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(50),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(57),
    "a bitmap": b"BM" + b"\xff" * 67,
}


@pytest.mark.parametrize("data", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
@pytest.mark.parametrize("form", ["jpeg", "bayer_rggb8; png compressed "])
def test_bytes_that_do_not_decode_are_one_kind_of_error(data: bytes, form: str) -> None:
    with pytest.raises(ImageError, match=f"{len(data)} bytes of format"):
        compressed_frame(packed(data, form), 640)


@pytest.mark.parametrize("encoding", ["yuv422", "yuyv", "bayer_rggb8", "bayer_grbg16"])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (2, 1), (1, 2), (5, 2)])
def test_odd_sizes_convert_or_are_refused(encoding: str, size: tuple[int, int]) -> None:
    channels = 2 if encoding.startswith("yu") else 1
    pixels = np.full((*size, channels), 90, np.uint16 if encoding.endswith("16") else np.uint8)
    try:
        frame = image_frame(raw(pixels, encoding), 640)
    except ImageError:
        return
    assert frame.image.shape == (*size, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["jpeg", "bgr8; jpeg compressed bgr8"])
def test_a_compressed_image_is_not_turned_by_its_exif_data(orientation: int, form: str) -> None:
    """camera_info, depth and the detections of other nodes are about the image as it is stored."""
    data = encoded("jpg", scene())
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"
    exif += bytes([orientation]) + bytes(6)
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    frame = compressed_frame(packed(data, form), 640)
    assert (frame.source_width_px, frame.source_height_px) == (64, 48)
    assert close(frame.image, scene(), 8)
