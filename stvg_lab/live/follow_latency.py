# SPDX-License-Identifier: Apache-2.0

"""Measures how soon the node follows a person of a video: from a command to the first `~/target`.

python -m stvg_lab.live.follow_latency --video FILE [--query "the person in red"]
  [--ros-args -p NAME:=VALUE ...]   # parameters of the node
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String

from stvg_lab.live.ros_program import without_ros_arguments
from stvg_ros.errors import ModelError, StvgError
from stvg_ros.io.video_recording import VideoRecording
from stvg_ros.msg import Query, Target, Tube
from stvg_ros.node.conversions import stamp_ns
from stvg_ros.node.grounding_node import GroundingNode
from stvg_ros.node.image_conversions import image_message

WINDOW_S = 8.0  # of images before the first command
_EARLY_S = 1e-3  # rounding of a video's times


def played(video: Path, start_s: float, end_s: float, rate_hz: float) -> list[NDArray[np.uint8]]:
    """The images of a part of a video at a rate, `(h, w, 3)` each.

    Raises:
        RecordingError: the file is no video, or its part has no images.
    """
    recording = VideoRecording(video)
    images, due_s = [], start_s
    try:
        for image in recording.images():
            seconds = image.stamp_ns / 1e9
            if seconds >= end_s:
                break
            if seconds >= due_s - _EARLY_S:
                images.append(image.frame().image)
                due_s += 1 / rate_hz
    finally:
        recording.close()
    if not images:
        raise StvgError(f"--start {start_s:g}: expected a time within {video}")
    return images


def to_and_fro(images: Sequence[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """The images forwards and backwards without end, so that nobody jumps."""
    return cycle([*images, *images[-2:0:-1]])


def camera(images: Sequence[NDArray[np.uint8]], rate_hz: float) -> None:
    """Publishes the images with the time of day, in a process of its own, until it is ended."""
    rclpy.init()
    node = rclpy.create_node("camera")
    publisher = node.create_publisher(Image, "/grounding/image", QoSProfile(depth=5))
    begin = time.monotonic()
    for number, image in enumerate(to_and_fro(images)):
        time.sleep(max(0.0, begin + number / rate_hz - time.monotonic()))
        publisher.publish(image_message(image, time.time_ns(), "camera"))


class FollowTimer:
    """Sends commands and records when their tube and their first target arrive."""

    def __init__(self, executor: SingleThreadedExecutor, text: str) -> None:
        self._node = rclpy.create_node("commander")
        self._text = text
        self._commands = self._node.create_publisher(Query, "/grounding/query", 10)
        self._node.create_subscription(Tube, "/grounding/tube", self._on_tube, 10)
        self._node.create_subscription(Target, "/grounding/target", self._on_target, 100)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._node.create_subscription(String, "/grounding/status", self._on_status, latched)
        self._sent: tuple[str, float] | None = None
        self.state = ""
        self.answer = ""
        self.answered_s: list[float] = []
        self.followed_s: list[float] = []
        self.ages_s: list[float] = []
        executor.add_node(self._node)

    def send(self, number: int) -> None:
        """Sends the command once more."""
        self._sent = (f"follow-{number}", time.perf_counter())
        self.answer = ""
        self._commands.publish(Query(id=self._sent[0], text=self._text))

    def _on_status(self, message: String) -> None:
        self.state = message.data

    def _on_tube(self, tube: Tube) -> None:
        if self._sent is not None and tube.query_id == self._sent[0]:
            self.answered_s.append(time.perf_counter() - self._sent[1])
            self.answer = tube.error or tube.warning or "found"

    def _on_target(self, target: Target) -> None:
        if target.status == Target.FOLLOWING:
            self.ages_s.append((time.time_ns() - stamp_ns(target.header.stamp)) / 1e9)
        if self._sent is not None and target.query_id == self._sent[0]:
            self.followed_s.append(time.perf_counter() - self._sent[1])
            self._sent = None


def measure(given: argparse.Namespace, words: Sequence[str]) -> str:
    """Runs node and camera and returns the figures as text.

    Args:
        given: the program's own arguments.
        words: the command line, with ROS arguments.

    Raises:
        ModelError: the node does not start, or finds nobody.
    """
    rclpy.init(args=list(words))
    node = GroundingNode(parameter_overrides=[Parameter("follow.enabled", value=True)])
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    timer = FollowTimer(executor, given.query)

    def spin(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)

    while timer.state != "ready":
        if timer.state.startswith("failed"):
            raise ModelError(f"the node {timer.state}")
        executor.spin_once(timeout_sec=0.05)
    child = started_camera(given)
    try:
        while not node.window.fill[0] and child.poll() is None:
            executor.spin_once(timeout_sec=0.05)
        spin(WINDOW_S)
        begin, used = time.monotonic(), _cpu_s()
        for number in range(given.commands):
            timer.send(number)
            spin(given.pause_s)
        elapsed_s, used = time.monotonic() - begin, _cpu_s() - used
    finally:
        child.kill()
        child.wait()
    if not timer.followed_s:
        raise ModelError(f"--query: nobody was followed; the last answer: {timer.answer or 'none'}")
    return (
        f"{given.video.name} at {given.rate:g} Hz, '{given.query}', {given.commands} commands\n"
        f"command to tube {_shown(timer.answered_s)}\n"
        f"command to the first target {_shown(timer.followed_s)}\n"
        f"image to target {_shown(timer.ages_s)}\n"
        f"CPU of the node {100 * used / elapsed_s:.0f} % of one core"
    )


def started_camera(given: argparse.Namespace) -> subprocess.Popen[bytes]:
    """The camera as a process of its own; without the current folder among its modules."""
    words = ["-P", "-m", "stvg_lab.live.follow_latency", "--camera", "--video", str(given.video)]
    numbers = (("--start", given.start), ("--end", given.end), ("--rate", given.rate))
    words += [word for name, value in numbers for word in (name, str(value))]
    return subprocess.Popen([sys.executable, *words])


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _shown(seconds: Sequence[float]) -> str:
    return f"{np.median(seconds):.2f} s median, {max(seconds):.2f} s worst of {len(seconds)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, required=True, help="a video of people")
    parser.add_argument("--query", default="follow the person in red", help="the command")
    parser.add_argument("--start", type=float, default=0.0, help="first second of the video")
    parser.add_argument("--end", type=float, default=10.0, help="last second of the video")
    parser.add_argument("--rate", type=float, default=10.0, help="images a second")
    parser.add_argument("--commands", type=int, default=5, help="how often the command is sent")
    parser.add_argument("--pause-s", type=float, default=4.0, help="from one to the next")
    parser.add_argument("--camera", action="store_true", help=argparse.SUPPRESS)
    words = sys.argv[1:] if arguments is None else list(arguments)
    given = parser.parse_args(without_ros_arguments(words))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    try:
        if given.camera:
            camera(played(given.video, given.start, given.end, given.rate), given.rate)
            return 0
        sys.stdout.write(measure(given, words) + "\n")
        status = 0
    except StvgError as error:
        sys.stderr.write(f"follow_latency: {error}\n")
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # without waiting for a grounding in the middle of a stage


if __name__ == "__main__":
    sys.exit(main())
