# SPDX-License-Identifier: Apache-2.0

"""The tube of a target that has a name: the candidate with its last known box, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stvg_ros.boxes import iou_matrix
from stvg_ros.known_target import KnownTarget
from stvg_ros.types import CandidateTube, Clip, Grounding, Status, Tube, TubeBox

MIN_IOU = 0.5  # of the last known box and the candidate's box in the same image
_MOST_APART_NS = 500_000_000  # of the last known box and the image that is compared


def known_grounding(
    known: KnownTarget, clip: Clip, candidates: Sequence[CandidateTube], template: Tube
) -> Grounding:
    """The tube of a known target in a clip, or why there is none.

    Args:
        known: the target, whose last known box has to be in the clip.
        clip: the frames.
        candidates: the tubes.
        template: the other fields of the answer.
    """
    stamps_ns = clip.stamps_ns
    frame = int(np.argmin(np.abs(stamps_ns - known.stamp_ns)))
    age_s = (int(stamps_ns[-1]) - known.stamp_ns) / 1e9
    if abs(int(stamps_ns[frame]) - known.stamp_ns) > _MOST_APART_NS:
        reason = (
            f"{known.name!r} was seen last {age_s:.1f} s before the newest image, which is outside "
            "the window; teach the name again (~/teach)"
        )
        return _not_found(template, reason, candidates)
    box = np.array([known.box_xyxy_px], np.float32)
    rated = [
        (float(iou_matrix(box, one.boxes_xyxy_px[frame : frame + 1])[0, 0]), one)
        for one in candidates
        if one.present[frame]
    ]
    overlap, best = max(rated, key=lambda pair: pair[0], default=(0.0, None))
    if best is None or overlap < MIN_IOU:
        reason = (
            f"no candidate tube has the last known box of {known.name!r}, {age_s:.1f} s before the "
            "newest image; teach the name again (~/teach)"
        )
        return _not_found(template, reason, candidates)
    tube = found_tube(best, clip, template, overlap)
    return Grounding((tube,), candidates=tuple(candidates))


def found_tube(candidate: CandidateTube, clip: Clip, template: Tube, confidence: float) -> Tube:
    """A candidate as the tube of an answer, over all frames in which it is.

    Args:
        candidate: the tube.
        clip: its frames.
        template: the other fields of the answer.
        confidence: 0 to 1.
    """
    stamps_ns = clip.stamps_ns
    boxes = tuple(
        TubeBox(
            stamp_ns=int(stamps_ns[i]),
            box_xyxy_px=tuple(map(float, candidate.boxes_xyxy_px[i])),  # type: ignore[arg-type]
            score=1.0,
            interpolated=bool(candidate.interpolated[i]),
        )
        for i in np.flatnonzero(candidate.present)
    )
    return replace(
        template,
        status=Status.FOUND,
        error="",
        track_id=candidate.track_id,
        confidence=confidence,
        score=confidence,
        start_ns=boxes[0].stamp_ns,
        end_ns=boxes[-1].stamp_ns,
        boxes=boxes,
    )


def _not_found(template: Tube, reason: str, candidates: Sequence[CandidateTube]) -> Grounding:
    tube = replace(template, status=Status.NOT_FOUND, error=reason)
    return Grounding((tube,), candidates=tuple(candidates))
