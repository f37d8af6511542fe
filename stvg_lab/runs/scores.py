# SPDX-License-Identifier: Apache-2.0

"""Tubes on the frames of a clip, the scores of one answer, and the means of many.

A clip has F frames; spans are runs of these frames, both ends included. A missing or failed answer
scores 0 everywhere. `conventions.scored` scores an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes, checked_boxes
from stvg_ros.types import Status, Tube

# Reference answers: the grounder's track at all times, and in the true span; the best of its
# candidate tubes (an oracle) at all times, and in the true span.
REFERENCES = ("whole_window", "own_track_true_span", "best_track", "best_track_true_span")


@dataclass(frozen=True, eq=False)
class FrameTube:
    """A tube on the frames of a clip.

    Attributes:
        boxes_xyxy_px: `(F, 4)`; rows where `present` is false are meaningless.
        present: `(F,)` bool, frames with a box, inside or outside the span.
        span: `(F,)` bool, the frames of the time span.
    """

    boxes_xyxy_px: Boxes
    present: NDArray[np.bool_]
    span: NDArray[np.bool_]

    def __post_init__(self) -> None:
        count = len(self.span)
        object.__setattr__(self, "boxes_xyxy_px", checked_boxes(self.boxes_xyxy_px, count))
        if self.present.shape != (count,) or self.span.shape != (count,):
            raise ValueError(
                f"FrameTube: expected present ({count},) and span ({count},), "
                f"got {self.present.shape} and {self.span.shape}"
            )

    @classmethod
    def nothing(cls, count: int) -> FrameTube:
        """The empty answer for `count` frames."""
        none = np.zeros(count, np.bool_)
        return cls(np.zeros((count, 4), np.float32), none, none)


def on_clip(tube: Tube, stamps_ns: NDArray[np.int64]) -> FrameTube:
    """A tube's boxes and span on a clip's frames, matched by stamps; empty unless found."""
    result = FrameTube.nothing(len(stamps_ns))
    if tube.status != Status.FOUND:
        return result
    boxes, present = result.boxes_xyxy_px.copy(), result.present.copy()
    row_of = {int(stamp_ns): row for row, stamp_ns in enumerate(stamps_ns)}
    for box in tube.boxes:
        row = row_of.get(box.stamp_ns)
        if row is not None:
            boxes[row], present[row] = box.box_xyxy_px, True
    span = (stamps_ns >= tube.start_ns) & (stamps_ns <= tube.end_ns)
    return FrameTube(boxes, present, span)


def spread(
    tube: FrameTube, stored_ns: NDArray[np.int64], stamps_ns: NDArray[np.int64]
) -> FrameTube:
    """Interpolates a tube from the frames in a window to all frames of the camera.

    Boxes are linear in time between two kept frames that both have one; outside the kept frames
    the nearest box is repeated. The span reaches from its first to its last kept frame.

    Args:
        tube: a tube on the K kept frames.
        stored_ns: `(K,)` their increasing stamps, K >= 1.
        stamps_ns: `(F,)` increasing stamps of all frames.
    """
    after = np.clip(np.searchsorted(stored_ns, stamps_ns), 0, len(stored_ns) - 1)
    before = np.where(stored_ns[after] <= stamps_ns, after, np.maximum(after - 1, 0))
    before = np.where(stamps_ns >= stored_ns[-1], len(stored_ns) - 1, before)
    gap_ns = (stored_ns[after] - stored_ns[before]).astype(np.float64)
    share = np.where(gap_ns > 0, (stamps_ns - stored_ns[before]) / np.maximum(gap_ns, 1), 0.0)
    share = np.clip(share, 0.0, 1.0)[:, None]
    boxes = tube.boxes_xyxy_px[before] * (1 - share) + tube.boxes_xyxy_px[after] * share
    present = tube.present[before] & tube.present[after]
    span = np.zeros(len(stamps_ns), np.bool_)
    if tube.span.any():
        first, last = np.flatnonzero(tube.span)[[0, -1]]
        span = (before >= first) & (after <= last)
    return FrameTube(boxes.astype(np.float32), present, span)


@dataclass(frozen=True)
class Score:
    """The scores of one answer, each 0 to 1.

    Attributes:
        t_iou: frames in both spans / frames in either span.
        v_iou: sum of box IoU over frames in both spans / frames in either span.
        gt_v_iou: mean box IoU over the true frames; 0 in frames where the answer has no box.
    """

    t_iou: float
    v_iou: float
    gt_v_iou: float


NO_SCORE = Score(0.0, 0.0, 0.0)  # of failed or missing answers


def checked_pair(predicted: FrameTube, truth: FrameTube) -> None:
    """Raises a ValueError if the two cannot be scored against one another."""
    if len(predicted.span) != len(truth.span):
        raise ValueError(
            f"expected tubes on one clip, got {len(predicted.span)} and {len(truth.span)} frames"
        )
    if not truth.span.any():
        raise ValueError("the true span is empty: an absent target has no tube to compare with")


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval."""

    mean: float
    low: float
    high: float


def bootstrap(
    values: Sequence[float], *, seed: int = 0, resamples: int = 1000, level: float = 0.95
) -> Interval:
    """Mean of the samples and its percentile interval; equal arguments give equal results.

    Raises:
        ValueError: no values, or a level outside 0 to 1.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"bootstrap: expected one value or more, got shape {array.shape}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected more than 0 and less than 1, got {level}")
    rng = np.random.default_rng(seed)
    means = array[rng.integers(len(array), size=(resamples, len(array)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(array.mean()), float(low), float(high))


def summarised(scores: Sequence[Score], *, seed: int = 0) -> dict[str, Interval]:
    """m_tIoU, m_vIoU, vIoU@0.3, vIoU@0.5 (strictly greater) and m_gt_vIoU, with 95 % intervals.

    Raises:
        ValueError: no scores.
    """
    columns = {
        "m_tIoU": [s.t_iou for s in scores],
        "m_vIoU": [s.v_iou for s in scores],
        "vIoU@0.3": [float(s.v_iou > 0.3) for s in scores],
        "vIoU@0.5": [float(s.v_iou > 0.5) for s in scores],
        "m_gt_vIoU": [s.gt_v_iou for s in scores],
    }
    return {name: bootstrap(values, seed=seed) for name, values in columns.items()}


def auroc(present: Sequence[float], absent: Sequence[float]) -> float:
    """Probability that a present target's confidence exceeds an absent one's; ties count half.

    NaN if either side is empty.
    """
    if not len(present) or not len(absent):
        return float("nan")
    gaps = np.asarray(present, np.float64)[:, None] - np.asarray(absent, np.float64)[None, :]
    return float(np.mean((gaps > 0) + 0.5 * (gaps == 0)))
