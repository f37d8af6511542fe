# SPDX-License-Identifier: Apache-2.0

"""Publishes the images of a recording on a topic at the recorded rate, with unchanged stamps."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from stvg_lab.live.ros_program import run_program, without_ros_arguments
from stvg_ros.errors import RecordingError
from stvg_ros.io.image_messages import COMPRESSED
from stvg_ros.io.recording import open_bag

if TYPE_CHECKING:
    from stvg_ros.io.bag_recording import BagRecording


def play(node: Node, bag: BagRecording, *, topic: str, rate: float, wait_s: float) -> int:
    """Publishes every image of the recording and returns how many there were.

    Args:
        node: publishes.
        bag: the opened recording.
        topic: where to publish.
        rate: how many times faster than recorded.
        wait_s: how long to wait for a subscriber before the first image.

    Raises:
        RecordingError: the topic's subscribers expect another type of images.
    """
    kind = CompressedImage if bag.type == COMPRESSED else Image
    qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
    publisher = node.create_publisher(kind, topic, qos)
    give_up = time.monotonic() + wait_s
    while publisher.get_subscription_count() == 0 and time.monotonic() < give_up:
        rclpy.spin_once(node, timeout_sec=0.05)
    taken = {info.topic_type for info in node.get_subscriptions_info_by_topic(topic)}
    if taken and bag.type not in taken:
        raise RecordingError(
            f"{topic}: expects {', '.join(sorted(taken))}, and {bag.path} has {bag.type}; set the "
            "node's image.transport to the bag's kind of images"
        )
    begin_s = time.monotonic()
    first_ns, count = None, 0
    for message in (image.raw for image in bag.messages()):
        first_ns = message.recorded_ns if first_ns is None else first_ns
        due_s = begin_s + (message.recorded_ns - first_ns) / 1e9 / rate
        time.sleep(max(0.0, due_s - time.monotonic()))
        publisher.publish(message.data)
        count += 1
    # Exiting at once would drop images that the middleware has not delivered yet.
    publisher.wait_for_all_acked(Duration(seconds=5.0))
    return count


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 when all images were published, 1 for an unreadable recording."""
    parser = argparse.ArgumentParser(prog="bag_player", description=__doc__)
    parser.add_argument("bag", help="the recording: its folder, or one of its files")
    parser.add_argument("--from-topic", help="image topic in the recording, where it has several")
    parser.add_argument("--topic", default="/camera/image", help="topic to publish on")
    parser.add_argument("--rate", type=float, default=1.0, help="times the recorded pace")
    parser.add_argument("--wait-s", type=float, default=10.0, help="longest wait for a subscriber")
    asked = sys.argv[1:] if arguments is None else list(arguments)
    given = parser.parse_args(without_ros_arguments(asked))
    if not given.rate > 0:
        parser.error(f"--rate: expected more than 0, got {given.rate}")

    def publish(node: Node) -> int:
        with closing(open_bag(given.bag, given.from_topic)) as bag:
            count = play(node, bag, topic=given.topic, rate=given.rate, wait_s=given.wait_s)
            for sentence in bag.report.sentences:
                print(f"bag_player: {sentence}", file=sys.stderr)
        print(f"published {count} images on {given.topic}", flush=True)
        return 0

    return run_program("bag_player", asked, lambda: Node("bag_player"), publish)


if __name__ == "__main__":
    sys.exit(main())
