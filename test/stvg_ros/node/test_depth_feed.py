# SPDX-License-Identifier: Apache-2.0

"""Depth in, places in space out: over the middleware, with and without another frame."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from geometry_msgs.msg import PoseStamped, TransformStamped
from rclpy.parameter import Parameter
from ros_tools import context, start
from sensor_msgs.msg import CameraInfo, Image

from stvg_ros import msg
from stvg_ros.config import Config
from stvg_ros.depth import Depth, Intrinsics, RigidTransform
from stvg_ros.node.conversions import time_message, tube_message
from stvg_ros.node.depth_gate import DepthGate
from stvg_ros.node.positions import Locator, located, target_pose, transform_history_s
from stvg_ros.node.settings import DepthConfig
from stvg_ros.types import Clip, Frame, Grounding, Query, Status, Tube, TubeBox
from stvg_ros.window import Window, WindowConfig

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")


def frame(stamp_ns, metres=None):
    depth = None
    if metres is not None:
        depth = Depth(np.full((4, 8), metres, np.float32), Intrinsics(100.0, 100.0, 3.5, 1.5))
    return Frame(stamp_ns, np.zeros((4, 8, 3), np.uint8), 8, 4, "camera", depth)


def tube(*stamps_ns):
    boxes = tuple(TubeBox(ns, (0.0, 0.0, 8.0, 4.0), 1.0) for ns in stamps_ns)
    return Grounding((Tube(Query("x"), Status.FOUND, boxes=boxes, frame_id="camera"),))


def ahead(frame_id, stamp_ns):
    """Known up to 2 ns: the map is 10 m behind the camera."""
    return RigidTransform((0.0, 0.0, 10.0), (0.0, 0.0, 0.0, 1.0)) if stamp_ns <= 2 else None


CLIP = Clip((frame(1, 2.0), frame(2, 3.0), frame(3, 4.0), frame(4)))


def test_boxes_with_depth_get_their_place_at_their_own_stamp():
    boxes = located(tube(1, 2, 3, 4, 5), CLIP, "", ahead).best.boxes
    assert [box.position_m for box in boxes] == [(0, 0, 2.0), (0, 0, 3.0), (0, 0, 4.0), None, None]
    assert {box.target_position_m for box in boxes} == {None}


def test_another_frame_where_its_transform_is_known():
    best = located(tube(1, 2, 3, 4), CLIP, "map", ahead).best
    assert best.target_frame == "map"
    assert [box.target_position_m for box in best.boxes] == [(0, 0, 12.0), (0, 0, 13.0), None, None]
    message = tube_message(best)
    assert [box.has_target_position for box in message.boxes] == [True, True, False, False]
    assert (message.boxes[1].target_position.z, message.boxes[1].position.z) == (13.0, 3.0)
    assert message.target_frame == "map"


def test_without_depth_nothing_changes():
    plain = tube(4)
    assert located(plain, Clip((frame(4),)), "map", ahead) is plain
    assert target_pose(plain.best) is None


def test_the_pose_is_the_last_known_place():
    pose = target_pose(located(tube(1, 2, 3, 4), CLIP, "map", ahead).best)
    assert (pose.header.frame_id, pose.header.stamp.nanosec) == ("camera", 3)
    assert (pose.pose.position.z, pose.pose.orientation.w) == (4.0, 1.0)
    pose = target_pose(located(tube(1, 2), CLIP, "map", ahead).best)
    assert (pose.header.frame_id, pose.pose.position.z) == ("map", 13.0)


class Rig:
    """A camera with depth, beside the client."""

    def __init__(self, s):
        self.s = s
        self.poses = []
        self.depths = s.client.create_publisher(Image, "/grounding/depth", 10)
        self.infos = s.client.create_publisher(CameraInfo, "/grounding/camera_info", 10)
        s.client.create_subscription(PoseStamped, "/grounding/target_pose", self.poses.append, 10)
        for publisher in (self.depths, self.infos):
            s.until(publisher.get_subscription_count)

    def show_depth(self, stamp_s, metres, encoding="16UC1"):
        values = np.full((48, 64), metres * 1000, "<u2")
        if encoding == "32FC1":
            values = np.full((48, 64), metres, "<f4")
        depth = Image(height=48, width=64, encoding=encoding, step=values.nbytes // 48)
        depth.header.stamp = time_message(round(stamp_s * 1e9))
        depth.data.frombytes(values.tobytes())
        info = CameraInfo(width=64, height=48, k=[50.0, 0, 31.5, 0, 50.0, 23.5, 0, 0, 1.0])
        info.header.stamp = depth.header.stamp
        self.depths.publish(depth)
        self.infos.publish(info)


def test_depth_over_the_middleware(start):
    s = start(**{"depth.enabled": True, "depth.target_frame": "map"})  # tf2 is not on the wheels
    rig = Rig(s)
    feed = next(iter(s.node.cameras)).depth
    s.show(1.0, 1.1)
    rig.show_depth(1.02, 2.0)
    s.until(lambda: feed.attached == 1)
    rig.show_depth(1.11, 3.0, "32FC1")
    s.until(lambda: feed.attached == 2)
    s.show(1.2)  # its depth does not come
    tube = s.say("the person")
    assert [box.has_position for box in tube.boxes] == [True, True, False]
    assert [round(box.position.z, 6) for box in tube.boxes] == [2.0, 3.0, 0.0]
    # The toy's box is from a quarter to a half of the image: its centre, 24 x 18.
    assert tube.boxes[0].position.x == pytest.approx((23.5 - 31.5) / 50 * 2)
    s.until(lambda: rig.poses)
    assert (rig.poses[0].header.frame_id, rig.poses[0].pose.position.z) == ("camera", 3.0)
    assert s.node.window.fill[2] == 3 * 64 * 48 * 3 + 2 * 64 * 48 * 4


def test_bad_depth_costs_the_position_and_nothing_else(start):
    s = start(**{"depth.enabled": True})
    rig = Rig(s)
    feed = next(iter(s.node.cameras)).depth
    s.show(1.0)
    rig.show_depth(1.0, 2.0, "8UC1")
    s.until(lambda: feed.errors == 1)
    tube = s.say("the person")
    assert tube.status == msg.Tube.FOUND
    assert not tube.boxes[0].has_position


def test_depth_after_a_bag_loop_belongs_to_the_new_images(start):
    s = start(**{"depth.enabled": True, "depth.queue_size": 1})
    rig = Rig(s)
    feed = next(iter(s.node.cameras)).depth
    s.show(100.0)
    rig.show_depth(100.0, 2.0)
    s.until(lambda: feed.attached == 1)
    s.show(101.0, 5.0)
    rig.show_depth(5.0, 7.0)
    s.until(lambda: feed.attached == 2)
    assert s.say("the person").boxes[0].position.z == 7.0


class Tf2(ModuleType):
    """What the node uses of tf2_ros, with one transform at one moment."""

    class TransformException(Exception):  # noqa: N818
        pass

    class Buffer:
        def __init__(self, cache_time):
            self.cache_s = cache_time.nanoseconds / 1e9
            self.cleared = 0

        def clear(self):
            self.cleared += 1

        def lookup_transform(self, target, source, time):
            assert (target, source) == ("map", "camera")
            if time.nanoseconds != 1:
                raise Tf2.TransformException("extrapolation into the future")
            result = TransformStamped()
            result.transform.translation.z = 10.0
            result.transform.rotation.w = 1.0
            return result

    class TransformListener:
        gone = False

        def __init__(self, buffer, node):
            Tf2.last, self.buffer = self, buffer

        def unregister(self):
            self.gone = True


def test_transforms_come_from_tf2_at_the_images_stamp(start, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_ros", Tf2("tf2_ros"))
    s = start()
    locator = Locator(s.node, DepthConfig(enabled=True, target_frame="map"))
    boxes = locator.finish(tube(1, 2), CLIP).best.boxes
    assert [box.target_position_m for box in boxes] == [(0, 0, 12.0), None]
    locator.close()
    assert Tf2.last.gone


@pytest.mark.parametrize(("window_s", "deadline_s", "least_s"), [
    (10.0, 0.0, 130.0), (25.0, 0.0, 145.0), (0.1, 0.0, 60.0), (25.0, 5.0, 60.0), (60.0, 5.0, 65.0),
    (3600.0, 0.0, 3720.0), (3600.0, 3600.0, 7200.0), (120.0, 0.0, 240.0), (1.0, 60.0, 61.0),
    (90.0, 30.0, 120.0),
])  # fmt: skip
def test_transforms_are_kept_for_the_window_and_its_answer(window_s, deadline_s, least_s):
    values = {"window.duration_s": window_s, "command.deadline_s": deadline_s}
    assert transform_history_s(Config.from_flat(values)) >= least_s


def test_the_buffer_follows_the_window_and_a_jump_back_of_the_stamps(start, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_ros", Tf2("tf2_ros"))
    s = start(**{"depth.enabled": True, "depth.target_frame": "map", "window.duration_s": 25})
    first = Tf2.last
    assert first.buffer.cache_s >= 25 + 60
    s.show(100.0, 100.1, 100.05)  # one that is late is no jump
    assert first.buffer.cleared == 0
    s.show(5.0)
    assert first.buffer.cleared == 1
    s.show(5.1, 6.0, 2.0)
    assert first.buffer.cleared == 2
    s.show(3.0, width=32)  # another size clears the window, and is no jump
    assert first.buffer.cleared == 2
    s.node.set_parameters([Parameter("window.duration_s", value=20.0)])
    assert Tf2.last is first
    s.node.set_parameters([Parameter("window.duration_s", value=600.0)])
    assert first.gone
    assert Tf2.last.buffer.cache_s >= 660


# Which camera has an image at which second, and how often the transforms are cleared.
LOOPS = {
    "one camera": ("f1 f2 f1 f2", 1),
    "two cameras, the first jumps first": ("f1 r1 f9 r9 f1 r1 f2 r2", 1),
    "two cameras, the second jumps later": ("f1 r1 f9 r9 f1 f2 f3 r1 r2", 1),
    "three cameras": ("f1 r1 t1 f9 r9 t9 f1 r1 t1", 1),
    "an image of the old line after the jump": ("f1 r1 f9 r8 f1 r9 r1", 2),
    "two loops": ("f1 r1 f9 r9 f1 r1 f9 r9 f1 r1", 2),
    "only one of two jumps": ("f1 r1 f9 r9 f1 r9 f2 r9", 1),
    "cameras of other clocks": ("f1 r90 f2 r91 f3 r92", 0),
    "cameras of other clocks, looped": ("f1 r90 f5 r95 f1 r90", 1),
    "late by less than a jump": ("f9 r9 f8.6 r8.6 f9.1", 0),
    "no jump": ("f1 r1 f2 r2 f9 r9", 0),
}


@pytest.mark.parametrize("name", LOOPS)
def test_the_cameras_of_a_loop_clear_the_transforms_together(start, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "tf2_ros", Tf2("tf2_ros"))
    s = start()
    locator = Locator(s.node, DepthConfig(enabled=True, target_frame="map"))
    images, cleared = LOOPS[name]
    for each in images.split():
        locator.stored(each[0], frame(round(float(each[1:]) * 1e9)))
    assert Tf2.last.buffer.cleared == cleared
    locator.close()


def gate():
    window, passed = Window(WindowConfig(max_rate_hz=0.0)), []
    return window, passed, DepthGate(window, lambda f: passed.append((f.stamp_ns, bool(f.depth))))


def store(window, gate, *stamps_ms):
    for ms in stamps_ms:
        window.add(frame(ms * 1_000_000))
        gate.stored(frame(ms * 1_000_000))


def attach(window, gate, *stamps_ms):
    for ms in stamps_ms:
        window.attach(ms * 1_000_000, frame(0, 2.0).depth)
        gate.attached(ms * 1_000_000)


def test_images_without_a_depth_camera_do_not_wait():
    window, passed, gate_ = gate()
    store(window, gate_, 0, 100, 200)
    assert [ns // 1_000_000 for ns, _ in passed] == [0, 100, 200]


def test_while_depth_comes_each_image_waits_for_its_own():
    window, passed, gate_ = gate()
    store(window, gate_, 1000)
    attach(window, gate_, 1000)
    store(window, gate_, 1100, 1200, 1300)
    assert len(passed) == 1
    attach(window, gate_, 1100, 1300)
    assert [(ns // 1_000_000, depth) for ns, depth in passed[1:]] == [
        (1100, True), (1200, False), (1300, True),
    ]  # fmt: skip


def test_depth_that_came_first_lets_its_image_pass_at_once():
    window, passed, gate_ = gate()
    window.add(frame(5_000_000))
    attach(window, gate_, 5)
    gate_.stored(frame(5_000_000))
    assert passed == [(5_000_000, True)]


def test_depth_that_ends_costs_half_a_second_once():
    window, passed, gate_ = gate()
    store(window, gate_, 1000)
    attach(window, gate_, 1000)
    store(window, gate_, *range(1100, 2100, 100))
    assert [ns // 1_000_000 for ns, _ in passed] == [1000, *range(1100, 1600, 100)]
    store(window, gate_, 2100, 2200)
    assert [ns // 1_000_000 for ns, _ in passed] == list(range(1000, 2300, 100))


def test_a_restart_drops_what_waits():
    window, passed, gate_ = gate()
    store(window, gate_, 1000)
    attach(window, gate_, 1000)
    store(window, gate_, 1100)
    gate_.restart()
    store(window, gate_, 1200)
    assert [ns // 1_000_000 for ns, _ in passed] == [1000, 1200]
