# SPDX-License-Identifier: Apache-2.0

"""Checks a running grounding node from outside: state, topics, QoS, images.

python -m stvg_ros.doctor.node_check [/grounding [3.0]]
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import rclpy
from lifecycle_msgs.srv import GetState
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from stvg_ros.doctor.findings import Finding, write_findings
from stvg_ros.node.qos import LATCHED
from stvg_ros.stamps import UNSTAMPED

KINDS = {
    "sensor_msgs/msg/Image": Image,
    "sensor_msgs/msg/CompressedImage": CompressedImage,
    "sensor_msgs/msg/CameraInfo": CameraInfo,
}
LARGE_BYTES = 500_000  # best-effort messages of this size are sent in many fragments
# A participant may miss the first announcements of another; Fast DDS repeats them each 3 s.
DISCOVERY_S = 10.0


def examine(node: Node, target: str, seconds: float) -> Iterator[Finding]:
    """Findings about the node `target`; receives from each camera for `seconds`."""
    space, _, name = target.rpartition("/")
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    there = _wait(node, DISCOVERY_S, lambda: (name, space or "/") in _names(node))
    if not there:
        others = ", ".join(sorted(f"{s.rstrip('/')}/{n}" for n, s in _names(node)
                                  if n != node.get_name()))  # fmt: skip
        yield Finding(
            "bad", "node", f"no node {target} on ROS_DOMAIN_ID {domain}; there are: "
            f"{others or 'none'}",
            "start it (ros2 launch stvg_ros grounding.launch.py), name it with --node, or set "
            "the same ROS_DOMAIN_ID and RMW_IMPLEMENTATION on both sides",
        )  # fmt: skip
        return
    yield Finding("ok", "node", f"{target} runs on ROS_DOMAIN_ID {domain}")
    label, state = _state(node, target)
    yield state
    if label == "activating":
        return  # it subscribes to images after the model is loaded

    def inputs() -> list[tuple[str, str]]:
        """Image topics that the node subscribes to, even if other nodes have the same name."""
        topics = node.get_topic_names_and_types()
        return sorted(
            (topic, kind)
            for topic, kinds in topics
            for kind in kinds
            if kind in KINDS and any(
                info.topic_type == kind for info in _asked(node, target, topic)
            )
        )  # fmt: skip

    patience_s = 0.2 if state.level == "bad" else DISCOVERY_S
    if not _wait(node, patience_s, lambda: bool(inputs())):
        yield Finding(
            "bad", "images", f"{target} receives no images now",
            f"activate it: ros2 lifecycle set {target} activate",
        )  # fmt: skip
    for topic, kind in inputs():
        yield from topic_findings(node, target, topic, kind, seconds)


def topic_findings(
    node: Node, target: str, topic: str, kind: str, seconds: float
) -> Iterator[Finding]:
    """Whether a topic has a publisher of the right type, and whether images arrive."""

    def found() -> bool:
        """Whether a publisher is known by name; discovery may take longer than for the node."""
        infos = node.get_publishers_info_by_topic(topic)
        return bool(infos) and not any("UNKNOWN" in info.node_name for info in infos)

    _wait(node, DISCOVERY_S, found)
    publishers = node.get_publishers_info_by_topic(topic)
    asked = _asked(node, target, topic)
    if not publishers:
        offered = _topics_of(node, kind, topic)
        known = f"topics of that type: {', '.join(offered)}" if offered else "there is none"
        yield Finding(
            "bad", "topic", f"no publisher of {kind} on {topic}; {known}",
            "start the camera, or remap: ros2 launch stvg_ros grounding.launch.py image:=TOPIC",
        )  # fmt: skip
        return
    for publisher in publishers:
        who = f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
        if publisher.topic_type != kind:
            other = "compressed" if "Compressed" in publisher.topic_type else "raw"
            yield Finding(
                "bad", "type", f"{topic}: {who} publishes {publisher.topic_type}, "
                f"{target} asks for {kind}",
                f"set image.transport to {other}, or remap to another topic",
            )  # fmt: skip
            continue
        for subscription in asked:
            yield _qos(topic, who, publisher.qos_profile, subscription.qos_profile)
    if any(publisher.topic_type == kind for publisher in publishers):
        yield from _heard(node, topic, kind, seconds)


def _asked(node: Node, target: str, topic: str) -> list[Any]:
    """The node's subscriptions to a topic."""
    return [
        info for info in node.get_subscriptions_info_by_topic(topic)
        if f"{info.node_namespace.rstrip('/')}/{info.node_name}" == target
    ]  # fmt: skip


def _qos(topic: str, who: str, offered: QoSProfile, asked: QoSProfile) -> Finding:
    match, reason = qos_check_compatible(offered, asked)
    text = f"{topic}: {who} offers {_shown(offered)}, the node asks for {_shown(asked)}"
    if match == QoSCompatibility.ERROR:
        return Finding(
            "bad", "qos", f"{text}: nothing is delivered ({reason.strip()})",
            "set image.qos to sensor_data, or make the camera's publisher reliable",
        )  # fmt: skip
    return Finding("ok", "qos", text)


def _heard(node: Node, topic: str, kind: str, seconds: float) -> Iterator[Finding]:
    """Subscribes with the least demanding QoS and reports rate, size and stamps."""
    messages: list[tuple[float, int, int]] = []

    def keep(data: bytes) -> None:
        stamp = deserialize_message(data, KINDS[kind]).header.stamp
        messages.append((time.monotonic(), len(data), stamp.sec * 10**9 + stamp.nanosec))

    easy = QoSProfile(
        depth=50, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.VOLATILE,
    )  # fmt: skip
    subscription = node.create_subscription(KINDS[kind], topic, keep, easy, raw=True)
    if _wait(node, DISCOVERY_S + seconds, lambda: bool(messages)):
        _wait(node, seconds, lambda: False)
    node.destroy_subscription(subscription)
    if not messages:
        yield Finding(
            "bad", "messages", f"{topic}: no message within {DISCOVERY_S + seconds:g} s",
            "check that the camera runs (ros2 topic hz), or play the bag",
        )  # fmt: skip
        return
    size, stamps = messages[-1][1], [stamp for _, _, stamp in messages]
    span_s = messages[-1][0] - messages[0][0]
    rate = f"{(len(messages) - 1) / span_s:.1f} Hz" if span_s > 0 else "one message"
    yield Finding("ok", "messages", f"{topic}: {rate}, {size / 1e6:.2f} MB each")
    yield from stamp_findings(topic, stamps)
    if size > LARGE_BYTES:
        yield Finding(
            "note", "size", f"{topic}: best-effort messages this large get lost on a busy machine",
            "if images are missing: image.transport compressed, or image.qos reliable",
        )  # fmt: skip


def stamp_findings(topic: str, stamps_ns: Sequence[int]) -> Iterator[Finding]:
    """What is odd about the header stamps of a topic's images, in order of arrival."""
    stamped = [stamp_ns for stamp_ns in stamps_ns if stamp_ns > 0]
    if not any(stamp_ns > 0 for stamp_ns in stamps_ns[-UNSTAMPED:]):
        which = "the last images have no stamp" if stamped else "no image has a stamp"
        yield Finding(
            "note", "stamps", f"{topic}: {which}; the node takes the times of arrival",
            "stamp the images in the driver: detections, depth and TF match them by their stamps",
        )  # fmt: skip
    elif len(stamped) < len(stamps_ns):
        missing = len(stamps_ns) - len(stamped)
        yield Finding(
            "bad", "stamps", f"{topic}: {missing} of {len(stamps_ns)} images have no stamp; the "
            "node refuses those",
            "the driver must stamp all of its images or none; two publishers on one topic do "
            "this too",
        )  # fmt: skip
    if any(later < earlier for earlier, later in itertools.pairwise(stamped)):
        yield Finding(
            "bad", "stamps", f"{topic}: stamps go backwards",
            "the driver must stamp its images in order; two publishers on one topic do this too",
        )  # fmt: skip


def _state(node: Node, target: str) -> tuple[str, Finding]:
    """The name of the node's state, or "" without a response, and the finding about it."""
    said: list[str] = []
    listener = node.create_subscription(
        String, f"{target}/status", lambda message: said.append(message.data), LATCHED
    )
    client = node.create_client(GetState, f"{target}/get_state")
    label = ""
    if client.wait_for_service(DISCOVERY_S):
        future = client.call_async(GetState.Request())
        if _wait(node, DISCOVERY_S, future.done):
            label = future.result().current_state.label
    _wait(node, DISCOVERY_S, lambda: bool(said))
    node.destroy_client(client)
    node.destroy_subscription(listener)
    text = f"{label or 'no answer about the state'}; last status: {said[-1] if said else 'none'}"
    if label == "active":
        return label, Finding("ok", "state", text)
    if not label:
        return label, Finding("note", "state", text, "it may be busy; try again later")
    if label == "activating":
        wait = "its model is loading: wait for the status 'ready'"
        return label, Finding("note", "state", text, wait)
    step = "activate" if label == "inactive" else "configure"
    return label, Finding("bad", "state", text, f"ros2 lifecycle set {target} {step}")


def _wait(node: Node, seconds: float, done: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.05)
    return done()


def _names(node: Node) -> list[tuple[str, str]]:
    return [(name, space) for name, space in node.get_node_names_and_namespaces()]


def _topics_of(node: Node, kind: str, without: str) -> list[str]:
    return sorted(
        topic
        for topic, kinds in node.get_topic_names_and_types()
        if kind in kinds and topic != without and node.count_publishers(topic)
    )


def _shown(qos: Any) -> str:
    return f"{qos.reliability.name.lower()} {qos.durability.name.lower()}".replace("_", " ")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the findings; 0 if none is bad."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    target = given[0] if given else "/grounding"
    seconds = float(given[1]) if len(given) > 1 else 3.0
    rclpy.init()
    node = Node("stvg_doctor", enable_rosout=False)
    try:
        return 0 if write_findings(examine(node, target, seconds)) else 1
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    sys.exit(main())
