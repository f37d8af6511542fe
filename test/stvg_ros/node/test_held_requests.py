# SPDX-License-Identifier: Apache-2.0

"""What must hold on a robot: cameras that die, change and jump, and parameters set at any time."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter
from ros_tools import ToyGrounder, call, context, start
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String

from stvg_ros import msg
from stvg_ros.node.conversions import time_message

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")

CAMERA = """
import sys, time
import rclpy
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("camera")
images = node.create_publisher(Image, "/grounding/image", 10)
second = int(sys.argv[1])
message = Image(height=4, width=4, encoding="mono8", step=4, data=bytes(16))
while True:
    second += 1
    message.header.stamp.sec = second
    images.publish(message)
    time.sleep(0.05)
"""


def camera(begin_s: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-P", "-c", CAMERA, str(begin_s)]
                            if sys.version_info >= (3, 11)
                            else [sys.executable, "-c", CAMERA, str(begin_s)])  # fmt: skip


def stored(s):
    return s.node.window.counts["stored"] + s.node.window.counts["restarted"]


def test_a_camera_that_is_killed_and_comes_back(start):
    s = start(connect=False, **{"window.duration_s": 3600.0})
    # The second life goes on in time, the third begins anew, as after a reboot without a clock.
    for begin_s in (1000, 5000, 10):
        before = stored(s)
        process = camera(begin_s)
        s.until(lambda before=before: stored(s) > before + 2, 60)
        process.kill()
        process.wait()
        tube = s.say("the person")
        assert tube.status == msg.Tube.FOUND
        assert begin_s < tube.header.stamp.sec < begin_s + 1000
    assert s.node.window.counts["restarted"] == 1
    assert s.image_errors == 0


def test_another_resolution_in_mid_stream(start):
    s = start()
    s.show(1.0, 1.1)
    s.show(1.2, 1.3, 1.4, width=32, height=24)
    tube = s.say("the person")
    assert (tube.image_width, tube.image_height, len(tube.boxes)) == (32, 24, 3)
    s.show(1.5)
    assert s.say("the person").image_width == 64
    assert s.node.window.counts["restarted"] == 2


def test_a_grounding_under_way_keeps_its_images_when_the_window_is_cleared(start):
    s = start()
    s.show(1.0, 1.1)
    s.toy.go.clear()
    s.client.commands.publish(String(data="the person"))
    s.until(s.toy.started.is_set)
    s.show(2.0, width=32, height=24)
    s.toy.go.set()
    s.until(lambda: s.client.tubes)
    assert (s.client.tubes[0].image_width, len(s.client.tubes[0].boxes)) == (64, 2)


class Tunable(ToyGrounder):
    def __init__(self):
        super().__init__()
        self.configs = []

    def reconfigure(self, config):
        self.configs.append(config)


def set_together(s, **values):
    request = SetParametersAtomically.Request()
    request.parameters = [
        Parameter(name, value=value).to_parameter_msg() for name, value in values.items()
    ]
    return call(s, SetParametersAtomically, "set_parameters_atomically", request).result


def test_parameters_set_while_a_grounding_runs(start):
    toy = Tunable()
    s = start(lambda config: toy)
    toy.configs.clear()  # that of its activation
    s.show(1.0)
    toy.go.clear()
    s.client.commands.publish(String(data="the person"))
    s.until(toy.started.is_set)
    for number in range(1, 21):
        both = {"span.top_k": number, "window.duration_s": float(number)}
        assert set_together(s, **both).successful
        refused = set_together(s, **{"span.top_k": 3, "span.method": "guess"})
        assert not refused.successful
        assert "adaptive" in refused.reason
    fixed = set_together(s, **{"model.path": "other"})
    assert not fixed.successful
    assert "clean up the node" in fixed.reason
    assert [config.span.top_k for config in toy.configs] == list(range(1, 21))
    assert s.node.get_parameter("span.top_k").value == 20
    toy.go.set()
    s.until(lambda: s.client.tubes)
    assert s.client.tubes[0].status == msg.Tube.FOUND


def test_simulated_time_that_has_not_come_yet_and_jumps_back(start):
    s = start(use_sim_time=True, **{"diagnostics.period_s": 0.05})
    clocks = s.client.create_publisher(Clock, "/clock", 10)
    s.until(clocks.get_subscription_count)
    heard = []
    s.client.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
    s.until(lambda: heard)
    assert heard[-1].header.stamp.sec == 0  # active without any time
    for second in (100, 5):
        clocks.publish(Clock(clock=time_message(second * 10**9)))
        s.show(float(second))
        tube = s.say("the person")
        assert (tube.header.stamp.sec, len(tube.boxes)) == (second, 1)
        s.until(lambda second=second: heard[-1].header.stamp.sec == second)
    assert s.node.window.counts["restarted"] == 1


def test_a_bag_that_loops_many_times(start):
    s = start()
    for _ in range(5):
        s.show(*(10.0 + 0.5 * i for i in range(4)))
        assert len(s.say("the person").boxes) == 4
    assert s.node.window.counts["restarted"] == 4


def test_images_of_the_same_moment_or_late_change_nothing(start):
    s = start()
    s.show(2.0, 2.0, 1.9, 2.1)
    assert s.node.window.counts["late"] == 2
    assert [box.stamp.nanosec for box in s.say("the person").boxes] == [0, 100_000_000]
