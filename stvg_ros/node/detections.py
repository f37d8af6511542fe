# SPDX-License-Identifier: Apache-2.0

"""Receives detections of another node and matches them to window frames by stamp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from rclpy.node import Node
from std_msgs.msg import Header

from stvg_ros import msg
from stvg_ros.errors import ConfigError, said
from stvg_ros.external_detections import ExternalDetections
from stvg_ros.node.conversions import stamp_ns
from stvg_ros.node.depth_feed import StoredImage
from stvg_ros.node.qos import CAMERA
from stvg_ros.proposals.external import NOT_ASKED, ExternalProposer
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import Frame, short_name
from stvg_ros.window import Window

try:
    from message_filters import ApproximateTimeSynchronizer, SimpleFilter
except ImportError:
    from stvg_ros.node.time_synchronizer import ApproximateTimeSynchronizer, SimpleFilter


class DetectionSink(Protocol):
    """A source that receives the detections of another node. Any thread may call it."""

    def received(self, stamp_ns: int) -> None:
        """Counts a message, whether its stamp matches an image or not."""
        ...

    def put(self, frame: Frame, detected: ExternalDetections) -> None:
        """Stores the detections of a frame."""
        ...


def detection_type(name: str) -> Any:
    """The message class that `proposals.detections` names.

    Raises:
        ConfigError: vision_msgs is selected but not installed.
    """
    if name == "stvg_ros":
        return msg.DetectionArray
    try:
        from vision_msgs.msg import Detection2DArray
    except ImportError as error:
        if name == "auto":
            return msg.DetectionArray
        raise ConfigError(
            "proposals.detections: 'vision_msgs' is not installed; install it, or publish "
            "stvg_ros/DetectionArray and set 'stvg_ros'"
        ) from error
    return Detection2DArray


def detected(message: Any) -> ExternalDetections:
    """The detections of a `stvg_ros/DetectionArray` or a `vision_msgs/Detection2DArray`."""
    corners, scores, ids = [], [], []
    for item in message.detections:
        if hasattr(item, "bbox"):
            centre, half_x, half_y = item.bbox.center, item.bbox.size_x / 2, item.bbox.size_y / 2
            x, y = centre.position.x, centre.position.y
            corners.append((x - half_x, y - half_y, x + half_x, y + half_y))
            scores.append(max((result.hypothesis.score for result in item.results), default=0.0))
        else:
            corners.append((item.x_min, item.y_min, item.x_max, item.y_max))
            scores.append(item.score)
        ids.append(short_name(item.id))
    return ExternalDetections(
        np.array(corners, np.float32).reshape(-1, 4), np.array(scores, np.float32), tuple(ids)
    )


class _Waiting:
    """Detections whose image has not arrived yet."""

    def __init__(self, stamp: Any, detected: ExternalDetections) -> None:
        self.header = Header(stamp=stamp)
        self.detected = detected


class DetectionFeed:
    """The subscription `detections` of one camera.

    Thread contract: the executor's thread.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        config: ProposalConfig,
        window: Window,
        sink: Callable[[], DetectionSink | None],
        matched: Callable[[Frame], None],
    ) -> None:
        """Creates the filters; `start` subscribes.

        Args:
            node: subscribes.
            topic: of the detections.
            config: type, slop and queue.
            window: its frames receive the detections.
            sink: returns the consumer of the detections, None while there is none.
            matched: receives each frame whose detections have arrived.

        Raises:
            ConfigError: the message type is not installed.
        """
        self._node = node
        self._topic = topic
        self._config = config
        self._window = window
        self._sink = sink
        self._matched = matched
        self._type = detection_type(config.detections)
        self._subscription: Any = None
        self._decided = NOT_ASKED
        self.errors = 0
        self.last_error = ""
        self.restart()

    def start(self) -> None:
        """Subscribes."""
        self._subscription = self._node.create_subscription(
            self._type, self._topic, self._on_detections, CAMERA["sensor_data"]
        )

    def stop(self) -> None:
        """Unsubscribes."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        self.restart()

    def restart(self) -> None:
        """Drops unmatched messages, which cannot be matched after a jump of the stamps."""
        self._filters = [SimpleFilter(), SimpleFilter()]
        joined = ApproximateTimeSynchronizer(
            self._filters, self._config.queue_size, self._config.slop_s
        )
        joined.registerCallback(self._on_pair)

    def frame_stored(self, camera: str, frame: Frame) -> None:
        """See `FrameListener`."""
        try:
            self._filters[0].signalMessage(StoredImage.of(frame))
        except Exception as error:
            self._refuse(error)

    def window_restarted(self, camera: str) -> None:
        """See `FrameListener`."""
        self.restart()

    def _on_detections(self, message: Any) -> None:
        sink = self._sink()
        try:
            ns = stamp_ns(message.header.stamp)
            if sink is not None:
                sink.received(ns)
            # Only the boxes of the message are kept until its image arrives.
            self._filters[1].signalMessage(_Waiting(message.header.stamp, detected(message)))
        except Exception as error:
            self._refuse(error)

    def _on_pair(self, image: StoredImage, waiting: _Waiting) -> None:
        """Forwards a pair; never raises, since the synchroniser would keep its lock."""
        try:
            sink = self._sink()
            frame = self._window.frame(stamp_ns(image.header.stamp))
            if sink is not None and frame is not None:
                sink.put(frame, waiting.detected)
                self._matched(frame)
            self._say_decision(sink)
        except Exception as error:
            self._refuse(error)

    def _say_decision(self, sink: DetectionSink | None) -> None:
        """Logs the last command's decision about the ids when it changes."""
        if isinstance(sink, ExternalProposer) and sink.counts.ids != self._decided:
            self._decided = sink.counts.ids
            self._node.get_logger().info(f"detections: {self._decided}")

    def _refuse(self, error: Exception) -> None:
        self.errors += 1
        self.last_error = said(error)
        self._node.get_logger().error(
            f"detections refused ({self.errors} so far): {self.last_error}",
            throttle_duration_sec=2.0,
        )
