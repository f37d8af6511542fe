# SPDX-License-Identifier: Apache-2.0

"""Decides from the data whether the ids of another node's detections are track ids.

A tracker gives one object one id. Other nodes write a class name, a constant, a new number for
each box, or restart counting after a restart. An id is no track id if it is twice in one image or
in one image only; a track ends where its id jumps to another object, and continues under another
id that starts in its place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import iou_matrix
from stvg_ros.external_detections import ExternalDetections

NO_ID = frozenset({"", "-1"})  # values that trackers write without an id
_STEPS = 3  # images with detections over which an id is compared
_SAME_OBJECT = 0.4  # IoU from one image to the next
_MOST_PIECES = 3  # an id that jumps more often is no track id
_JOINED_S = 1.0
_LOST_S = 1.5
_FAR = 1 / 3  # of the image's diagonal, within
_SOON_S = 0.5

Box = NDArray[np.float32]


@dataclass(eq=False)
class Segment:
    """Boxes of one object under one id, by frame, and their scores."""

    boxes: dict[int, Box] = field(default_factory=dict)
    scores: list[float] = field(default_factory=list)

    @property
    def first(self) -> int:
        """Its first frame."""
        return min(self.boxes)

    @property
    def last(self) -> int:
        """Its last frame."""
        return max(self.boxes)


@dataclass(frozen=True)
class JudgedIds:
    """The decision.

    Attributes:
        segments: the tracks of the ids.
        refused: ids that are no track ids (never in `segments`), with the reason.
        summary: the decision in one line.
    """

    segments: tuple[Segment, ...]
    refused: Mapping[str, str]
    summary: str


def judged(
    seen: Mapping[int, ExternalDetections], stamps_ns: NDArray[np.int64], size_px: tuple[int, int]
) -> JudgedIds:
    """Decides which of the ids are track ids.

    Args:
        seen: detections by frame, for the frames with a message.
        stamps_ns: `(F,)` of all frames.
        size_px: width and height of the image.
    """
    frames = sorted(seen)
    names = {name for detected in seen.values() for name in detected.track_ids} - NO_ID
    refused = _refused(seen, names)
    by_name = _by_name(seen, names - refused.keys())
    segments, cuts = [], 0
    for name, boxes in by_name.items():
        pieces = _pieces(boxes, seen, frames, stamps_ns, float(np.hypot(*size_px)))
        if len(pieces) > _MOST_PIECES:
            refused[name] = "jumps from one object to another"
            continue
        cuts += len(pieces) - 1
        segments += pieces
    segments, joins = _joined(segments, frames, stamps_ns)
    summary = _summary(len(by_name.keys() - refused.keys()), refused, cuts, joins)
    return JudgedIds(tuple(segments), refused, summary)


def _refused(seen: Mapping[int, ExternalDetections], names: set[str]) -> dict[str, str]:
    counts: dict[str, int] = defaultdict(int)
    refused = {}
    for detected in seen.values():
        present = set(detected.track_ids) & names
        for name in present:
            counts[name] += 1
            if detected.track_ids.count(name) > 1:
                refused[name] = "is more than once in one image"
    if len(seen) > 1:
        refused.update(
            {name: "is in one image only" for name in names if counts[name] == 1} | refused
        )
    return refused


def _by_name(seen: Mapping[int, ExternalDetections], names: set[str]) -> dict[str, Segment]:
    found: dict[str, Segment] = defaultdict(Segment)
    for frame in sorted(seen):
        detected = seen[frame]
        for index, name in enumerate(detected.track_ids):
            if name in names:
                found[name].boxes[frame] = detected.boxes_xyxy_px[index]
                found[name].scores.append(float(detected.scores[index]))
    return found


def _pieces(
    track: Segment,
    seen: Mapping[int, ExternalDetections],
    frames: Sequence[int],
    stamps_ns: NDArray[np.int64],
    diagonal_px: float,
) -> list[Segment]:
    """The track, split where its id jumps to another object."""
    rank = {frame: index for index, frame in enumerate(frames)}
    pieces = [Segment()]
    for frame, score in zip(sorted(track.boxes), track.scores, strict=True):
        own = pieces[-1]
        if own.boxes and rank[frame] - rank[own.last] <= _STEPS:
            before, here = own.boxes[own.last], track.boxes[frame]
            meant = _predicted(own, frame, stamps_ns)
            step_s = float(stamps_ns[frame] - stamps_ns[own.last]) / 1e9
            if _jumps(before, meant, here, step_s, seen[frame].boxes_xyxy_px, diagonal_px):
                pieces.append(Segment())
        pieces[-1].boxes[frame] = track.boxes[frame]
        pieces[-1].scores.append(score)
    return pieces


def _jumps(
    before: Box, meant: Box, here: Box, step_s: float, all_here: Box, diagonal_px: float
) -> bool:
    """Whether a box cannot be the object of box `before`, which is expected at `meant`."""
    ends = np.stack([before, meant])
    own = float(iou_matrix(ends, here[None]).max())
    if float(iou_matrix(ends, all_here).max()) >= own + _SAME_OBJECT:
        return True  # another box continues at this one's place
    side_px = float(before[2] - before[0] + before[3] - before[1]) / 2
    step_px = float(np.hypot(*(_centre(here) - _centre(before))))
    if own > 0 or step_px <= side_px * max(1.0, 2 * step_s):
        return False
    return step_s > _LOST_S or (step_s <= _SOON_S and step_px > _FAR * diagonal_px)


def _predicted(track: Segment, frame: int, stamps_ns: NDArray[np.int64]) -> Box:
    """The expected box of the object, from its last two boxes."""
    known = sorted(track.boxes)[-2:]
    last = track.boxes[known[-1]]
    if len(known) == 1:
        return last
    passed = float(stamps_ns[known[1]] - stamps_ns[known[0]])
    ahead = float(stamps_ns[frame] - stamps_ns[known[1]]) / passed
    moved = (_centre(last) - _centre(track.boxes[known[0]])) * ahead
    return np.asarray(last + np.tile(moved, 2), np.float32)


def _joined(
    segments: list[Segment], frames: Sequence[int], stamps_ns: NDArray[np.int64]
) -> tuple[list[Segment], int]:
    """Joins a segment that ends with one that starts at its place in the next images."""
    rank = {frame: index for index, frame in enumerate(frames)}
    joins = 0
    for later in sorted(segments, key=lambda segment: segment.first):
        best, chosen = _SAME_OBJECT, None
        for earlier in segments:
            steps = rank[later.first] - rank[earlier.last]
            passed_s = float(stamps_ns[later.first] - stamps_ns[earlier.last]) / 1e9
            if not 0 < steps <= _STEPS or passed_s > _JOINED_S:
                continue
            meant = _predicted(earlier, later.first, stamps_ns)
            ends = np.stack([earlier.boxes[earlier.last], meant])
            overlap = float(iou_matrix(ends, later.boxes[later.first][None]).max())
            if overlap >= best:
                best, chosen = overlap, earlier
        if chosen is not None:
            chosen.boxes.update(later.boxes)
            chosen.scores.extend(later.scores)
            segments.remove(later)
            joins += 1
    return segments, joins


def _summary(used: int, refused: Mapping[str, str], cuts: int, joins: int) -> str:
    parts = [f"{used} track ids"] if used else []
    if refused:
        name, why = next(iter(refused.items()))
        parts.append(f"{len(refused)} ids that are no track ids ({name[:40]!r} {why})")
    if not parts:
        parts.append("no ids")
    if refused or not used:
        parts.append("boxes without one are linked by place and colour")
    if cuts or joins:
        parts.append(f"ids that jump or change are followed by place ({cuts} cut, {joins} joined)")
    return "; ".join(parts)


def _centre(box: Box) -> NDArray[np.float32]:
    return np.asarray((box[:2] + box[2:]) / 2, np.float32)
