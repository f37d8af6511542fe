# SPDX-License-Identifier: Apache-2.0

"""Images that claim much cost little; those that cameras and programs write are read."""

from __future__ import annotations

import io
import random
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
    more = 100 - data.count(b"\xff\xda")
    assert decoded(data[:-2] + scan * more + data[-2:]).shape == (48, 64, 3)
    for count in (more + 1, 200):
        with pytest.raises(ImageError, match="at most 100 scans"):
            decoded(data[:-2] + scan * count + data[-2:])


@pytest.mark.parametrize("marker", range(0xBF, 0xD1))
def test_the_size_of_a_jpeg_is_that_of_its_first_frame(marker):
    frame = jpeg(400, 300)[2:]
    frame = frame[:1] + bytes([marker]) + frame[2:]
    begins = 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)
    assert decoded_size(jpeg(4, 5, before=frame)) == ((400, 300) if begins else (4, 5))


@pytest.mark.parametrize("length", [0, 1, 2, 3, 7, 300])
def test_segments_before_the_frame_are_passed_by_their_length(length):
    segment = b"\xff\xe0" + struct.pack(">H", length) + b"\0" * max(0, length - 2)
    assert decoded_size(jpeg(4, 5, before=3 * segment)) == (4, 5)


def test_a_header_that_ends_within_the_size_has_none():
    assert decoded_size(png(0x404, 0x505)[:24]) == (0x404, 0x505)
    assert decoded_size(jpeg(0x404, 0x505)[:11]) == (0x404, 0x505)
    for data in (png(0x404, 0x505)[:23], jpeg(0x404, 0x505)[:10]):
        with pytest.raises(ImageError, match="of neither"):
            decoded_size(data)


@pytest.mark.parametrize("shape", [(1, 65_501, 3), (65_501, 1, 3), (2, 100_000, 3)])
def test_an_image_too_long_for_jpeg_travels_as_png(shape):
    image = np.full(shape, 7, np.uint8)
    np.testing.assert_array_equal(decoded(encoded(image, 90)), image)


@pytest.mark.parametrize("data", [saved("JPEG"), saved("JPEG", progressive=True), saved("PNG")])
def test_damaged_images_are_read_or_refused(data):
    draw = random.Random(9)
    refused = 0
    for _ in range(200):
        body = bytearray(data)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(body)) if draw.random() < 0.5 else draw.randrange(40)
            body[at] = draw.randrange(256)
        try:
            assert decoded(bytes(body)).dtype == np.uint8
        except ImageError:
            refused += 1
    assert refused > 10
