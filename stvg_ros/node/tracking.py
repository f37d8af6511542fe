# SPDX-License-Identifier: Apache-2.0

"""Work between commands: observes frames, receives detections and follows a target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from stvg_ros.config import Config
from stvg_ros.method.interfaces import Proposer
from stvg_ros.node.cameras import Cameras, topic
from stvg_ros.node.depth_gate import DepthGate
from stvg_ros.node.detections import DetectionFeed
from stvg_ros.node.follow import Follow
from stvg_ros.node.positions import Locator
from stvg_ros.runtime.frame_worker import FrameWorker
from stvg_ros.types import Frame, Grounding, TubeBox


class Tracking:
    """Passes images and detections to the source of tubes; a `FrameListener`.

    Thread contract: any thread may call `answered`, the executor's thread the other methods; the
    source and the follower run in their own thread.
    """

    def __init__(
        self,
        node: Node,
        cameras: Cameras,
        config: Callable[[], Config],
        locator: Locator,
    ) -> None:
        """Creates the interfaces; `start` begins.

        Args:
            node: subscribes, publishes and logs.
            cameras: their frames are observed.
            config: returns the current configuration.
            locator: adds positions to boxes.

        Raises:
            ConfigError: a message type is not installed.
        """
        self._node = node
        self._config = config
        self._source: Any = None
        self._observing: FrameWorker | None = None
        self._locator = locator
        self._follow = Follow(node, lambda name: cameras[name].window, config, locator.located_box)
        self._feeds: list[DetectionFeed] = []
        self._gates: dict[str, DepthGate] = {}
        for camera in cameras:
            if camera.depth is not None:
                gate = DepthGate(
                    camera.window,
                    lambda frame, name=camera.name: self._observe(name, frame),  # type: ignore[misc]
                )
                self._gates[camera.name], camera.depth.on_attached = gate, gate.attached
        settings = config().proposals
        for camera in cameras if settings.source == "external" else ():
            camera.detections = feed = DetectionFeed(
                node,
                topic(camera.name, "detections"),
                settings,
                camera.window,
                lambda: self._source,
                lambda frame, name=camera.name: self.frame_stored(name, frame),  # type: ignore[misc]
            )
            camera.listeners.add(feed)
            self._feeds.append(feed)
        cameras.add_listener(self)

    def start(self, source: Proposer | None) -> None:
        """Starts with a source of tubes, or None if the grounder has none in this process."""
        self._source = source
        self._follow.start(source)
        handlers = [self._follow.frame_stored]
        if source is not None:
            handlers.insert(0, lambda camera, frame: source.observe(frame))
        # Waiting frames are also in the window unless they have left it: a quarter of its memory.
        max_bytes = self._config().window.max_bytes // 4
        self._observing = FrameWorker(handlers, self._report, max_bytes)
        for feed in self._feeds:
            feed.start()

    def stop(self) -> None:
        """Stops; the source can be released."""
        for feed in self._feeds:
            feed.stop()
        if self._observing is not None:
            self._observing.stop()
            self._observing = None
        self._follow.stop()
        self._source = None

    def close(self) -> None:
        """Destroys the interfaces."""
        self.stop()
        self._follow.close()

    def answered(self, grounding: Grounding) -> None:
        """Receives an answer, whose tube may be followed."""
        self._follow.answered(grounding)

    def followed(self) -> tuple[str, TubeBox] | None:
        """The camera and the last box of the followed target; None without one."""
        return self._follow.followed()

    def frame_stored(self, camera: str, frame: Frame) -> None:
        """See `FrameListener`."""
        self._locator.stored(camera, frame)
        if camera in self._gates:
            self._gates[camera].stored(frame)
        else:
            self._observe(camera, frame)

    def _observe(self, camera: str, frame: Frame) -> None:
        if self._observing is not None:
            self._observing.frame_stored(camera, frame)

    def window_restarted(self, camera: str) -> None:
        """See `FrameListener`."""
        if camera in self._gates:
            self._gates[camera].restart()
        if self._observing is not None:
            self._observing.window_restarted(camera)
        self._follow.window_restarted(camera)

    def _report(self, error: Exception) -> None:
        self._node.get_logger().error(
            f"tracking: {type(error).__name__}: {error}", throttle_duration_sec=2.0
        )
