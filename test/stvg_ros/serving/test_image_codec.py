# SPDX-License-Identifier: Apache-2.0

"""Images that claim much cost little; those that cameras and programs write are read."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from stvg_ros.errors import ImageError
from stvg_ros.serving.image_codec import decoded, decoded_size, encoded

PNG = b"\x89PNG\r\n\x1a\n"
NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks, data=b"\0" * 100):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rest = chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return PNG + head + b"".join(chunks) + rest


def jpeg(width, height, before=b""):
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"\1\x11\0\2\x11\0\3\x11\0"
    return b"\xff\xd8" + before + b"\xff\xc0" + struct.pack(">H", 2 + len(frame)) + frame


def saved(form, mode="RGB", **options):
    file = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("quality", [0, 1, 50, 100])
def test_what_is_encoded_is_decoded(quality):
    assert decoded_size(encoded(NOISE, quality)) == (64, 48)
    image = decoded(encoded(NOISE, quality))
    assert image.shape == NOISE.shape
    assert quality or np.array_equal(image, NOISE)


@pytest.mark.parametrize(
    "data",
    [
        saved("JPEG"),
        saved("JPEG", progressive=True),
        saved("JPEG", "L"),
        saved("JPEG", "CMYK"),
        saved("JPEG", icc_profile=b"x" * 100_000),
        saved("JPEG", comment=b"x" * 60_000),
        saved("JPEG", dpi=(300, 300), subsampling=0),
        saved("PNG"),
        saved("PNG", "L"),
        saved("PNG", "RGBA"),
        saved("PNG", "P"),
        saved("PNG", "1"),
        saved("PNG", icc_profile=b"x" * 1000),
        saved("PNG", dpi=(300, 300)),
        cv2.imencode(".png", NOISE.astype(np.uint16) * 256)[1].tobytes(),
        saved("JPEG")[:2] + b"\xff" * 5 + saved("JPEG")[2:],  # fill bytes
    ],
)
def test_images_that_programs_write_are_read(data):
    assert decoded_size(data) == (64, 48)
    assert decoded(data).shape == (48, 64, 3)


@pytest.mark.parametrize(
    "size",
    [(40_000, 40_000), (30_000, 30_000), (4097, 4096), (2**31 - 1, 1), (1, 2**31 - 1),
     (2**32 - 1, 2**32 - 1), (16_777_217, 1), (8000, 8000), (65_535, 257), (5000, 5000)],
)  # fmt: skip
def test_an_image_that_claims_too_many_pixels_is_refused(size):
    bodies = [png(*size)] + ([jpeg(*size)] if max(size) < 65_536 else [])
    for data in bodies:
        for read in (decoded_size, decoded):
            with pytest.raises(ImageError, match=f"pixels, got {size[0]} x {size[1]}"):
                read(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF89a" + b"x" * 50, PNG, PNG + b"x" * 20, png(0, 4), png(4, 0), jpeg(0, 4),
     b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\2" * 100_000, b"\xff\xd8" + b"\xff" * 100_000,
     saved("JPEG")[:100], saved("BMP"), saved("TIFF"), jpeg(4, 4)[:8]],
)  # fmt: skip
def test_what_is_no_image_is_refused(data):
    for read in (decoded_size, decoded):
        with pytest.raises(ImageError, match="expected a JPEG or PNG file"):
            read(data)


@pytest.mark.parametrize("width", [4096, 16_384, 1, 4000])
def test_pixels_that_are_only_claimed_are_refused(width):
    with pytest.raises(ImageError, match="do not decode"):
        decoded(png(width, 1024))


@pytest.mark.parametrize(
    "kind",
    [b"zTXt", b"iTXt", b"tEXt", b"iCCP", b"eXIf", b"sPLT", b"acTL", b"fdAT", b"abCd", b"hIST"],
)
def test_a_text_in_a_png_is_not_unpacked(kind, monkeypatch):
    text = chunk(kind, b"k\0\0" + zlib.compress(b"\0" * 10**6, 9)) * 100
    whole = png(4, 4, text, data=(b"\0" + b"x" * 12) * 4)
    read, lengths = cv2.imdecode, []
    monkeypatch.setattr(
        cv2, "imdecode", lambda data, flags: lengths.append(len(data)) or read(data, flags)
    )
    tracemalloc.start()
    assert decoded_size(whole) == (4, 4)
    assert decoded(whole).shape == (4, 4, 3)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()
    assert lengths[0] < 100


def test_a_png_of_chunks_without_end_is_refused():
    with pytest.raises(ImageError, match="at most 65536 chunks"):
        decoded(png(4, 4, chunk(b"abCd", b"") * 70_000))


def test_a_jpeg_of_scans_without_end_is_refused():
    data = saved("JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert decoded(data).shape == (48, 64, 3)
    with pytest.raises(ImageError, match="at most 100 scans"):
        decoded(data[:-2] + scan * 200 + data[-2:])


@pytest.mark.parametrize("shape", [(1, 65_501, 3), (65_501, 1, 3), (2, 100_000, 3)])
def test_an_image_too_long_for_jpeg_travels_as_png(shape):
    image = np.full(shape, 7, np.uint8)
    np.testing.assert_array_equal(decoded(encoded(image, 90)), image)
