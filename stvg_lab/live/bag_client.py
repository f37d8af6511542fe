# SPDX-License-Identifier: Apache-2.0

"""Plays a bag to a running node like a camera, commands it, and keeps its answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import GetParameters
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from stvg_lab.datasets.samples import Sample
from stvg_lab.live.demo_client import evidence_of, tube_of
from stvg_lab.live.results import LiveAnswer, image_counts
from stvg_lab.runs.runner import asked_window
from stvg_ros import msg
from stvg_ros.config import Config, node_settings
from stvg_ros.errors import StvgError
from stvg_ros.io.image_messages import COMPRESSED
from stvg_ros.io.recording import open_bag
from stvg_ros.node.conversions import time_message
from stvg_ros.node.qos import LATCHED
from stvg_ros.stamps import TIME_JUMP_NS

if TYPE_CHECKING:
    from stvg_ros.io.bag_recording import BagImage, BagRecording

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
SETTLE_S = 0.3  # after the last image, before a command about it
# Discovery is asymmetric: the node may match later than the camera.
DISCOVERY_S = 1.0


class BagClient(Node):
    """Plays bags, sends commands, and stores answers. One thread uses it, and spins it to wait."""

    def __init__(self, target: str, image_topic: str) -> None:
        """Connects to the node.

        Args:
            target: full name of the grounding node.
            image_topic: the node's image topic.
        """
        super().__init__("bag_evaluation")
        self._target = target
        self._image_topic = image_topic
        self._state = ""
        self._tubes: dict[str, tuple[float, list[Any]]] = {}
        self._evidence: dict[str, Any] = {}
        self._sent: dict[str, float] = {}
        self._newest_ns = 0
        self._counts: dict[str, int] | None = None
        self._camera: Any = None
        self._queries = self.create_publisher(msg.Query, f"{target}/query", 1000)
        self.create_subscription(String, f"{target}/status", self._on_status, LATCHED)
        self.create_subscription(msg.Tube, f"{target}/tube", self._on_tube, 1000)
        self.create_subscription(msg.Evidence, f"{target}/evidence", self._on_evidence, 100)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)

    def _on_status(self, message: Any) -> None:
        self._state = message.data

    def _on_tube(self, message: Any) -> None:
        if message.query_id in self._sent:
            arrived, tubes = self._tubes.get(message.query_id, (time.monotonic(), []))
            self._tubes[message.query_id] = (arrived, [*tubes, message])

    def _on_evidence(self, message: Any) -> None:
        self._evidence[message.query_id] = message

    def _on_diagnostics(self, message: Any) -> None:
        """The counts "images NAME" of the node's camera."""
        for status in message.status:
            if status.name == f"{self._target}: camera":
                self._counts = {
                    item.key.removeprefix("images "): int(item.value)
                    for item in status.values
                    if item.key.startswith("images ") and item.value.isdecimal()
                }

    def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Spins until the condition holds; False when the time is over."""
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                return False
            rclpy.spin_once(self, timeout_sec=0.02)
        return True

    def connect(self, timeout_s: float) -> Config:
        """Waits until the node is ready, and returns its settings.

        Raises:
            StvgError: it is not there or not ready in time, or its model failed.
        """

        def settled() -> bool:
            return self._state.startswith(("ready", "failed"))

        if not self.until(settled, timeout_s) or self._state.startswith("failed"):
            raise StvgError(
                f"{self._target}: expected the node to become ready within {timeout_s:g} s; its "
                f"status is {self._state or 'unknown: is it running?'!r}"
            )
        self.until(lambda: bool(self._queries.get_subscription_count()), timeout_s)
        names = [item.name for item in node_settings()]
        # The service itself, as rclpy of Humble has no client of parameters.
        client = self.create_client(GetParameters, f"{self._target}/get_parameters")
        client.wait_for_service(timeout_s)
        future = client.call_async(GetParameters.Request(names=names))
        rclpy.spin_until_future_complete(self, future, timeout_sec=timeout_s)
        if not future.done():
            raise StvgError(f"{self._target}: did not return its parameters within {timeout_s:g} s")
        self.destroy_client(client)
        values = map(parameter_value_to_python, future.result().values)
        return Config.from_flat(dict(zip(names, values, strict=True)))

    def play(
        self, samples: Sequence[Sample], rate: float, duration_s: float, timeout_s: float
    ) -> tuple[list[int], dict[str, int], dict[str, LiveAnswer]]:
        """Plays the samples' bag to the node, and sends their commands.

        Args:
            samples: of one bag, in order of their commands.
            rate: how many times faster than recorded.
            duration_s: how far back commands ask.
            timeout_s: longest wait for an answer after the last image.

        Returns:
            Stamps of the published images, image counts by outcome, answers by sample id.

        Raises:
            RecordingError: the bag cannot be read.
        """
        source = samples[0].source
        with closing(open_bag(source.path, source.topic or None)) as bag:
            return self._played(bag, samples, rate, duration_s, timeout_s)

    def _played(
        self, bag: BagRecording, samples: Sequence[Sample], rate: float, duration_s: float,
        timeout_s: float,
    ) -> tuple[list[int], dict[str, int], dict[str, LiveAnswer]]:  # fmt: skip
        self.advertise(CompressedImage if bag.type == COMPRESSED else Image, timeout_s)
        self._pause(time.monotonic() + DISCOVERY_S)
        before = self._fresh_counts()
        waiting, published_ns = list(samples), []
        begin, first_ns, self._newest_ns = time.monotonic(), None, 0
        for image in bag.messages():
            recorded_ns = image.raw.recorded_ns
            first_ns = recorded_ns if first_ns is None else first_ns
            due = begin + (recorded_ns - first_ns) / 1e9 / rate
            self._pause(due)
            while waiting and _comes_before(waiting[0], image):
                self._ask(waiting.pop(0), duration_s)
            self._camera.publish(image.raw.data)
            published_ns.append(image.stamp_ns)
            if not 0 <= self._newest_ns - image.stamp_ns <= TIME_JUMP_NS:
                self._newest_ns = image.stamp_ns  # unless it is late
        self._camera.wait_for_all_acked(Duration(seconds=5.0))
        self._pause(time.monotonic() + SETTLE_S)
        for sample in waiting:  # no more images arrive: one command after the other
            self._ask(sample, duration_s)
            self.until(self._all_answered, timeout_s)
        self.until(self._all_answered, timeout_s)
        self._pause(time.monotonic() + SETTLE_S)  # for evidence and further tubes
        counts = image_counts(len(published_ns), before, self._fresh_counts())
        return published_ns, counts, self._answers(samples)

    def _all_answered(self) -> bool:
        return self._sent.keys() <= self._tubes.keys()

    def advertise(self, kind: Any, timeout_s: float) -> None:
        """Creates a publisher of `kind`, and waits for the node. Raises: StvgError."""
        if self._camera is not None:
            self.destroy_publisher(self._camera)
        self._camera = self.create_publisher(kind, self._image_topic, RELIABLE)
        count = self._camera.get_subscription_count
        if self.until(lambda: bool(count() or self._takes_another(kind)), timeout_s) and count():
            return
        other = self._takes_another(kind)
        why = f"it expects {', '.join(other)}" if other else "it has no subscriber"
        raise StvgError(
            f"{self._image_topic}: no subscriber for {kind.__name__} ({why}); give the node's "
            "image topic with --image, and the bag's kind of images with image.transport"
        )

    def _takes_another(self, kind: Any) -> list[str]:
        """Types that subscribers of the image topic expect, if none expects `kind`."""
        taken = {
            info.topic_type for info in self.get_subscriptions_info_by_topic(self._image_topic)
        }
        return [] if f"sensor_msgs/msg/{kind.__name__}" in taken else sorted(taken)

    def _fresh_counts(self) -> dict[str, int] | None:
        """The node's counts from now on, or None when it publishes no diagnostics."""
        self._counts = None
        self.until(lambda: self._counts is not None, 3.0)
        return self._counts

    def _pause(self, until: float) -> None:
        """Receives answers until a time of the monotonic clock."""
        while (left := until - time.monotonic()) > 0:
            rclpy.spin_once(self, timeout_sec=left)

    def _ask(self, sample: Sample, duration_s: float) -> None:
        low_ns, high_ns = asked_window(sample, self._newest_ns, duration_s)
        self._queries.publish(
            msg.Query(
                id=sample.id, text=sample.query, window_start=time_message(low_ns),
                window_end=time_message(high_ns),
            )
        )  # fmt: skip
        self._sent[sample.id] = time.monotonic()

    def _answers(self, samples: Sequence[Sample]) -> dict[str, LiveAnswer]:
        found = {}
        for sample in samples:
            if sample.id in self._tubes:
                arrived, messages = self._tubes[sample.id]
                tubes = sorted(map(tube_of, messages), key=lambda tube: tube.rank)
                evidence = self._evidence.get(sample.id)
                found[sample.id] = LiveAnswer(
                    tuple(tubes),
                    None if evidence is None else evidence_of(evidence),
                    arrived - self._sent[sample.id],
                )
        return found


def _comes_before(sample: Sample, image: BagImage) -> bool:
    """Whether the sample's command is before the next image."""
    return sample.command_ns is not None and image.stamp_ns > sample.command_ns
