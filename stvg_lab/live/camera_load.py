# SPDX-License-Identifier: Apache-2.0

"""Measures the load of a 1080p camera at 30 Hz on the node, during continuous groundings.

python -m stvg_lab.live.camera_load [--seconds 10]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
import rclpy
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String

from stvg_ros.errors import ModelError
from stvg_ros.msg import Query, Tube
from stvg_ros.node.conversions import time_message
from stvg_ros.node.grounding_node import GroundingNode
from stvg_ros.node.image_conversions import image_message

WIDTH, HEIGHT, RATE_HZ = 1920, 1080, 30.0
_ACKNOWLEDGED = Duration(seconds=60)
QUIET_COMMANDS = 10


def camera(seconds: float) -> None:
    """Publishes random pixels at 30 Hz, in a separate process."""
    rclpy.init()
    node = rclpy.create_node("camera")
    publisher = node.create_publisher(Image, "/grounding/image", QoSProfile(depth=5))
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    message = image_message(pixels, 0, "camera")
    while not publisher.get_subscription_count():
        time.sleep(0.05)
    message.header.stamp = time_message(time.time_ns())
    publisher.publish(message)
    publisher.wait_for_all_acked(_ACKNOWLEDGED)  # the node receives from here on
    begin, sent = time.monotonic(), 0
    while sent < round(seconds * RATE_HZ):
        time.sleep(max(0.0, begin + sent / RATE_HZ - time.monotonic()))
        message.header.stamp = time_message(time.time_ns())
        publisher.publish(message)
        sent += 1
    elapsed_s = time.monotonic() - begin
    publisher.wait_for_all_acked(_ACKNOWLEDGED)  # the last images are still in transit
    sys.stdout.write(f"{sent} {elapsed_s}\n")
    rclpy.shutdown()


class Commander:
    """Sends one command after another and records the node's overhead over the grounder."""

    def __init__(self, executor: SingleThreadedExecutor) -> None:
        self._node = rclpy.create_node("commander")
        self._commands = self._node.create_publisher(Query, "/grounding/query", 10)
        self._node.create_subscription(Tube, "/grounding/tube", self._on_tube, 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._node.create_subscription(String, "/grounding/status", self._on_status, latched)
        self._sent: dict[str, float] = {}
        self.state = ""
        self.added_s: list[float] = []
        executor.add_node(self._node)

    def send(self) -> None:
        """Sends a command, unless the last one is unanswered."""
        if self.waiting:
            return
        query_id = f"bench-{len(self.added_s)}"
        self._sent[query_id] = time.perf_counter()
        self._commands.publish(Query(id=query_id, text="find the person in red who waves"))

    @property
    def waiting(self) -> bool:
        """Whether the last command is unanswered."""
        return bool(self._sent)

    def _on_status(self, message: String) -> None:
        self.state = message.data

    def _on_tube(self, tube: Tube) -> None:
        sent = self._sent.pop(tube.query_id, None)
        if sent is not None and tube.timings:
            own_s = sum(timing.duration_s for timing in tube.timings)
            self.added_s.append(time.perf_counter() - sent - own_s)


def started_camera(seconds: float) -> subprocess.Popen[str]:
    """The camera as a process of its own; without the current folder among its modules."""
    words = ["-P", "-m", "stvg_lab.live.camera_load", "--camera", "--seconds", str(seconds)]
    return subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)


def measure(seconds: float) -> str:
    """Runs node and camera and returns the figures as text."""
    rclpy.init()
    node = GroundingNode(
        parameter_overrides=[
            Parameter("window.max_rate_hz", value=0.0),
            Parameter("window.max_age_s", value=0.0),  # commands follow after the last image
            Parameter("image.qos", value="reliable"),
        ]
    )
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    commander = Commander(executor)
    while commander.state != "ready":  # a command before the model is loaded would fail
        if commander.state.startswith("failed"):
            raise ModelError(f"the node {commander.state}")
        executor.spin_once(timeout_sec=0.05)
    child = started_camera(seconds)
    while not node.window.fill[0]:  # a command without images would fail
        if child.poll() is not None:
            raise ModelError(f"none of {seconds * RATE_HZ:.0f} images arrived; try more --seconds")
        executor.spin_once(timeout_sec=0.05)
    due = time.monotonic() + 1.0
    while child.poll() is None:
        executor.spin_once(timeout_sec=0.05)
        if time.monotonic() > due:
            due += 1.0
            commander.send()
    busy_s, commander.added_s = commander.added_s, []
    end = time.monotonic() + 2 * seconds
    while True:
        if len(commander.added_s) < QUIET_COMMANDS and time.monotonic() < end:
            commander.send()
        elif not commander.waiting:
            break
        executor.spin_once(timeout_sec=0.05)
    times_ms = np.array(next(iter(node.cameras)).callback_times_s) * 1e3
    assert child.stdout is not None
    sent, elapsed_s = child.stdout.read().split()
    counts = node.window.counts
    node.close()
    executor.shutdown(timeout_sec=0.5)
    rclpy.shutdown()
    median, p95, worst = np.percentile(times_ms, [50, 95, 100])
    share = times_ms.sum() / 1e3 / float(elapsed_s)
    return (
        f"{WIDTH} x {HEIGHT} rgb8 from another process, {int(sent) / float(elapsed_s):.1f} Hz, "
        f"reliable, groundings running\n"
        f"published {sent}, received {len(times_ms)}, stored {counts['stored']}\n"
        f"image callback {median:.2f} ms median, {p95:.2f} ms 95th percentile, {worst:.2f} ms "
        f"worst; {100 * share:.0f}% of one core\n"
        f"from command to tube the node adds to the grounder's own time: "
        f"{added(commander.added_s)} at rest, {added(busy_s)} with the camera"
    )


def added(seconds: list[float]) -> str:
    """Median and number of the samples as text."""
    if not seconds:
        return "no answer"
    return f"{1e3 * float(np.median(seconds)):.1f} ms median of {len(seconds)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the camera runs")
    parser.add_argument("--camera", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    if given.camera:
        camera(given.seconds)
        return 0
    sys.stdout.write(measure(given.seconds) + "\n")
    sys.stdout.flush()
    os._exit(0)  # without waiting for a grounding in the middle of a stage


if __name__ == "__main__":
    sys.exit(main())
