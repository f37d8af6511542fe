# SPDX-License-Identifier: Apache-2.0

"""What goes on between commands: frames observed, detections taken, a target followed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_msgs.msg import Header

from stvg_ros.config import Config
from stvg_ros.node.cameras import Cameras, topic
from stvg_ros.node.detections import DetectionFeed
from stvg_ros.node.follow import Follow
from stvg_ros.runtime.frame_worker import FrameWorker
from stvg_ros.types import Frame, Grounding, Query


class Tracking:
    """The source of candidate tubes at work while images come.

    Thread contract: `answered` from any thread, the others from the executor's; the source and
    the follower work in a thread of their own.
    """

    def __init__(
        self,
        node: Node,
        cameras: Cameras,
        config: Callable[[], Config],
        ask: Callable[[Query], None],
    ) -> None:
        """Offers the interfaces; `start` begins.

        Args:
            node: subscribes, publishes and logs.
            cameras: whose frames are observed.
            config: gives the configuration in force.
            ask: grounds a query again.

        Raises:
            ConfigError: a message type that is not installed.
        """
        self._node = node
        self._source: Any = None
        self._observing: FrameWorker | None = None
        self._follow = Follow(node, lambda name: cameras[name].window, config, ask)
        self._feeds: dict[str, DetectionFeed] = {}
        settings = config().proposals
        if settings.source == "external":
            for camera in cameras:
                self._feeds[camera.name] = DetectionFeed(
                    node,
                    topic(camera.name, "detections"),
                    settings,
                    camera.window,
                    lambda: self._source,
                    lambda frame, name=camera.name: self._offer(name, frame),  # type: ignore[misc]
                )
        cameras.listen(self)

    def start(self, source: Any) -> None:
        """Begins with a source of tubes, or None for a grounder that has none here."""
        self._source = source
        self._follow.start(source)
        handlers = [self._follow.frame_stored]
        if hasattr(source, "observe"):
            handlers.insert(0, lambda camera, frame: source.observe(frame))
        self._observing = FrameWorker(handlers, self._report)
        for feed in self._feeds.values():
            feed.start()

    def stop(self) -> None:
        """Ends; the source may go."""
        for feed in self._feeds.values():
            feed.stop()
        if self._observing is not None:
            self._observing.stop()
            self._observing = None
        self._follow.stop()
        self._source = None

    def close(self) -> None:
        """Withdraws the interfaces."""
        self.stop()
        self._follow.close()

    def answered(self, grounding: Grounding) -> None:
        """Tells of an answer, whose tube may be followed."""
        self._follow.answered(grounding)

    def stored(self, camera: str, header: Header, frame: Frame) -> None:
        """Tells of an image that is now in a camera's window."""
        if camera in self._feeds:
            self._feeds[camera].image_stored(header, frame)
        self._offer(camera, frame)

    def restarted(self, camera: str) -> None:
        """Tells that a camera's window was cleared, since its stamps jumped back."""
        if camera in self._feeds:
            self._feeds[camera].restart()
        self._follow.restarted(camera)

    def _offer(self, camera: str, frame: Frame) -> None:
        if self._observing is not None:
            self._observing.offer(camera, frame)

    def _report(self, error: Exception) -> None:
        self._node.get_logger().error(
            f"tracking: {type(error).__name__}: {error}", throttle_duration_sec=2.0
        )
