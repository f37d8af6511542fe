# SPDX-License-Identifier: Apache-2.0

"""Tubes on the frames of a clip, the scores of one answer, and the means of many.

A clip has F frames; spans are runs of these frames, both ends included. A missing or failed answer
scores 0 everywhere. `conventions.scored` scores an answer.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
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


METRICS = ("m_tIoU", "m_vIoU", "vIoU@0.3", "vIoU@0.5", "m_gt_vIoU")


def contributions(score: Score) -> list[float]:
    """What a sample contributes to each of `METRICS`."""
    return [score.t_iou, score.v_iou, score.v_iou > 0.3, score.v_iou > 0.5, score.gt_v_iou]


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval; `low` and `high` are None if there is none."""

    mean: float
    low: float | None
    high: float | None


class Recordings:
    """Sums of samples by recording, and bootstrap intervals of the samples' mean.

    Sentences about one recording share its images and candidate tubes, so they are not independent:
    whole recordings are resampled. One recording gives no interval.

    Attributes:
        sums: `(m, k)`, sums of each recording's samples.
        counts: `(m,)`, number of samples of each recording.
    """

    def __init__(
        self, values: NDArray[np.float64], recordings: Sequence[Hashable] | None = None
    ) -> None:
        """Adds up the samples.

        Args:
            values: `(n, k)`, one row per sample.
            recordings: `(n,)`, the recording of each sample; None for one recording each.

        Raises:
            ValueError: no samples, or another number of recordings.
        """
        if values.ndim != 2 or not len(values):
            raise ValueError(f"expected one sample or more, got shape {values.shape}")
        if recordings is not None and len(recordings) != len(values):
            raise ValueError(f"expected {len(values)} recordings, got {len(recordings)}")
        numbers: dict[Hashable, int] = {}
        names = range(len(values)) if recordings is None else recordings
        of_sample = [numbers.setdefault(name, len(numbers)) for name in names]
        self.counts = np.bincount(of_sample).astype(np.float64)
        self.sums = np.zeros((len(numbers), values.shape[1]))
        np.add.at(self.sums, of_sample, values)

    def intervals(
        self, rng: np.random.Generator, *, resamples: int = 1000, level: float = 0.95
    ) -> list[tuple[float, float] | tuple[None, None]]:
        """The percentile interval of the mean of each of the k columns.

        Raises:
            ValueError: a level outside 0 to 1.
        """
        if not 0 < level < 1:
            raise ValueError(f"level: expected more than 0 and less than 1, got {level}")
        count = len(self.counts)
        if count < 2:
            return [(None, None)] * self.sums.shape[1]
        # How often each recording is drawn, with replacement.
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
        means = drawn @ self.sums / (drawn @ self.counts)[:, None]
        low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return list(zip(low.tolist(), high.tolist(), strict=True))


def bootstrap(
    values: Sequence[float],
    recordings: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Mean of the samples and its interval, see `Recordings`; equal arguments, equal results."""
    columns = np.asarray(values, np.float64)[:, None]
    rng = np.random.default_rng(seed)
    ends = Recordings(columns, recordings).intervals(rng, resamples=resamples, level=level)
    return Interval(float(columns.mean()), *ends[0])


def summarised(
    scores: Sequence[Score], recordings: Sequence[Hashable] | None = None, *, seed: int = 0
) -> dict[str, Interval]:
    """The means of `METRICS` with 95 % intervals; vIoU@R is strictly greater than R.

    Args:
        scores: one per sample.
        recordings: see `Recordings`.
        seed: seed of the bootstrap.

    Raises:
        ValueError: no scores.
    """
    columns = np.array([contributions(score) for score in scores]).reshape(-1, len(METRICS))
    ends = Recordings(columns, recordings).intervals(np.random.default_rng(seed))
    return {
        name: Interval(float(mean), *interval)
        for name, mean, interval in zip(METRICS, columns.mean(axis=0), ends, strict=True)
    }


def auroc(present: Sequence[float], absent: Sequence[float]) -> float:
    """Probability that a present target's confidence exceeds an absent one's; ties count half.

    NaN if either side is empty.
    """
    if not len(present) or not len(absent):
        return float("nan")
    gaps = np.asarray(present, np.float64)[:, None] - np.asarray(absent, np.float64)[None, :]
    return float(np.mean((gaps > 0) + 0.5 * (gaps == 0)))
