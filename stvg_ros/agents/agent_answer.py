# SPDX-License-Identifier: Apache-2.0

"""What a tool answers: plain values with units, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from stvg_ros.io.image_messages import image_frame
from stvg_ros.msg import Tube
from stvg_ros.visualization.drawing import CANDIDATE, draw_box

_LONG_SIDE_PX = 768
_JPEG_QUALITY = 85


@dataclass(frozen=True)
class AgentPerson:
    """A person of an answer, where it was seen last.

    Attributes:
        confidence: 0 to 1.
        calibrated: whether the confidence was calibrated for this model and such pictures.
        camera: name of the camera; empty if there is only one.
        box_xyxy_px: x1, y1, x2, y2 in pixels of the camera's image.
        image_size_px: width and height of the camera's image.
        seen_s_ago: from the box to the newest image that was searched, in seconds.
        span_s: duration of what the sentence describes, in seconds.
        position_m: x, y, z in metres in `frame_id`; empty without depth.
        frame_id: frame of the position.
    """

    confidence: float
    calibrated: bool
    camera: str
    box_xyxy_px: list[float]
    image_size_px: list[int]
    seen_s_ago: float
    span_s: float
    position_m: list[float]
    frame_id: str


@dataclass(frozen=True)
class AgentAnswer:
    """The answer of a tool.

    Attributes:
        outcome: what happened.
        text: the answer in words.
        number: matching people.
        people: where they were seen last, best first.
        warning: limits of the answer.
    """

    outcome: Literal["found", "not_found", "answered", "following", "stopped", "timed_out"]
    text: str
    number: int
    people: list[AgentPerson]
    warning: str


def people_of(tubes: Sequence[Tube]) -> list[AgentPerson]:
    """The people of the tubes that have boxes."""
    return [_person(tube) for tube in tubes if tube.boxes]


def _person(tube: Tube) -> AgentPerson:
    box = tube.boxes[-1]
    position, frame_id = [], ""
    if box.has_target_position:
        position, frame_id = _metres(box.target_position), tube.target_frame
    elif box.has_position:
        position, frame_id = _metres(box.position), tube.header.frame_id
    return AgentPerson(
        confidence=round(float(tube.confidence), 3),
        calibrated=bool(tube.calibrated),
        camera=tube.camera,
        box_xyxy_px=[round(float(v), 1) for v in (box.x_min, box.y_min, box.x_max, box.y_max)],
        image_size_px=[int(tube.image_width), int(tube.image_height)],
        seen_s_ago=round(_seconds(tube.header.stamp) - _seconds(box.stamp), 3),
        span_s=round(_seconds(tube.end) - _seconds(tube.start), 3),
        position_m=position,
        frame_id=frame_id,
    )


def _metres(point: Any) -> list[float]:
    return [round(float(value), 3) for value in (point.x, point.y, point.z)]


def _seconds(stamp: Any) -> float:
    return float(stamp.sec + stamp.nanosec / 1e9)


def jpeg(message: Any, others: Sequence[Tube]) -> bytes:
    """The annotated image of the best tube as JPEG, with the last boxes of the other tubes.

    Args:
        message: a `sensor_msgs/Image`.
        others: tubes with boxes in pixels of the original image; those of other cameras, or that
            were seen last at another time, are not drawn.

    Raises:
        ImageError: the image is damaged.
    """
    image = np.array(image_frame(message, _LONG_SIDE_PX).image, np.uint8, order="C")
    height, width = image.shape[:2]
    for tube in others:
        if not tube.boxes or tube.boxes[-1].stamp != message.header.stamp:
            continue
        box = tube.boxes[-1]
        x_scale, y_scale = width / tube.image_width, height / tube.image_height
        scaled = box.x_min * x_scale, box.y_min * y_scale, box.x_max * x_scale, box.y_max * y_scale
        draw_box(image, scaled, f"{tube.confidence:.2f}", CANDIDATE)
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, data = cv2.imencode(".jpg", image[..., ::-1], options)
    return bytes(data)
