# SPDX-License-Identifier: Apache-2.0

"""Converts tubes and evidence to JSON and back."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from stvg_ros.commands.command import Command
from stvg_ros.errors import ErrorCode
from stvg_ros.types import (
    CandidateTube,
    Clip,
    Evidence,
    Picture,
    Query,
    SplitQuery,
    Status,
    Tube,
    TubeBox,
)


def tubes_to_json(clip: Clip, tubes: Sequence[CandidateTube], source: str) -> dict[str, Any]:
    """Candidate tubes as plain values; `frames` index `stamps_ns`."""
    return {
        "source": source,
        "size_px": list(clip.size_px),
        "stamps_ns": clip.stamps_ns.tolist(),
        "tubes": [
            {
                "id": str(tube.track_id),
                "score": tube.score,
                "frames": np.flatnonzero(tube.present).tolist(),
                "interpolated": tube.interpolated[tube.present].tolist(),
                "boxes_xyxy_px": np.round(tube.boxes_xyxy_px[tube.present], 2).tolist(),
            }
            for tube in tubes
        ],
    }


def tube_to_json(tube: Tube) -> dict[str, Any]:
    """The tube as plain values; NaN becomes None, since JSON has no NaN."""
    split = tube.split
    return {
        "query": tube.query.text,
        "query_id": tube.query.id,
        "attribute": split.attribute if split else "",
        "action": split.action if split else "",
        "split_method": split.method if split else "",
        "split_tokens": split.tokens if split else 0,
        "command": msgspec.to_builtins(split.command) if split and split.command else None,
        "status": tube.status.name.lower(),
        "error_code": int(tube.error_code),
        "error": tube.error,
        "warning": tube.warning,
        "decided": tube.decided,
        "camera": tube.camera,
        "image_age_s": tube.image_age_s,
        "confidence": tube.confidence,
        "calibrated": tube.calibrated,
        "rank": tube.rank,
        "track_id": tube.track_id,
        "score": None if math.isnan(tube.score) else tube.score,
        "preliminary": tube.preliminary,
        "consistency": None if math.isnan(tube.consistency) else tube.consistency,
        "dropped_steps": tube.dropped_steps,
        "start_ns": tube.start_ns,
        "end_ns": tube.end_ns,
        "stamp_ns": tube.stamp_ns,
        "width_px": tube.width_px,
        "height_px": tube.height_px,
        "frame_id": tube.frame_id,
        "model": tube.model,
        "candidates": tube.candidates,
        "timings_s": dict(tube.timings_s),
        "cost": dict(tube.cost),
        "from_memory": tube.from_memory,
        "picture": None if tube.picture is None else picture_to_json(tube.picture),
        "boxes": [
            {
                "stamp_ns": box.stamp_ns,
                "box_xyxy_px": list(box.box_xyxy_px),
                "score": box.score,
                "interpolated": box.interpolated,
            }
            for box in tube.boxes
        ],
    }


def tube_from_json(values: Mapping[str, Any]) -> Tube:
    """The tube that `tube_to_json` described.

    Raises:
        KeyError: a field is missing.
    """
    query = Query(values["query"], id=values["query_id"])
    command = values["command"]
    split = SplitQuery(
        query.text,
        values["attribute"],
        values["action"],
        values["split_method"],
        command=None if command is None else msgspec.convert(command, Command),
        tokens=values.get("split_tokens", 0),
    )
    boxes = []
    for item in values["boxes"]:
        x1, y1, x2, y2 = map(float, item["box_xyxy_px"])
        boxes.append(
            TubeBox(item["stamp_ns"], (x1, y1, x2, y2), item["score"], item["interpolated"])
        )
    consistency, score = values["consistency"], values["score"]
    return Tube(
        query=query,
        status=Status[values["status"].upper()],
        split=split if split.method else None,
        boxes=tuple(boxes),
        start_ns=values["start_ns"],
        end_ns=values["end_ns"],
        confidence=values["confidence"],
        calibrated=values.get("calibrated", True),  # answers of earlier versions have none
        rank=values["rank"],
        track_id=values["track_id"],
        score=math.nan if score is None else score,
        preliminary=values["preliminary"],
        consistency=math.nan if consistency is None else consistency,
        dropped_steps=values["dropped_steps"],
        width_px=values["width_px"],
        height_px=values["height_px"],
        frame_id=values["frame_id"],
        stamp_ns=values["stamp_ns"],
        model=values["model"],
        candidates=values.get("candidates", ""),
        error_code=ErrorCode(values["error_code"]),
        error=values["error"],
        warning=values["warning"],
        decided=values.get("decided", ""),
        camera=values["camera"],
        image_age_s=values["image_age_s"],
        timings_s=values["timings_s"],
        cost=values.get("cost", {}),  # not in answers of earlier versions
        from_memory=values.get("from_memory", False),  # not in answers of earlier versions
        picture=None if not values.get("picture") else picture_from_json(values["picture"]),
    )


def picture_to_json(picture: Picture) -> dict[str, Any]:
    """A picture as plain values."""
    data = base64.b64encode(picture.jpeg).decode("ascii")
    return {"stamp_ns": picture.stamp_ns, "jpeg_base64": data}


def picture_from_json(values: Mapping[str, Any]) -> Picture:
    """The picture that `picture_to_json` described.

    Raises:
        KeyError: a field is missing.
        ValueError: the text is not base64.
    """
    return Picture(values["stamp_ns"], base64.b64decode(values["jpeg_base64"], validate=True))


def evidence_to_json(evidence: Evidence) -> dict[str, Any]:
    """The evidence as plain lists; NaN becomes None."""
    return {
        "stamps_ns": evidence.stamps_ns.tolist(),
        "slots": [list(members) for members in evidence.slots],
        "grid": list(evidence.spatial.shape),
        "spatial": evidence.spatial.ravel().tolist(),
        "temporal": evidence.temporal.ravel().tolist(),
        "frame_scores": [float(s) if math.isfinite(s) else None for s in evidence.frame_scores],
        "track_scores": {str(k): float(v) for k, v in evidence.track_scores.items()},
        "track_boxes": {
            str(track): [None if np.isnan(box[0]) else np.round(box, 2).tolist() for box in boxes]
            for track, boxes in evidence.track_boxes.items()
        },
        "keypoints": {
            str(track): [[_known(point) for point in person] for person in frames.tolist()]
            for track, frames in evidence.keypoints.items()
        },
        "grounding_token": evidence.grounding_token,
        "margins": list(evidence.margins),
        "looks": {str(track): margin for track, margin in evidence.looks.items()},
    }


def _known(values: list[float]) -> list[float | None]:
    return [round(value, 3) if math.isfinite(value) else None for value in values]


def evidence_from_json(values: Mapping[str, Any]) -> Evidence:
    """The evidence that `evidence_to_json` described.

    Raises:
        KeyError: a field is missing.
    """
    grid = tuple(values["grid"])
    scores = [math.nan if score is None else score for score in values["frame_scores"]]
    return Evidence(
        stamps_ns=np.array(values["stamps_ns"], np.int64),
        slots=tuple(tuple(members) for members in values["slots"]),
        spatial=np.array(values["spatial"], np.float32).reshape(grid),
        temporal=np.array(values["temporal"], np.float32).reshape(grid),
        frame_scores=np.array(scores, np.float32),
        track_scores={int(k): float(v) for k, v in values["track_scores"].items()},
        track_boxes={
            int(track): np.array([box or [math.nan] * 4 for box in boxes], np.float32)
            for track, boxes in values.get("track_boxes", {}).items()
        },
        keypoints={
            int(track): np.array(points, np.float32)  # None becomes NaN
            for track, points in values.get("keypoints", {}).items()
        },
        grounding_token=values["grounding_token"],
        margins=tuple(values["margins"]),
        looks={int(track): margin for track, margin in values.get("looks", {}).items()},
    )


def table(tube: Tube, origin_ns: int = 0, rows: int = 10) -> str:
    """The tube as text: the parsed command, the outcome, boxes and times.

    Args:
        tube: the answer.
        origin_ns: the stamp that is printed as 0 s.
        rows: maximum number of listed boxes, spread evenly.
    """
    lines = [f"query       {tube.query.text}"]
    if tube.split and tube.split.command:
        fields = tube.split.command.json()
        for name in ("place", "then", "number", "relation", "not", "time"):
            if fields[name] not in ("", "one"):
                lines.append(f"{name:<11} {fields[name]}")
        lines += [f"problem     {problem}" for problem in tube.split.command.problems]
    if tube.split:
        lines.append(f"where       {tube.split.attribute}")
        lines.append(f"when        {tube.split.action}")
    lines.append(f"outcome     {tube.status.name.lower().replace('_', ' ')}")
    if tube.error:
        lines.append(f"reason      {tube.error}")
    if tube.warning:
        lines.append(f"warning     {tube.warning}")
    if tube.status != Status.FAILED:
        known = "" if tube.calibrated else ", not calibrated"
        lines.append(f"confidence  {tube.confidence:.2f}{known}")
    if tube.status == Status.FOUND:
        start_s, end_s = (tube.start_ns - origin_ns) / 1e9, (tube.end_ns - origin_ns) / 1e9
        lines.append(f"span        {start_s:.2f} s to {end_s:.2f} s, {len(tube.boxes)} boxes")
        lines.append(f"{'time':>10}{'x1':>8}{'y1':>8}{'x2':>8}{'y2':>8}{'score':>8}")
        count = min(rows, len(tube.boxes))
        for index in np.linspace(0, len(tube.boxes) - 1, count).round().astype(int):
            box = tube.boxes[index]
            edges = "".join(f"{edge:8.1f}" for edge in box.box_xyxy_px)
            lines.append(f"{(box.stamp_ns - origin_ns) / 1e9:8.2f} s{edges}{box.score:8.2f}")
    if tube.decided:
        lines.append(f"decided     {tube.decided}")
    if tube.model:
        lines.append(f"model       {tube.model}")
    if tube.candidates:
        lines.append(f"candidates  {tube.candidates}")
    if tube.timings_s:
        total_s = sum(tube.timings_s.values())
        tokens = tube.split.tokens if tube.split else 0
        of_split = f" ({tokens} tokens)" if tokens else ""
        stages = ", ".join(
            f"{name} {seconds:.2f}{of_split if name == 'split' else ''}"
            for name, seconds in tube.timings_s.items()
        )
        lines.append(f"times       {total_s:.2f} s in all: {stages}")
    if tube.cost:
        counts = ", ".join(f"{count} {name}" for name, count in tube.cost.items() if count)
        lines.append(f"cost        {counts or 'nothing'}")
    return "\n".join(lines)
