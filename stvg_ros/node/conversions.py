# SPDX-License-Identifier: Apache-2.0

"""Converts messages to queries, and tubes, answers and evidence to messages."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from stvg_ros import msg
from stvg_ros.body.keypoints import COUNT
from stvg_ros.io.image_messages import stamp_ns as stamp_ns
from stvg_ros.types import Evidence, Grounding, Picture, Query, Status, Tube, TubeBox


def time_message(nanoseconds: int) -> Time:
    """A `builtin_interfaces/Time`."""
    return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def duration_message(seconds: float) -> Duration:
    """A `builtin_interfaces/Duration`."""
    nanoseconds = round(seconds * 1e9)
    return Duration(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def query_of(message: Any, query_id: str) -> Query:
    """A query from a `stvg_ros/Query`, a goal of `stvg_ros/Ground`, or a service's request.

    Raises:
        CommandError: empty or too long text, or an invalid window or deadline.
    """
    deadline_s = message.deadline.sec + message.deadline.nanosec * 1e-9
    return Query(
        text=message.text,
        id=query_id,
        start_ns=stamp_ns(message.window_start, "window_start") or None,
        end_ns=stamp_ns(message.window_end, "window_end") or None,
        deadline_s=deadline_s or None,
        max_targets=getattr(message, "max_targets", 0) or 1,  # services without it get one tube
        preliminary=getattr(message, "preliminary", False),  # only stvg_ros/Query has it
        camera=message.camera,
        picture=message.picture,
    )


def tube_message(tube: Tube) -> msg.Tube:
    """A tube as `stvg_ros/Tube`."""
    split = tube.split
    result = msg.Tube(
        header=Header(stamp=time_message(tube.stamp_ns), frame_id=tube.frame_id),
        camera=tube.camera,
        query_id=tube.query.id,
        query=tube.query.text,
        attribute=split.attribute if split else "",
        action=split.action if split else "",
        split_method=split.method if split else "",
        split_fallbacks=list(split.fallbacks) if split else [],
        status=int(tube.status),
        error_code=int(tube.error_code),
        error=tube.error,
        warning=tube.warning,
        image_age=float(tube.image_age_s),
        confidence=float(tube.confidence),
        decided=tube.decided,
        calibrated=tube.calibrated,
        rank=tube.rank,
        track_id=tube.track_id,
        score=float(tube.score),
        consistency=float(tube.consistency),
        dropped_steps=tube.dropped_steps,
        preliminary=tube.preliminary,
        start=time_message(tube.start_ns),
        end=time_message(tube.end_ns),
        image_width=tube.width_px,
        image_height=tube.height_px,
        target_frame=tube.target_frame,
        model=tube.model,
        candidates=tube.candidates,
        from_memory=tube.from_memory,
    )
    if tube.picture is not None:
        result.picture = picture_message(tube.picture, tube.frame_id)
    command = split.command if split else None
    if command is not None:
        result.intent = command.intent
        result.target = command.target
        result.place = command.place
        result.then = command.then
        number = command.number
        result.number = number if isinstance(number, int) else int(number == "one")
        result.relation = command.relation.text if command.relation else ""
        result.negation = command.negated
        result.time = command.time.text if command.time else ""
        result.problems = list(command.problems)
    result.boxes = [box_message(box) for box in tube.boxes]
    for stage, seconds in tube.timings_s.items():
        result.timings.append(msg.StageTiming(stage=stage, duration_s=float(seconds)))
    return result


def answer_message(grounding: Grounding) -> msg.Answer:
    """The answer to a question as `stvg_ros/Answer`; empty text if there was no question."""
    best = grounding.best
    command = best.split.command if best.split else None
    return msg.Answer(
        header=Header(stamp=time_message(best.stamp_ns), frame_id=best.frame_id),
        query_id=best.query.id,
        query=best.query.text,
        intent=command.intent if command else "",
        asked=command.asked if command else "",
        text=grounding.text,
        number=grounding.number or 0,
        tubes=[tube_message(tube) for tube in grounding.tubes if tube.status is Status.FOUND],
    )


def box_message(box: TubeBox) -> msg.TubeBox:
    """A box as `stvg_ros/TubeBox`."""
    x_min, y_min, x_max, y_max = box.box_xyxy_px
    return msg.TubeBox(
        stamp=time_message(box.stamp_ns),
        x_min=x_min,
        y_min=y_min,
        x_max=x_max,
        y_max=y_max,
        score=box.score,
        interpolated=box.interpolated,
        has_position=box.position_m is not None,
        position=point_message(box.position_m),
        has_target_position=box.target_position_m is not None,
        target_position=point_message(box.target_position_m),
    )


def picture_message(picture: Picture, frame_id: str) -> CompressedImage:
    """A picture as `sensor_msgs/CompressedImage`."""
    header = Header(stamp=time_message(picture.stamp_ns), frame_id=frame_id)
    return CompressedImage(header=header, format="jpeg", data=array("B", picture.jpeg))


def point_message(position_m: tuple[float, float, float] | None) -> Point:
    """A `geometry_msgs/Point`; the origin for None."""
    x, y, z = position_m or (0.0, 0.0, 0.0)
    return Point(x=x, y=y, z=z)


def evidence_message(evidence: Evidence, tube: Tube) -> msg.Evidence:
    """The evidence behind a tube as `stvg_ros/Evidence`."""
    slots, rows, columns = evidence.spatial.shape
    unknown = np.full((len(evidence.stamps_ns), 4), np.nan, np.float32)
    slot_of_frame = [0] * len(evidence.stamps_ns)
    for slot, frames in enumerate(evidence.slots):
        for frame in frames:
            slot_of_frame[frame] = slot
    return msg.Evidence(
        header=Header(stamp=time_message(tube.stamp_ns), frame_id=tube.frame_id),
        query_id=tube.query.id,
        stamps=[time_message(int(ns)) for ns in evidence.stamps_ns],
        slot_of_frame=slot_of_frame,
        slots=slots,
        rows=rows,
        columns=columns,
        spatial=evidence.spatial.astype(np.float32).ravel().tolist(),
        temporal=evidence.temporal.astype(np.float32).ravel().tolist(),
        frame_scores=evidence.frame_scores.astype(np.float32).tolist(),
        track_ids=list(evidence.track_scores),
        track_scores=[float(score) for score in evidence.track_scores.values()],
        track_boxes=[
            float(edge)
            for track in evidence.track_scores
            for edge in evidence.track_boxes.get(track, unknown).ravel()
        ],
        track_keypoints=_keypoints(evidence),
        grounding_token=evidence.grounding_token,
    )


def _keypoints(evidence: Evidence) -> list[float]:
    """The keypoints of all tracks, in the order of the tracks; empty if there are none."""
    if not evidence.keypoints:
        return []
    unknown = np.full((len(evidence.stamps_ns), COUNT, 3), np.nan, np.float32)
    known = [evidence.keypoints.get(track, unknown) for track in evidence.track_scores]
    return [float(value) for points in known for value in points.ravel()]
