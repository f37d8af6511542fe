# SPDX-License-Identifier: Apache-2.0

"""Visualises a tube: markers for RViz, annotations for Foxglove."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import Vector3
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from stvg_ros.depth import Intrinsics
from stvg_ros.node.conversions import point_message, time_message
from stvg_ros.types import Tube, TubeBox
from stvg_ros.visualization.drawing import seen_lines

ORANGE = (1.0, 0.5, 0.0)
WHITE = (1.0, 1.0, 1.0)


def markers(tube: Tube) -> MarkerArray:
    """The target's path, its last position and the command; deletes all earlier markers."""
    clear = Marker(action=Marker.DELETEALL)
    clear.header.frame_id = tube.target_frame or tube.frame_id
    result = MarkerArray(markers=[clear])
    in_target = any(box.target_position_m for box in tube.boxes)
    places = [
        (box, place)
        for box in tube.boxes
        if (place := box.target_position_m if in_target else box.position_m) is not None
    ]
    if not places:
        return result
    newest, last = places[-1]
    header = Header(
        stamp=time_message(newest.stamp_ns),
        frame_id=tube.target_frame if in_target else tube.frame_id,
    )
    kinds = ((Marker.LINE_STRIP, 0.05), (Marker.SPHERE, 0.3), (Marker.TEXT_VIEW_FACING, 0.25))
    way, ball, text = (
        Marker(header=header, ns="tube", id=number, type=kind, action=Marker.ADD,
               scale=Vector3(x=size, y=size, z=size), color=_color(ORANGE, 0.9))
        for number, (kind, size) in enumerate(kinds)
    )  # fmt: skip
    for marker in (way, ball, text):
        marker.pose.orientation.w = 1.0
    way.points = [point_message(place) for _, place in places]
    ball.pose.position = point_message(last)
    text.pose.position = point_message(last)
    text.color = _color(WHITE, 1.0)
    text.text = tube.query.text
    result.markers += [way, ball, text]
    return result


def keypoint_marker(
    keypoints: NDArray[np.float32], box: TubeBox, eye: Intrinsics, frame_id: str
) -> Marker | None:
    """The lines between a person's keypoints, in the plane at the person's distance.

    Depth at a hand or foot is often that of the background, so all points have the distance of
    the whole person.

    Args:
        keypoints: `(17, 3)` of the person in the frame of the box.
        box: of the tube, with its position.
        eye: of the camera.
        frame_id: coordinate frame of the camera.

    Returns:
        None if the box has no position, or no line is seen.
    """
    if box.position_m is None:
        return None
    marker = Marker(
        header=Header(stamp=time_message(box.stamp_ns), frame_id=frame_id),
        ns="keypoints",
        type=Marker.LINE_LIST,
        action=Marker.ADD,
        scale=Vector3(x=0.02),
        color=_color(ORANGE, 0.9),
    )
    marker.pose.orientation.w = 1.0
    z = box.position_m[2]
    for line in seen_lines(keypoints):
        rays = [eye.ray(*map(float, keypoints[point, :2])) for point in line]
        places = [(ray[0] * z, ray[1] * z, z) for ray in rays if ray is not None]
        if len(places) == len(line):
            marker.points += [point_message(place) for place in places]
    return marker if marker.points else None


def image_annotations(
    tube: Tube, box: TubeBox, keypoints: NDArray[np.float32] | None = None
) -> Any:
    """A `foxglove_msgs/ImageAnnotations` with one box, its keypoints `(17, 3)`, and the command.

    Raises:
        ImportError: foxglove_msgs is not installed.
    """
    from foxglove_msgs.msg import (
        Color,
        ImageAnnotations,
        Point2,
        PointsAnnotation,
        TextAnnotation,
    )

    def color(rgb: tuple[float, float, float], alpha: float) -> Any:
        return Color(r=rgb[0], g=rgb[1], b=rgb[2], a=alpha)

    x_min, y_min, x_max, y_max = map(float, box.box_xyxy_px)
    corners = ((x_min, y_min), (x_max, y_min), (x_max, y_max), (x_min, y_max))
    stamp = time_message(box.stamp_ns)
    frame = PointsAnnotation(
        timestamp=stamp,
        type=PointsAnnotation.LINE_LOOP,
        points=[Point2(x=x, y=y) for x, y in corners],
        outline_color=color(ORANGE, 1.0),
        thickness=3.0,
    )
    text = TextAnnotation(
        timestamp=stamp,
        position=Point2(x=x_min, y=y_min),
        text=f"{tube.query.text} ({tube.confidence:.2f})",
        font_size=16.0,
        text_color=color(WHITE, 1.0),
        background_color=color(ORANGE, 0.7),
    )
    shapes = [frame]
    if keypoints is not None:
        ends = [keypoints[point, :2] for line in seen_lines(keypoints) for point in line]
        shapes.append(
            PointsAnnotation(
                timestamp=stamp,
                type=PointsAnnotation.LINE_LIST,
                points=[Point2(x=float(x), y=float(y)) for x, y in ends],
                outline_color=color(ORANGE, 1.0),
                thickness=2.0,
            )
        )
    return ImageAnnotations(points=shapes, texts=[text])


def annotations_type() -> Any:
    """The message type of `image_annotations`, or None if foxglove_msgs is not installed."""
    try:
        from foxglove_msgs.msg import ImageAnnotations
    except ImportError:
        return None
    return ImageAnnotations


def _color(rgb: tuple[float, float, float], alpha: float) -> ColorRGBA:
    return ColorRGBA(r=rgb[0], g=rgb[1], b=rgb[2], a=alpha)
