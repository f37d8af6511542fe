# SPDX-License-Identifier: Apache-2.0

"""Follow mode: publishes the target's box for each new image until the target is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.node import Node
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from stvg_ros import msg
from stvg_ros.config import Config
from stvg_ros.errors import StvgError
from stvg_ros.method.interfaces import Follower, Proposer, TargetObservation
from stvg_ros.node.conversions import box_message, time_message
from stvg_ros.types import Frame, Grounding, Status, Tube, TubeBox
from stvg_ros.window import Window


@dataclass(eq=False)
class _Target:
    """The followed target."""

    tube: Tube
    follower: Follower
    frame: Frame
    seen_ns: int
    sighting: TargetObservation
    ended: bool = False


class Follow:
    """Publishes `~/target`; the service `~/follow` switches it on and off.

    Thread contract: `answered` may be called from any thread, `frame_stored` from one thread; the
    services and `start`, `stop` and `close` run in the executor's.
    """

    def __init__(
        self,
        node: Node,
        window: Callable[[str], Window],
        config: Callable[[], Config],
        place: Callable[[TubeBox, Frame], TubeBox],
    ) -> None:
        """Creates the topic and the service.

        Args:
            node: publishes.
            window: the window of a camera.
            config: returns the current configuration.
            place: adds the position to a frame's box.
        """
        self._place = place
        self._node = node
        self._window = window
        self._config = config
        self._lock = threading.Lock()
        self._enabled = config().follow.enabled
        self._source: Proposer | None = None
        self._found: Tube | None = None  # the next one to follow
        self._target: _Target | None = None  # of the thread that stores frames
        self._restarted: set[str] = set()
        self._targets = node.create_publisher(msg.Target, "~/target", 10)
        self._service = node.create_service(SetBool, "~/follow", self._on_switch)

    def start(self, source: Proposer | None) -> None:
        """Uses this source of tubes; warns if it cannot follow and following is enabled."""
        self._source = source if source is not None and source.can_follow else None
        if self._enabled and self._source is None:
            self._node.get_logger().warning("follow.enabled: this source of tubes cannot follow")

    def stop(self) -> None:
        """Stops following."""
        self._source = None
        with self._lock:
            self._found = self._target = None

    def close(self) -> None:
        """Destroys the topic and the service."""
        self._node.destroy_service(self._service)
        self._node.destroy_publisher(self._targets)

    def answered(self, grounding: Grounding) -> None:
        """Follows the best tube of an answer, if there is one."""
        best = grounding.best
        if best.preliminary:
            return
        with self._lock:
            if self._enabled and best.status is Status.FOUND and best.boxes:
                self._found = best

    def followed(self) -> tuple[str, TubeBox] | None:
        """The camera and the last box of the followed target; any thread may call it."""
        target = self._target
        if target is None:
            return None
        box = TubeBox(target.frame.stamp_ns, target.sighting.box_xyxy_px, 0.0)
        return target.tube.camera, box

    def window_restarted(self, camera: str) -> None:
        """Ends following on a camera whose stamps jumped back."""
        with self._lock:
            self._restarted.add(camera)

    def frame_stored(self, camera: str, frame: Frame) -> None:
        """Locates the target in a new frame, or in one whose detections have arrived."""
        with self._lock:
            found, self._found = self._found, None
            enabled, source = self._enabled, self._source
            jumped, self._restarted = self._restarted, set()
        target = self._target
        if target is not None and target.tube.camera in jumped:
            self._end(target, msg.Target.LOST, "the image stamps jumped back")
        elif target is not None and not enabled:
            self._end(target, msg.Target.STOPPED, "following was switched off")
        if found is not None and source is not None and enabled:
            self._begin(found, source, frame.stamp_ns)
        target = self._target
        if (
            target is not None
            and target.tube.camera == camera
            and frame.stamp_ns > target.frame.stamp_ns
            and self._updated(target, frame)
        ):
            self._publish(target, msg.Target.FOLLOWING, "")

    def _begin(self, tube: Tube, source: Proposer, until_ns: int) -> None:
        """Follows from the tube's last box through the frames received since."""
        self._target = None
        window, last = self._window(tube.camera), tube.boxes[-1]
        frame = window.frame(last.stamp_ns)
        if frame is None:
            self._node.get_logger().warning(
                f"{tube.query.id}: not followed: the tube's last image has left the window; raise "
                "window.duration_s"
            )
            return
        try:
            follower = source.follower(frame, np.array(last.box_xyxy_px, np.float32))
        except StvgError as error:
            self._node.get_logger().error(f"{tube.query.id}: cannot be followed: {error}")
            return
        sighting = TargetObservation(last.box_xyxy_px, seen=True)
        target = _Target(tube, follower, frame, frame.stamp_ns, sighting)
        self._target = target
        frames = window.snapshot().frames
        since = [f for f in frames if frame.stamp_ns < f.stamp_ns < until_ns]
        for later in since[:: max(1, -(-len(since) // follower.most_replayed))]:
            self._updated(target, later)
            if target.ended:
                return

    def _updated(self, target: _Target, frame: Frame) -> bool:
        """Whether the target was located in the frame; ends following when it is lost."""
        try:
            sighting = target.follower.update(frame)
        except Exception as error:
            self._end(target, msg.Target.LOST, f"following failed: {error}")
            return False
        if sighting is not None:
            target.frame, target.sighting = frame, sighting
            if sighting.seen:
                target.seen_ns = frame.stamp_ns
        unseen_s = (frame.stamp_ns - target.seen_ns) / 1e9
        if unseen_s > self._config().follow.lost_s:
            self._end(target, msg.Target.LOST, f"not seen for {unseen_s:.1f} s")
            return False
        return sighting is not None

    def _end(self, target: _Target, status: int, reason: str) -> None:
        self._target, target.ended = None, True
        self._node.get_logger().info(f"{target.tube.query.id}: no longer followed: {reason}")
        self._publish(target, status, reason)

    def _publish(self, target: _Target, status: int, reason: str) -> None:
        frame, tube = target.frame, target.tube
        stamp = time_message(frame.stamp_ns)
        sighting = target.sighting
        box = TubeBox(frame.stamp_ns, sighting.box_xyxy_px, 0.0, interpolated=not sighting.seen)
        if sighting.seen:  # a predicted box has no measured depth
            box = self._place(box, frame)
        self._targets.publish(
            msg.Target(
                header=Header(stamp=stamp, frame_id=frame.frame_id),
                query_id=tube.query.id,
                query=tube.query.text,
                camera=tube.camera,
                status=status,
                reason=reason,
                box=box_message(box),
            )
        )

    def _on_switch(self, request: Any, response: Any) -> Any:
        response.success = self._source is not None or not request.data
        if response.success:
            with self._lock:
                self._enabled = request.data
            response.message = (
                "the next tube is followed" if request.data else "nothing is followed"
            )
        else:
            response.message = "the node is not active, or its source of tubes cannot follow"
        return response
