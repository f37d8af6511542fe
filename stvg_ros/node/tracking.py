# SPDX-License-Identifier: Apache-2.0

"""Work between commands: observes frames, receives detections, follows, and remembers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from stvg_ros.config import Config
from stvg_ros.method.interfaces import Proposer
from stvg_ros.node.cameras import Cameras, topic
from stvg_ros.node.depth_gate import DepthGate
from stvg_ros.node.detections import DetectionFeed
from stvg_ros.node.follow import PEOPLE, Follow
from stvg_ros.node.positions import Locator
from stvg_ros.runtime.frame_worker import FrameWorker
from stvg_ros.runtime.periodic_worker import PeriodicWorker
from stvg_ros.runtime.recollection import Recollection
from stvg_ros.types import Clip, Frame, Grounding

_PAUSE_S = 1.0  # between two looks for windows to remember


class Tracking:
    """Passes images and detections to the source of tubes; a `FrameListener`.

    Thread contract: any thread may call `finish` and `wake`, the executor's thread the other
    methods; the source and the follower run in one thread, searching and remembering in another.
    """

    def __init__(
        self,
        node: Node,
        cameras: Cameras,
        config: Callable[[], Config],
        locator: Locator,
        follow: Follow,
        recollection: Recollection,
    ) -> None:
        """Creates the interfaces; `start` begins.

        Args:
            node: subscribes, publishes and logs.
            cameras: their frames are observed.
            config: returns the current configuration.
            locator: adds positions to boxes.
            follow: follows a target; this object closes it.
            recollection: remembers tubes.

        Raises:
            ConfigError: a message type is not installed.
        """
        self._node = node
        self._config = config
        self._source: Any = None
        self._observing: FrameWorker | None = None
        self._locator = locator
        self._cameras = cameras
        self._follow = follow
        self._recollection = recollection
        self._working: PeriodicWorker | None = None
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
        self._working = PeriodicWorker("people", self._work, self._report)
        for feed in self._feeds:
            feed.start()

    def stop(self) -> None:
        """Stops; the source can be released."""
        for feed in self._feeds:
            feed.stop()
        if self._observing is not None:
            self._observing.stop()
            self._observing = None
        if self._working is not None:
            self._working.stop()
            self._working = None
        self._follow.stop()
        self._recollection.memory.clear()
        self._source = None

    def close(self) -> None:
        """Destroys the interfaces."""
        self.stop()
        self._follow.close()

    def finish(self, grounding: Grounding, clip: Clip) -> None:
        """Receives a camera's answer and its clip, whose candidates may be remembered."""
        if self._source is None or not self._source.proposes_anytime:
            self._recollection.finish(grounding, clip)

    def wake(self) -> None:
        """Searches a lost target soon."""
        if self._working is not None:
            self._working.wake()

    def _work(self) -> float:
        """Searches a lost target, and remembers the tubes of windows that have moved on."""
        source, names = self._source, [camera.name for camera in self._cameras]
        if self._follow.searching:
            self._follow.search(names)
        anytime = source is not None and source.proposes_anytime
        for name in names if anytime else ():
            clip = self._recollection.due_clip(name)
            if clip is not None and len(clip) > 1:
                candidates = source.propose(clip, PEOPLE)
                self._recollection.add(name, clip, candidates)
                self._follow.people_seen(name, clip, candidates)
        self._recollection.memory.expire()
        return self._config().follow.search_every_s if self._follow.searching else _PAUSE_S

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
        self._recollection.forget(camera)

    def _report(self, error: Exception) -> None:
        self._node.get_logger().error(
            f"tracking: {type(error).__name__}: {error}", throttle_duration_sec=2.0
        )
