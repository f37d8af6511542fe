"""What a 1080p camera at 30 Hz costs the node, with groundings running all the while.

python -m stvg_ros.node.image_bench [--seconds 10]
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
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String

from stvg_ros.node.conversions import time_message
from stvg_ros.node.grounding_node import GroundingNode
from stvg_ros.node.image_conversions import image_message

WIDTH, HEIGHT, RATE_HZ = 1920, 1080, 30.0


def camera(seconds: float) -> None:
    """Publishes random pixels at 30 Hz; the process beside the node's."""
    rclpy.init()
    node = rclpy.create_node("camera")
    publisher = node.create_publisher(Image, "/grounding/image", QoSProfile(depth=5))
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    message = image_message(pixels, 0, "camera")
    while not publisher.get_subscription_count():
        time.sleep(0.05)
    begin, sent = time.monotonic(), 0
    while sent < round(seconds * RATE_HZ):
        time.sleep(max(0.0, begin + sent / RATE_HZ - time.monotonic()))
        message.header.stamp = time_message(time.time_ns())
        publisher.publish(message)
        sent += 1
    elapsed_s = time.monotonic() - begin
    time.sleep(1.0)  # the last images are still on their way
    sys.stdout.write(f"{sent} {elapsed_s}\n")
    rclpy.shutdown()


def measure(seconds: float) -> str:
    """Runs node and camera and returns the figures as text."""
    rclpy.init()
    node = GroundingNode(
        parameter_overrides=[
            Parameter("window.max_rate_hz", value=0.0),
            Parameter("image.qos", value="reliable"),
        ]
    )
    commander = rclpy.create_node("commander")
    commands = commander.create_publisher(String, "/grounding/command", 10)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    child = subprocess.Popen(
        [sys.executable, "-m", "stvg_ros.node.image_bench", "--camera", "--seconds", str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    due = time.monotonic() + 1.0
    while child.poll() is None:
        executor.spin_once(timeout_sec=0.05)
        if time.monotonic() > due:
            due += 1.0
            commands.publish(String(data="find the person in red who waves"))
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
        f"worst; {100 * share:.0f}% of one core"
    )


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
