"""Messages to frames and back, for every usual encoding."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image

from stvg_ros import msg
from stvg_ros.errors import ImageError
from stvg_ros.node.conversions import query_of, stamp_ns, time_message
from stvg_ros.node.image_conversions import compressed_frame, image_frame, image_message

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


@pytest.mark.parametrize("encoding", ["mono8", "mono16", "yuv422_yuy2", "bayer_rggb8"])
def test_other_encodings_become_three_channels(encoding):
    depth = {"mono8": 1, "mono16": 2, "yuv422_yuy2": 2, "bayer_rggb8": 1}[encoding]
    frame = image_frame(message(np.full((4, 6 * depth), 128, np.uint8), encoding), 640)
    assert frame.image.shape == (4, 6, 3)
    assert abs(int(frame.image.mean()) - 128) < 40


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
