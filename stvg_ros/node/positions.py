# SPDX-License-Identifier: Apache-2.0

"""Positions in space for the boxes of an answer, and their transform to another frame."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header

from stvg_ros.config import Config
from stvg_ros.depth import RigidTransform, position_m
from stvg_ros.node.conversions import point_message, time_message
from stvg_ros.node.settings import DepthConfig
from stvg_ros.stamps import TIME_JUMP_NS
from stvg_ros.types import Clip, Frame, Grounding, Tube, TubeBox

ANSWER_S = 120.0  # without a deadline, the expected maximum duration of an answer
MIN_HISTORY_S = 60.0

# Transform from a frame to the target frame at a stamp in nanoseconds; None if unknown.
Lookup = Callable[[str, int], RigidTransform | None]


def located(grounding: Grounding, clip: Clip, target_frame: str, lookup: Lookup) -> Grounding:
    """The answer with a position for each box whose frame has depth.

    With a target frame, positions are given in it too, by the transform at the image's stamp.
    """
    frames = {frame.stamp_ns: frame for frame in clip.frames if frame.depth is not None}
    if not frames:
        return grounding

    def placed(box: TubeBox) -> TubeBox:
        frame = frames.get(box.stamp_ns)
        return box if frame is None else _placed(box, frame, clip.size_px, target_frame, lookup)

    tubes = tuple(
        replace(tube, boxes=tuple(map(placed, tube.boxes)), target_frame=target_frame)
        for tube in grounding.tubes
    )
    return replace(grounding, tubes=tubes)


def _placed(
    box: TubeBox, frame: Frame, size_px: tuple[int, int], target_frame: str, lookup: Lookup
) -> TubeBox:
    if frame.depth is None:
        return box
    here = position_m(box.box_xyxy_px, frame.depth, size_px)
    there = lookup(frame.frame_id, box.stamp_ns) if here and target_frame else None
    return replace(box, position_m=here, target_position_m=there(here) if here and there else None)


def target_pose(tube: Tube) -> PoseStamped | None:
    """The target's last position, for navigation; None if no box has a position.

    In the target frame if it is known there, else in the camera frame. The rotation is identity,
    since a box has no orientation.
    """
    for box in reversed(tube.boxes):
        if box.position_m is not None:
            there = box.target_position_m
            frame = tube.target_frame if there else tube.frame_id
            pose = PoseStamped(header=Header(stamp=time_message(box.stamp_ns), frame_id=frame))
            pose.pose.position = point_message(there or box.position_m)
            pose.pose.orientation.w = 1.0
            return pose
    return None


def transform_history_s(config: Config) -> float:
    """How long transforms are kept: the window's length plus the time that an answer takes."""
    deadline_s = config.command.deadline_s
    answer_s = ANSWER_S if deadline_s is None else deadline_s
    # The window's length may change while the buffer exists.
    return max(config.window.duration_s + answer_s, MIN_HISTORY_S)


class Locator:
    """Adds positions to answers; looks up transforms in tf2 if it is installed.

    A missing transform is logged, and the position stays in the camera frame only.

    Thread contract: any thread may call `finish` and `located_box`; the executor's calls `stored`.
    """

    def __init__(self, node: Node, config: DepthConfig, history_s: float = 10.0) -> None:
        """Subscribes to transforms.

        Args:
            node: subscribes and logs.
            config: enables positions and names the target frame.
            history_s: maximum age of the images whose transforms are looked up.
        """
        self._log = node.get_logger()
        self._frame = config.target_frame
        self._newest_ns: dict[str, int] = {}
        self._buffer: Any = None
        self._listener: Any = None
        self._open: Callable[[], None] = lambda: None
        self._missing: type[Exception] = Exception
        if not config.enabled or not self._frame:
            return
        try:
            from tf2_ros import Buffer, TransformException, TransformListener
        except ImportError:
            self._log.warning(
                f"depth.target_frame: tf2_ros is not installed; no positions in {self._frame!r}"
            )
            return
        self._missing = TransformException
        self._history_s = history_s
        self._open = functools.partial(self._listen, Buffer, TransformListener, node)
        self._open()

    def finish(self, grounding: Grounding, clip: Clip) -> Grounding:
        """The answer with a position for each box whose frame has depth."""
        return located(grounding, clip, self._frame, self._lookup)

    def _listen(self, buffer: Any, listener: Any, node: Node) -> None:
        self.close()
        self._buffer = buffer(Duration(seconds=self._history_s))
        self._listener = listener(self._buffer, node)

    def reconfigure(self, config: Config) -> None:
        """Keeps transforms for a longer window; subscribes again to receive static transforms."""
        history_s = transform_history_s(config)
        if self._buffer is not None and history_s > self._history_s:
            self._history_s = history_s
            self._open()

    def located_box(self, box: TubeBox, frame: Frame) -> TubeBox:
        """One box of a frame with its position, where the frame has depth."""
        size_px = (frame.source_width_px, frame.source_height_px)
        return _placed(box, frame, size_px, self._frame, self._lookup)

    def stored(self, camera: str, frame: Frame) -> None:
        """Receives each image; after a jump back of the stamps, older transforms are dropped.

        tf2 ignores transforms older than its newest one: after a recording restarts, all of them.
        The first camera that jumps clears for all: the next one must not drop new transforms.
        """
        newest_ns = self._newest_ns.get(camera, frame.stamp_ns)
        if frame.stamp_ns < newest_ns - TIME_JUMP_NS:
            self._newest_ns.clear()
            if self._buffer is not None:
                self._buffer.clear()  # static transforms stay
                self._log.warning("the image stamps jumped back: transforms cleared")
        self._newest_ns[camera] = frame.stamp_ns

    def close(self) -> None:
        """Unsubscribes."""
        if self._listener is not None:
            self._listener.unregister()

    def _lookup(self, frame_id: str, stamp_ns: int) -> RigidTransform | None:
        if self._buffer is None:
            return None
        try:
            found = self._buffer.lookup_transform(
                self._frame, frame_id, Time(nanoseconds=stamp_ns)
            ).transform
        except self._missing as error:
            self._log.warning(
                f"no transform from {frame_id!r} to {self._frame!r} at the image's stamp: {error}",
                throttle_duration_sec=5.0,
            )
            return None
        move, turn = found.translation, found.rotation
        return RigidTransform((move.x, move.y, move.z), (turn.x, turn.y, turn.z, turn.w))
