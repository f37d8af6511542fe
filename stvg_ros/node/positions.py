# SPDX-License-Identifier: Apache-2.0

"""Places in space for the boxes of an answer, and the transform to another frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header

from stvg_ros.depth import RigidTransform, position_m
from stvg_ros.node.conversions import point_message, time_message
from stvg_ros.node.settings import DepthConfig
from stvg_ros.types import Clip, Grounding, Tube, TubeBox

# From a frame to the target's at a stamp in nanoseconds, or None when that is not known.
Lookup = Callable[[str, int], RigidTransform | None]


def located(grounding: Grounding, clip: Clip, target_frame: str, lookup: Lookup) -> Grounding:
    """The answer with a position for each box whose frame has depth.

    With a target frame, positions are told in it as well, by the transform at the image's stamp.
    """
    frames = {frame.stamp_ns: frame for frame in clip.frames if frame.depth is not None}
    if not frames:
        return grounding

    def placed(box: TubeBox) -> TubeBox:
        frame = frames.get(box.stamp_ns)
        if frame is None or frame.depth is None:
            return box
        here = position_m(box.box_xyxy_px, frame.depth, clip.size_px)
        there = lookup(frame.frame_id, box.stamp_ns) if here and target_frame else None
        return replace(
            box, position_m=here, target_position_m=there(here) if here and there else None
        )

    tubes = tuple(
        replace(tube, boxes=tuple(map(placed, tube.boxes)), target_frame=target_frame)
        for tube in grounding.tubes
    )
    return replace(grounding, tubes=tubes)


def target_pose(tube: Tube) -> PoseStamped | None:
    """Where the target was last seen, for navigation; None when no box has a position.

    In the target's frame if it is known there, else in the camera's. No rotation: a box tells
    where something is, not where it looks.
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


class Locator:
    """Finishes answers with positions; looks transforms up in tf2, where tf2 is installed.

    A missing transform is logged, and leaves the position in the camera's frame.

    Thread contract: any thread may call `finish`.
    """

    def __init__(self, node: Node, config: DepthConfig) -> None:
        self._log = node.get_logger()
        self._frame = config.target_frame
        self._buffer: Any = None
        self._listener: Any = None
        self._missing: type[Exception] = Exception
        if not config.enabled or not self._frame:
            return
        try:
            from tf2_ros import Buffer, TransformException, TransformListener
        except ImportError:
            self._log.warning(
                f"depth.target_frame: tf2_ros is not installed; nothing is told in {self._frame!r}"
            )
            return
        self._missing = TransformException
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, node)

    def finish(self, grounding: Grounding, clip: Clip) -> Grounding:
        """The answer with a position for each box whose frame has depth."""
        return located(grounding, clip, self._frame, self._lookup)

    def close(self) -> None:
        """Listens no more."""
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
