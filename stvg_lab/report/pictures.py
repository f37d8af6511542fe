# SPDX-License-Identifier: Apache-2.0

"""Pictures of a report: a few frames of a sample with its boxes and heat map, as JPEG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stvg_lab.runs.records import Result
from stvg_ros.errors import ImageError, RecordingError
from stvg_ros.images import jpeg_bytes, reduced_size
from stvg_ros.io.recording import Source, source_images
from stvg_ros.types import Frame, Query, Status, Tube, TubeBox
from stvg_ros.visualization.contact_sheet import cell

LONG_SIDE_PX = 360
_EVENLY, _IN_SPAN = 4, 2  # frames over the whole clip, and in each of the two spans


@dataclass(frozen=True)
class ReportPicture:
    """A frame of a sample: its time, its JPEG file, and its alternative text."""

    time_s: float
    jpeg: bytes
    about: str


def draw(
    results: Iterable[Result], max_bytes: int
) -> tuple[dict[str, list[ReportPicture]], dict[str, str]]:
    """Pictures of samples by id, and the reasons for missing ones.

    Args:
        results: the samples, the most important first; each source is read once.
        max_bytes: limit of the sum; further samples have no pictures.
    """
    by_source: dict[Source, list[Result]] = {}
    reasons: dict[str, str] = {}
    drawn: dict[str, list[ReportPicture]] = {}
    asked = list(results)
    for result in asked:
        if len(result.stamps_ns):
            by_source.setdefault(result.source, []).append(result)
        else:
            reasons[result.id] = "no frame of it could be read"
    for source, members in by_source.items():
        wanted = {result.id: shown_stamps(result) for result in members}
        try:
            frames = _frames(source, set(np.concatenate(list(wanted.values())).tolist()))
        except RecordingError as error:
            reasons.update({result.id: str(error) for result in members})
            continue
        for result in members:
            kept = [frames[int(stamp)] for stamp in wanted[result.id] if int(stamp) in frames]
            drawn[result.id] = [_picture(result, frame) for frame in kept]
            if not kept:
                reasons[result.id] = f"{source.path}: has no images at the frames of the run"
    total = 0
    for result in asked:
        size = sum(len(picture.jpeg) for picture in drawn.get(result.id, ()))
        if total + size > max_bytes:
            del drawn[result.id]
            reasons[result.id] = "left out to bound the size of this file"
        else:
            total += size
    return drawn, reasons


def shown_stamps(result: Result) -> NDArray[np.int64]:
    """Stamps of the frames to show: inside the true and found spans, and over the whole clip."""
    count = len(result.stamps_ns)
    wished = [
        *(_inside(truth_rows(result))),
        *(_inside(found_rows(result))),
        *np.linspace(0, count - 1, _EVENLY).round().astype(int).tolist(),
    ]
    shown: list[int] = []
    for row in wished:
        # Two frames with close stamps look the same.
        if all(abs(row - other) > count / 30 for other in shown):
            shown.append(row)
    return np.asarray(result.stamps_ns[sorted(shown)], np.int64)


def _inside(rows: NDArray[np.intp]) -> list[int]:
    """A few frames of a span, not at its ends."""
    if not len(rows):
        return []
    edges = np.linspace(int(rows[0]), int(rows[-1]), _IN_SPAN + 2)[1:-1]
    return [int(row) for row in edges.round()]


def truth_rows(result: Result) -> NDArray[np.intp]:
    """Numbers of the scored frames in the true span."""
    return np.flatnonzero(result.truth.span) if result.truth is not None else np.zeros(0, np.intp)


def found_rows(result: Result) -> NDArray[np.intp]:
    """Numbers of the scored frames in the span of the answer."""
    if not result.tubes or result.tubes[0].status is not Status.FOUND:
        return np.zeros(0, np.intp)
    tube = result.tubes[0]
    inside = (result.stamps_ns >= tube.start_ns) & (result.stamps_ns <= tube.end_ns)
    return np.flatnonzero(inside)


def _frames(source: Source, stamps_ns: set[int]) -> dict[int, Frame]:
    """The readable frames of the source with these stamps."""
    found: dict[int, Frame] = {}
    for image in source_images(source):
        if image.stamp_ns in stamps_ns and image.stamp_ns not in found:
            try:
                found[image.stamp_ns] = image.frame(2 * LONG_SIDE_PX)
            except ImageError:
                continue
            if len(found) == len(stamps_ns):
                break
    return found


def _picture(result: Result, frame: Frame) -> ReportPicture:
    """The frame with the boxes of both tubes."""
    stamp_ns, origin_ns = frame.stamp_ns, int(result.stamps_ns[0])
    tube = _tube_at(result, stamp_ns)
    truth = None
    if result.truth is not None:
        rows = np.flatnonzero(result.truth.span & result.truth.present)
        truth = result.stamps_ns[rows], result.truth.boxes_xyxy_px[rows]
    width, height = reduced_size(frame.source_width_px, frame.source_height_px, LONG_SIDE_PX)
    image = cell(
        frame, (width, height), tube, origin_ns=origin_ns, evidence=result.evidence, truth=truth
    )
    has_truth = truth is not None and bool(np.any(truth[0] == stamp_ns))
    names = [name for name, there in (("predicted", tube.boxes), ("true", has_truth)) if there]
    time_s = (stamp_ns - origin_ns) / 1e9
    about = f"{time_s:.1f} s: {' and '.join(names) or 'no'} box{'es' if len(names) > 1 else ''}"
    return ReportPicture(time_s, jpeg_bytes(image, LONG_SIDE_PX, quality=80), about)


def _tube_at(result: Result, stamp_ns: int) -> Tube:
    """The answer with only its box at a stamp, linear in time between stored frames."""
    if not result.tubes:
        return Tube(Query(result.query), Status.FAILED)
    tube = result.tubes[0]
    if not tube.boxes or not tube.start_ns <= stamp_ns <= tube.end_ns:
        return replace(tube, boxes=())
    known = [float(box.stamp_ns - tube.start_ns) for box in tube.boxes]
    edges = np.array([box.box_xyxy_px for box in tube.boxes], np.float64)
    at = float(stamp_ns - tube.start_ns)
    x1, y1, x2, y2 = (float(np.interp(at, known, edges[:, side])) for side in range(4))
    return replace(tube, boxes=(TubeBox(stamp_ns, (x1, y1, x2, y2), 1.0),))


def curve(result: Result) -> Sequence[tuple[float, float]]:
    """Frame scores of the evidence over time, in seconds and 0 to 1; empty without evidence."""
    evidence = result.evidence
    if evidence is None or not np.isfinite(evidence.frame_scores).any():
        return ()
    known = np.isfinite(evidence.frame_scores)
    scores = evidence.frame_scores[known].astype(np.float64)
    low = min(float(scores.min()), 0.0)
    heights = (scores - low) / max(float(scores.max()) - low, 1e-12)
    times_s = (evidence.stamps_ns[known] - int(result.stamps_ns[0])) / 1e9
    return list(zip(times_s.tolist(), heights.tolist(), strict=True))
