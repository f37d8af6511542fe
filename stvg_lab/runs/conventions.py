# SPDX-License-Identifier: Apache-2.0

"""Frame conventions of published scorers, as options of one scorer.

Taken from the scorers' sources; F frames are numbered from 0, the truth spans frames g0 to g1 and
the answer p0 to p1, both ends included. docs/evaluation.md lists each deviation and its effect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stvg_lab.runs.scores import FrameTube, Score, checked_pair
from stvg_ros.boxes import paired_iou
from stvg_ros.errors import ConfigError


@dataclass(frozen=True)
class Convention:
    """The frames that a scorer counts.

    Attributes:
        about: description for tables and help texts.
        step: only every step-th frame is used; spans are clipped to that grid.
        sample_hz: frames whose boxes are scored are sampled at this rate; 0 takes all.
        max_frames: maximum number of sampled frames.
        last_frame: whether the last frame of the clip can be sampled.
        truth_shift: number of frames by which the truth is shifted later.
        truth_end: the true range for tIoU is `[g0, g1 + truth_end)`.
        answer_end: the answer's range for tIoU is `[p0, p1 + answer_end)`.
        box_end: number of frames by which both ranges are longer for vIoU.
        count_boxes: tIoU counts the frames where both tubes have a box, not those in both ranges.
    """

    about: str
    step: int = 1
    sample_hz: float = 0.0
    max_frames: int = 200
    last_frame: bool = True
    truth_shift: int = 0
    truth_end: int = 1
    answer_end: int = 1
    box_end: int = 0
    count_boxes: bool = False


CONVENTIONS = {
    "frames": Convention("every frame, both ends included; also STCAT and CG-STVG on VidSTG"),
    "tubedetr": Convention(
        "TubeDETR on VidSTG: boxes of at most 200 frames sampled at 5 Hz", sample_hz=5.0
    ),
    "tubedetr-hcstvg": Convention(
        "TubeDETR on HC-STVG: the same without the last frame; the truth lies one frame later",
        sample_hz=5.0, last_frame=False, truth_shift=1,
    ),
    "stcat": Convention(
        "STCAT and CG-STVG on HC-STVG: the true end is left out, the answer's is not", truth_end=0
    ),
    "hcstvg": Convention(
        "eval_hcvg of HC-STVG: tIoU counts frames where both have boxes", count_boxes=True
    ),
    "paper": Convention(
        "the paper's code on HC-STVG: every 10th frame, tIoU without and vIoU with the ends",
        step=10, truth_end=0, answer_end=0, box_end=1,
    ),
    "paper-vidstg": Convention(
        "the paper's code on VidSTG: every 10th frame, without the ends",
        step=10, truth_end=0, answer_end=0,
    ),
}  # fmt: skip


def convention(name: str) -> Convention:
    """The convention with a name. Raises: ConfigError."""
    try:
        return CONVENTIONS[name]
    except KeyError:
        raise ConfigError(
            f"convention: expected one of {', '.join(CONVENTIONS)}, got {name!r}"
        ) from None


def scored(
    predicted: FrameTube,
    truth: FrameTube,
    how: Convention = CONVENTIONS["frames"],
    *,
    rate_hz: float = 0.0,
    first_frame: int = 0,
) -> Score:
    """Scores one answer like a published scorer. gt_vIoU is the mean over the true frames.

    Args:
        predicted: the answer on the F frames; an empty span scores 0.
        truth: the true tube on the same frames.
        how: the convention.
        rate_hz: frames a second, for conventions that sample.
        first_frame: number of the first of the F frames in its video, for conventions that
            sample: they count from the video's start.

    Raises:
        ValueError: different lengths, an empty true span, or no rate although required.
    """
    checked_pair(predicted, truth)
    grid = slice(None, None, how.step)
    moved = _later(truth, how.truth_shift)
    overlap = paired_iou(predicted.boxes_xyxy_px[grid], moved.boxes_xyxy_px[grid])
    shared = (predicted.present & moved.present)[grid]
    overlap = np.where(shared, overlap, 0.0)
    chosen = _sampled(len(overlap), how, rate_hz, first_frame)
    g0, g1 = (end + how.truth_shift for end in _ends(truth.span, how.step))
    true_frames = (chosen >= g0) & (chosen <= g1)
    gt_v_iou = float(overlap[chosen[true_frames]].sum() / max(true_frames.sum(), 1))
    if not predicted.span.any():
        return Score(0.0, 0.0, gt_v_iou)
    p0, p1 = _ends(predicted.span, how.step)
    t_iou = range_iou((g0, g1 + how.truth_end), (p0, p1 + how.answer_end))
    g_end = g1 + how.truth_end + how.box_end
    p_end = p1 + how.answer_end + how.box_end
    inter = (chosen >= max(g0, p0)) & (chosen < min(g_end, p_end))
    union = (chosen >= min(g0, p0)) & (chosen < max(g_end, p_end))
    if how.count_boxes:
        t_iou = float(shared[chosen[inter]].sum() / max(union.sum(), 1))
    return Score(t_iou, float(overlap[chosen[inter]].sum() / max(union.sum(), 1)), gt_v_iou)


def _ends(span: NDArray[np.bool_], step: int) -> tuple[int, int]:
    """First and last frame of a span on the grid of every step-th frame."""
    first, last = np.flatnonzero(span)[[0, -1]]
    return -(-int(first) // step), int(last) // step


def range_iou(first: tuple[float, float], second: tuple[float, float]) -> float:
    """IoU of two half-open ranges; 0 if one is empty."""
    inter = min(first[1], second[1]) - max(first[0], second[0])
    if inter <= 0:
        return 0.0
    return inter / (first[1] - first[0] + second[1] - second[0] - inter)


def _later(tube: FrameTube, frames: int) -> FrameTube:
    """The tube shifted later by some frames; frames outside the clip are dropped."""
    if frames == 0:
        return tube
    there = np.arange(len(tube.span)) >= frames
    return FrameTube(
        np.roll(tube.boxes_xyxy_px, frames, axis=0),
        np.roll(tube.present, frames) & there,
        np.roll(tube.span, frames) & there,
    )


def _sampled(count: int, how: Convention, rate_hz: float, first_frame: int) -> NDArray[np.int64]:
    """The frames whose boxes count: the first frame of each 1 / sample_hz of the video."""
    frames: NDArray[np.int64] = np.arange(count, dtype=np.int64)
    if how.sample_hz == 0:
        return frames
    if not rate_hz > 0:
        raise ValueError(f"rate_hz: expected the frames per second, more than 0, got {rate_hz}")
    if not how.last_frame:
        frames = frames[: max(1, count - 1)]
    # In doubles and without a tolerance, like the scorer, whose ticks sometimes round down.
    ticks = np.floor((first_frame + frames) * min(1.0, how.sample_hz / rate_hz))
    sampled = np.flatnonzero(np.concatenate([[True], np.diff(ticks) > 0]))
    if len(sampled) > how.max_frames:
        sampled = sampled[np.arange(how.max_frames) * len(sampled) // how.max_frames]
    return sampled.astype(np.int64)
