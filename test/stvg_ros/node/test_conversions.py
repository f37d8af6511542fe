# SPDX-License-Identifier: Apache-2.0

"""Messages to frames and back, for every usual encoding."""

from __future__ import annotations

import sys
import types

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from stvg_ros import msg
from stvg_ros.depth import Intrinsics
from stvg_ros.errors import ImageError
from stvg_ros.node.conversions import query_of, stamp_ns, time_message, tube_message
from stvg_ros.node.image_conversions import (
    compressed_frame,
    depth_metres,
    image_frame,
    image_message,
    intrinsics_of,
)
from stvg_ros.types import Query, Status, Tube

RED = np.tile(np.array([200, 30, 10], np.uint8), (4, 6, 1))


def message(data: np.ndarray, encoding: str, padding: int = 0) -> Image:
    rows = np.ascontiguousarray(data).view(np.uint8).reshape(data.shape[0], -1)
    padded = np.pad(rows, ((0, 0), (0, padding)))
    result = Image(height=4, width=6, encoding=encoding, step=padded.shape[1])
    result.data.frombytes(padded.tobytes())
    return result


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "code"),
    [
        ("rgb8", None),
        ("bgr8", cv2.COLOR_RGB2BGR),
        ("rgba8", cv2.COLOR_RGB2RGBA),
        ("bgra8", cv2.COLOR_RGB2BGRA),
    ],
)
def test_colours_arrive_as_rgb_whatever_the_encoding(encoding, code, padding):
    data = RED if code is None else cv2.cvtColor(RED, code)
    frame = image_frame(message(data, encoding, padding), 640)
    assert np.array_equal(frame.image, RED)


@pytest.mark.parametrize(
    ("encoding", "kind", "bigendian"),
    [("mono8", "u1", 0), ("mono16", "<u2", 0), ("mono16", ">u2", 1)],
)
@pytest.mark.parametrize("padding", [0, 4])
def test_grey_becomes_three_equal_channels(encoding, kind, bigendian, padding):
    grey = np.arange(24).reshape(4, 6) * 10
    data = (grey * (257 if encoding == "mono16" else 1)).astype(kind)
    source = message(data, encoding, padding)
    source.is_bigendian = bigendian
    frame = image_frame(source, 640)
    assert np.array_equal(frame.image, np.repeat(grey[..., None], 3, 2))


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize(
    ("encoding", "pair"),
    # Two pixels of pure red, BT.601: Y 81, U 90, V 240.
    [
        ("yuv422", (90, 81, 240, 81)),
        ("uyvy", (90, 81, 240, 81)),
        ("UYVY", (90, 81, 240, 81)),
        ("yuv422_yuy2", (81, 90, 81, 240)),
        ("yuyv", (81, 90, 81, 240)),
    ],
)
def test_yuv422_becomes_rgb(encoding, pair, padding):
    frame = image_frame(message(np.tile(np.array(pair, np.uint8), (4, 3)), encoding, padding), 640)
    assert frame.image.shape == (4, 6, 3)
    assert np.abs(frame.image.astype(int) - (254, 0, 0)).max() <= 2


@pytest.mark.parametrize("depth", ["8", "16"])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("padding", [0, 2])
def test_bayer_becomes_rgb(pattern, depth, padding):
    values = dict(zip("rgb", (200, 30, 10), strict=True))
    cell = np.array([[values[c] for c in pattern[:2]], [values[c] for c in pattern[2:]]])
    data = np.tile(cell, (2, 3)) * (257 if depth == "16" else 1)
    source = message(data.astype(f"<u{int(depth) // 8}"), f"bayer_{pattern}{depth}", padding)
    frame = image_frame(source, 640)
    assert np.abs(frame.image.astype(int) - (200, 30, 10)).max() <= 1


@pytest.mark.parametrize("encoding", ["rgb16", "bgra16"])
def test_colours_of_16_bits_become_8(encoding):
    data = RED if encoding == "rgb16" else cv2.cvtColor(RED, cv2.COLOR_RGB2BGRA)
    frame = image_frame(message(data.astype("<u2") * 257, encoding), 640)
    assert np.abs(frame.image.astype(int) - RED).max() <= 1


@pytest.mark.parametrize("encoding", ["8UC3", "nv21", "32FC1", ""])
def test_what_is_no_colour_image_is_refused_with_what_is(encoding):
    with pytest.raises(ImageError, match=f"'{encoding}' is not known; expected rgb8, bgr8"):
        image_frame(message(RED, encoding), 640)


def test_depth_is_metres_whatever_the_encoding():
    millimetres = np.array([[1000, 0, 2500, 1, 65535, 7]] * 4)
    metres = np.array([[1.0, np.nan, 2.5, 0.001, 65.535, 0.007]] * 4, np.float32)
    for order, bigendian in (("<", 0), (">", 1)):
        for data, encoding in ((millimetres.astype(order + "u2"), "16UC1"),
                               (metres.astype(order + "f4"), "32FC1")):  # fmt: skip
            source = message(data, encoding, padding=8)
            source.is_bigendian = bigendian
            assert np.allclose(depth_metres(source, 640), metres, equal_nan=True)
    for nothing in (np.inf, -1.0, 0.0):
        empty = message(np.full((4, 6), nothing, np.float32), "32FC1")
        assert np.isnan(depth_metres(empty, 640)).all()
    assert depth_metres(message(millimetres.astype("<u2"), "16UC1"), 3).shape == (2, 3)
    with pytest.raises(ImageError, match="16UC1 .millimetres. or 32FC1 .metres., got 'rgb8'"):
        depth_metres(message(RED, "rgb8"), 640)


def test_the_camera_matrix_fits_the_image():
    info = CameraInfo(width=640, height=480, k=[500.0, 0.0, 319.5, 0.0, 500.0, 239.5, 0, 0, 1.0])
    assert intrinsics_of(info, 640, 480) == Intrinsics(500.0, 500.0, 319.5, 239.5)
    assert intrinsics_of(info, 320, 240) == Intrinsics(250.0, 250.0, 159.5, 119.5)
    with pytest.raises(ImageError, match="calibrated"):
        intrinsics_of(CameraInfo(width=640, height=480), 640, 480)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_compressed_images_decode_to_rgb(kind):
    data = cv2.imencode(f".{kind}", cv2.cvtColor(RED, cv2.COLOR_RGB2BGR))[1].tobytes()
    frame = compressed_frame(CompressedImage(format=kind, data=data), 3)
    assert frame.image.shape == (2, 3, 3)
    assert (frame.source_width_px, frame.source_height_px) == (6, 4)
    assert np.abs(frame.image[0, 0].astype(int) - RED[0, 0]).max() < 12


def test_a_frame_does_not_share_memory_with_its_message():
    source = message(RED, "rgb8")
    frame = image_frame(source, 640)
    source.data[0] = 7
    assert frame.image[0, 0, 0] == 200


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"encoding": "nonsense"}, "'nonsense'"),
        ({"step": 3}, "18 bytes for 6 pixels"),
        ({"height": 5}, "step x height = 90 bytes, got 72"),
        ({"width": 0}, "got 0 x 4"),
    ],
)
def test_a_damaged_image_names_value_and_expectation(change, text):
    bad = message(RED, "rgb8")
    for name, value in change.items():
        setattr(bad, name, value)
    with pytest.raises(ImageError, match=text):
        image_frame(bad, 640)


def test_bytes_that_do_not_decode_are_refused():
    for data in (b"", b"no image"):
        with pytest.raises(ImageError, match=f"{len(data)} bytes"):
            compressed_frame(CompressedImage(format="jpeg", data=data), 640)


def test_stamps_are_exact_nanoseconds_and_checked():
    assert stamp_ns(time_message(1_700_000_000_123_456_789)) == 1_700_000_000_123_456_789
    for bad in (Time(sec=-1), Time(nanosec=1_000_000_000)):
        with pytest.raises(ImageError, match="nanosec"):
            stamp_ns(bad)


def test_an_image_survives_the_round_trip():
    back = image_frame(image_message(RED, 5, "camera"), 640)
    assert np.array_equal(back.image, RED)
    assert (back.stamp_ns, back.frame_id) == (5, "camera")


def test_zero_times_in_a_query_mean_the_whole_buffer():
    query = query_of(msg.Query(text=" find  him "), "q")
    assert (query.text, query.start_ns, query.end_ns, query.deadline_s) == (
        "find him",
        None,
        None,
        None,
    )
    assert query.max_targets == 1
    given = msg.Query(text="x", window_start=time_message(7), max_targets=3)
    given.deadline.nanosec = 500_000_000
    query = query_of(given, "q")
    assert (query.start_ns, query.deadline_s, query.max_targets) == (7, 0.5, 3)


@pytest.mark.parametrize("encoding", [
    "rgb16", "bgr16", "rgba16", "bgra16", "mono16", "RGB16", "BGR16", "RGBA16", "BGRA16", "MONO16",
])  # fmt: skip
def test_two_byte_colours_in_either_order(encoding):
    channels = {"m": 1, "r": 3, "b": 3}[encoding[0].lower()] + ("a" in encoding.lower())
    rng = np.random.default_rng(0)
    values = rng.integers(0, 65536, (4, 6 * channels)).astype("<u2")
    frames = []
    for big, data in ((False, values), (True, values.astype(">u2"))):
        source = Image(height=4, width=6, encoding=encoding, step=12 * channels, is_bigendian=big)
        source.data.frombytes(data.tobytes())
        frames.append(image_frame(source, 640).image)
    assert (frames[0] == frames[1]).all()
    assert frames[0].std() > 10


@pytest.mark.parametrize("fails", [False, True])
def test_other_encodings_go_through_cv_bridge_where_it_is_installed(monkeypatch, fails):
    class CvBridge:
        def imgmsg_to_cv2(self, message, encoding):
            assert (message.encoding, encoding) == ("nv24", "rgb8")
            if fails:
                raise RuntimeError("no colours of nv24")
            return np.full((4, 6, 3), 7, np.uint8)

    module = types.ModuleType("cv_bridge")
    module.CvBridge = CvBridge
    monkeypatch.setitem(sys.modules, "cv_bridge", module)
    source = Image(height=4, width=6, encoding="nv24", step=6)
    if fails:
        with pytest.raises(ImageError, match="'nv24' is not known"):
            image_frame(source, 640)
    else:
        assert image_frame(source, 3).image.tolist() == [[[7, 7, 7]] * 3] * 2


def test_a_tube_says_which_evidence_decided() -> None:
    decided = "body 'in red' +4.0; not measured: bored"
    found = tube_message(
        Tube(Query("who is bored"), Status.FOUND, decided=decided, calibrated=False)
    )
    assert (found.decided, found.calibrated) == (decided, False)
