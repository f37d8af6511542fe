# SPDX-License-Identifier: Apache-2.0

"""camera_info as drivers send it: regions of interest, binning, lenses, rectified images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from ros_tools import context, start
from sensor_msgs.msg import CameraInfo

from stvg_ros.depth import Depth, Intrinsics, position_m
from stvg_ros.errors import ImageError
from stvg_ros.node.image_conversions import intrinsics_of, lens_is_known

__all__ = ["context", "start"]  # fixtures
POINT = (0.5, 0.2, 2.0)
K = np.array([[900.0, 0, 640.0], [0, 900.0, 360.0], [0, 0, 1.0]])


def info_of(roi=(0, 0, 0, 0), model="", d=(), size=(1280, 720)):
    info = CameraInfo(width=size[0], height=size[1], k=K.ravel(), distortion_model=model, d=d)
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = roi
    return info


def seen_at(model="", d=(), point=POINT):
    """The pixel of the full image that shows the point, by OpenCV."""
    points, zero = np.array([[point]]), np.zeros(3)
    if model == "equidistant":
        return cv2.fisheye.projectPoints(points, zero, zero, K, np.array(d))[0].ravel()
    return cv2.projectPoints(points, zero, zero, K, np.array(d or [0.0] * 4))[0].ravel()


def place(eye, u, v, size, z=POINT[2]):
    depth = Depth(np.full((size[1] // 4, size[0] // 4), z, np.float32), eye)
    return position_m((u - 19.5, v - 39.5, u + 20.5, v + 40.5), depth, size)


# Region of interest (left, top, width, height), then the size of the image that is sent.
REGIONS = [
    ((0, 0, 0, 0), (1280, 720)),
    ((0, 0, 0, 0), (640, 360)),
    ((0, 0, 0, 0), (320, 180)),
    ((0, 0, 1280, 720), (1280, 720)),
    ((320, 180, 640, 360), (640, 360)),
    ((320, 180, 640, 360), (320, 180)),
    ((320, 180, 640, 360), (160, 90)),
    ((640, 0, 640, 720), (640, 720)),
    ((0, 360, 1280, 360), (1280, 360)),
    ((700, 300, 300, 300), (300, 300)),
    ((700, 300, 300, 300), (150, 150)),
    ((1, 1, 1279, 719), (1279, 719)),
    ((640, 360, 0, 0), (1280, 720)),  # a region without size, and the full image
    ((320, 180, 640, 360), (1280, 720)),  # the full image all the same
]


@pytest.mark.parametrize(("roi", "size"), REGIONS)
def test_a_part_of_the_sensor(roi, size):
    eye = intrinsics_of(info_of(roi), *size)
    u, v = seen_at()
    left, top, columns, rows = roi if roi[2] and size != (1280, 720) else (0, 0, 1280, 720)
    u, v = (u - left + 0.5) * size[0] / columns - 0.5, (v - top + 0.5) * size[1] / rows - 0.5
    assert place(eye, u, v, size) == pytest.approx(POINT, abs=1e-6)


def test_a_region_beyond_the_calibrated_image_moves_nothing():
    eye = intrinsics_of(info_of((320, 180, 1280, 720)), 1280, 720)
    assert eye == intrinsics_of(info_of(), 1280, 720)


LENSES = [
    ("plumb_bob", (-0.3, 0.1, 0.001, -0.0005, -0.02)),
    ("plumb_bob", (-0.05, 0.0, 0.0, 0.0, 0.0)),
    ("plumb_bob", (0.2, -0.5, 0.0, 0.0, 0.3)),
    ("plumb_bob", (0.0, 0.0, 0.01, 0.01)),
    ("plumb_bob", (-0.4,)),
    ("Plumb_Bob", (-0.3, 0.1, 0.0)),
    ("", (-0.3, 0.1, 0.0, 0.0, 0.0)),
    ("rational_polynomial", (0.5, 0.1, 0.0, 0.0, 0.01, 0.8, 0.2, 0.02)),
    ("rational_polynomial", (5.4, 2.9, 0.0001, -0.00008, 0.12, 5.7, 4.4, 0.65)),
    ("rational_polynomial", (-0.3, 0.1, 0.0, 0.0, 0.0, 0.0)),
    ("thin_prism", (0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.001, 0.0, 0.002, 0.0)),
    ("equidistant", (-0.02, 0.01, -0.005, 0.001)),
    ("equidistant", (0.1, 0.0, 0.0, 0.0)),
    ("equidistant", (-0.05,)),
]


@pytest.mark.parametrize("point", [POINT, (-1.0, -0.5, 2.0), (0.0, 0.0, 3.0), (1.2, 0.6, 3.0)])
@pytest.mark.parametrize(("model", "d"), LENSES)
def test_a_lens_bends_the_ray(model, d, point):
    count = 4 if model == "equidistant" else 8
    full = (*d, *(0.0,) * (count - len(d))) if len(d) < count else d
    u, v = seen_at(model, full, point)
    eye = intrinsics_of(info_of(model=model, d=d), 1280, 720)
    found = place(eye, u, v, (1280, 720), point[2])
    before = place(intrinsics_of(info_of(), 1280, 720), u, v, (1280, 720), point[2])
    assert found == pytest.approx(point, abs=2e-4)
    off_m = np.hypot(before[0] - point[0], before[1] - point[1])
    assert off_m > 2e-4 or point[:2] == (0.0, 0.0)  # it was wrong without the lens


def test_a_lens_and_a_region_together():
    model, d = LENSES[0]
    u, v = seen_at(model, d)
    eye = intrinsics_of(info_of((320, 180, 640, 360), model, d), 320, 180)
    u, v = (u - 320 + 0.5) / 2 - 0.5, (v - 180 + 0.5) / 2 - 0.5
    assert place(eye, u, v, (320, 180)) == pytest.approx(POINT, abs=2e-4)


@pytest.mark.parametrize("d", [
    (), (0.0,), (0.0,) * 4, (0.0,) * 5, (0.0,) * 8, (0.0,) * 14, (0.0,) * 30, (-0.0,) * 5,
    (0,) * 5, (0.0, -0.0),
])  # fmt: skip
def test_no_distortion_of_any_length_and_model(d):
    for model in ("plumb_bob", "equidistant", "", "unheard_of", "none"):
        info = info_of(model=model, d=d)
        assert lens_is_known(info)
        assert intrinsics_of(info, 1280, 720) == Intrinsics(900.0, 900.0, 640.0, 360.0)


@pytest.mark.parametrize(("model", "d"), [
    ("plumb_bob", (float("nan"), 0, 0, 0, 0)), ("plumb_bob", (float("inf"),)),
    ("plumb_bob", (0.1,) * 15), ("rational_polynomial", (0.1,) * 20), ("equidistant", (0.1,) * 5),
    ("equidistant", (float("nan"),) * 4), ("fisheye", (0.1,) * 8), ("", (0.1,) * 100),
    ("radtan", (1.0, float("-inf"))), ("rational_polynomial", (float("nan"),) * 8),
])  # fmt: skip
def test_impossible_lenses_are_refused(model, d):
    with pytest.raises(ImageError, match="camera_info: Intrinsics"):
        intrinsics_of(info_of(model=model, d=d), 1280, 720)


@pytest.mark.parametrize("model", [
    "omni", "mei", "ds", "eucm", "fov", "division", "cylindrical", "x" * 1000, "plumb bob", "?",
])  # fmt: skip
def test_an_unknown_lens_is_named_and_not_corrected(model):
    info = info_of(model=model, d=(0.1,) * 4)
    assert not lens_is_known(info)
    assert intrinsics_of(info, 1280, 720) == Intrinsics(900.0, 900.0, 640.0, 360.0)


def test_where_the_lens_model_ends_there_is_no_position():
    eye = intrinsics_of(info_of(model="plumb_bob", d=(-0.5, 0.0, 0.0, 0.0, 0.0)), 1280, 720)
    assert place(eye, 1270.0, 710.0, (1280, 720)) is None
    assert place(eye, 700.0, 400.0, (1280, 720)) is not None


def test_a_rectified_image_belongs_to_p():
    info = info_of(model="plumb_bob", d=(-0.3, 0.1, 0.0, 0.0, 0.0))
    info.p = [800.0, 0, 630.0, 0, 0, 810.0, 350.0, 0, 0, 0, 1.0, 0]
    eye = intrinsics_of(info, 1280, 720, rectified=True)
    assert eye == Intrinsics(800.0, 810.0, 630.0, 350.0)
    info.p = [0.0] * 12
    assert intrinsics_of(info, 1280, 720, rectified=True) == Intrinsics(900.0, 900.0, 640.0, 360.0)


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(("topic", "rectified"), [
    ("/camera/image_raw", False), ("/camera/image_rect", True), ("/image_rect_color", True),
    ("/camera/rect/image", True), ("/rectified/image/compressed", True), ("/direct/image", False),
    ("/rectangle/image", False), ("/cam/image_rect/compressed", True), ("/correct", False),
    ("/zed/rgb/image_rect_color", True), ("/image", False),
])  # fmt: skip
def test_rectified_images_are_known_by_their_topic(topic, rectified):
    from rclpy.node import Node

    from stvg_ros.config import Config
    from stvg_ros.node.depth_feed import DepthFeed

    arguments = ["--ros-args", "-r", f"~/image:={topic}"]
    node = Node("remapped", cli_args=arguments)
    assert DepthFeed(node, "~/", Config(), None)._rectified is rectified
    node.destroy_node()
