# SPDX-License-Identifier: Apache-2.0

"""From frame scores S_frame `(T,)` to one run of frames `[first, last]`, both included."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stvg_ros.method.settings import SpanConfig

ADAPTIVE = ("adaptive", "change_points")  # their length depends on the scores
_PAPER_FRAMES = 20  # the lengths in the paper and its code are for 20 sampled frames
_FEWEST = 4  # with fewer frames, a level cannot be separated from noise
FLAT = 0.15  # a peak less than this share above the floor is not significant


def find_span(scores: NDArray[np.float32], config: SpanConfig) -> tuple[int, int]:
    """The span of the target in sampled frames; NaN scores (target not visible) are lowest.

    Args:
        scores: S_frame.
        config: how the span is found.

    Raises:
        ValueError: no scores.
    """
    if scores.size == 0:
        raise ValueError("find_span: expected one score or more, got none")
    low = np.nanmin(scores) if np.isfinite(scores).any() else 0.0
    filled = np.where(np.isfinite(scores), scores, low).astype(np.float64)
    if config.method == "window":
        return 0, len(filled) - 1
    if config.method == "top_k":
        return top_k(filled, _scaled(config.top_k, len(filled)))
    if config.method == "contiguous":
        return contiguous(filled, _scaled(config.length, len(filled)))
    if config.method == "change_points":
        return change_points(filled)
    return adaptive(filled, config.threshold)


def _scaled(frames_of_20: int, count: int) -> int:
    return min(count, max(1, round(frames_of_20 * count / _PAPER_FRAMES)))


def top_k(scores: NDArray[np.float64], k: int) -> tuple[int, int]:
    """First to last of the k best frames (paper)."""
    best = np.argsort(-scores, kind="stable")[:k]
    return int(best.min()), int(best.max())


def contiguous(scores: NDArray[np.float64], length: int) -> tuple[int, int]:
    """Grows from the peak towards the better neighbour up to `length` frames (released code)."""
    first = last = int(scores.argmax())
    while last - first + 1 < length:
        before = scores[first - 1] if first > 0 else -np.inf
        after = scores[last + 1] if last + 1 < len(scores) else -np.inf
        if before >= after:
            first -= 1
        else:
            last += 1
    return first, last


def adaptive(scores: NDArray[np.float64], threshold: float) -> tuple[int, int]:
    """The run around the peak above floor + threshold * (peak - floor); ours.

    The floor is the lower quartile. A profile without a peak gives the whole window. A dip of one
    frame does not end the run.
    """
    floor, peak = float(np.quantile(scores, 0.25)), float(scores.max())
    if peak - floor <= FLAT * abs(peak):
        return 0, len(scores) - 1
    above = scores >= floor + threshold * (peak - floor)
    first = last = int(scores.argmax())
    while first > 0 and (above[first - 1] or (first > 1 and above[first - 2])):
        first -= 1
    while last + 1 < len(scores) and (
        above[last + 1] or (last + 2 < len(scores) and above[last + 2])
    ):
        last += 1
    return first, last


def change_points(scores: NDArray[np.float64]) -> tuple[int, int]:
    """The run whose level is most significantly above the frames around it; ours.

    Of all runs, the one that explains most of the variance of log S_frame as two levels, the
    higher one inside. The logarithm is used because S_frame is a ratio to the neutral prompt; it
    also reduces the weight of outliers. If the gain is not significant, the result is the whole
    window: the penalty follows the Bayesian information criterion for two ends and two levels, on
    the remaining degrees of freedom; in pure noise, 1 to 5 of 100 windows pass as a run.
    """
    count = len(scores)
    if count < _FEWEST:
        return 0, count - 1
    levels = np.log(np.maximum(scores, max(float(scores.max()), 1e-12) * 1e-3))
    centred = levels - levels.mean()
    sums = np.concatenate([[0.0], np.cumsum(centred)])
    first, last = np.triu_indices(count)
    inside = last - first + 1
    part = sums[last + 1] - sums[first]
    outside = np.maximum(count - inside, 1)
    gain = np.where((part > 0) & (inside < count), part**2 * count / (inside * outside), 0.0)
    best = int(gain.argmax())
    total = float(centred @ centred)
    # A difference of 0.01 nats is ignored, even if it explains the variance.
    noise = max(total - float(gain[best]), 1e-4 * count)
    if (count - 3) * np.log(max(total, noise) / noise) <= 4 * np.log(count):
        return 0, count - 1
    return int(first[best]), int(last[best])


def span_ns(
    first: int, last: int, sampled_ns: NDArray[np.int64], clip_ns: NDArray[np.int64]
) -> tuple[int, int]:
    """The span in stamps of buffered frames: half a sampling interval wider at both ends."""
    middles = (sampled_ns[:-1] + sampled_ns[1:]) // 2
    low = clip_ns[0] if first == 0 else middles[first - 1]
    high = clip_ns[-1] if last == len(sampled_ns) - 1 else middles[last]
    inside = clip_ns[(clip_ns >= low) & (clip_ns <= high)]
    return int(inside[0]), int(inside[-1])
