# SPDX-License-Identifier: Apache-2.0

"""Conventions against the published scorers, written here as their sources have them.

Each is written down from its repository with plain loops over frame numbers: antoyang/TubeDETR
(datasets/vidstg_eval.py, hcstvg_eval.py and their loaders), jy0205/STCAT
(datasets/evaluation/hcstvg_eval.py, datasets/hcstvg.py), tzhhhh123/HC-STVG (eval_hcvg.py).
"""

import numpy as np
import pytest

from stvg_lab.runs.conventions import convention, scored
from stvg_lab.runs.scores import FrameTube
from stvg_ros.boxes import paired_iou

CASES = range(40)


class Case:
    """A random question: a video or a part of one, a true tube and an answer with boxes."""

    def __init__(self, seed: int, *, part: bool) -> None:
        rng = np.random.default_rng(seed)
        self.count = int(rng.integers(130, 700))
        self.begin = int(rng.integers(0, 900)) if part else 0
        self.fps = float(rng.choice([23.976, 24.0, 25.0, 29.97002997002997, 30.0, 50.0]))
        self.truth, self.found = self._tube(rng), self._tube(rng)

    def _tube(self, rng: np.random.Generator) -> FrameTube:
        """Boxes everywhere, as the scored models have them."""
        first, last = sorted(rng.integers(0, self.count, size=2).tolist())
        if rng.random() < 0.3:
            last = self.count - 1
        span = np.zeros(self.count, bool)
        span[first : last + 1] = True
        low = rng.uniform(0, 30, (self.count, 2))
        boxes = np.concatenate([low, low + rng.uniform(20, 60, (self.count, 2))], axis=1)
        return FrameTube(boxes.astype(np.float32), np.ones(self.count, bool), span)

    def ends(self, tube: FrameTube) -> tuple[int, int]:
        first, last = np.flatnonzero(tube.span)[[0, -1]].tolist()
        return self.begin + first, self.begin + last

    def iou(self, frame: int, true_frame: int) -> float:
        """Of the answer's box at a frame and the truth's at another."""
        at, true_at = frame - self.begin, true_frame - self.begin
        found, truth = self.found.boxes_xyxy_px[[at]], self.truth.boxes_xyxy_px[[true_at]]
        return float(paired_iou(found, truth)[0])


def t_iou(truth: tuple[int, int], found: tuple[int, int]) -> float:
    inter = min(truth[1], found[1]) - max(truth[0], found[0])
    if inter <= 0:
        return 0.0
    return inter / (truth[1] - truth[0] + found[1] - found[0] - inter)


def tubedetr(case: Case, start: int, end: int, fps: float, shift: int) -> tuple[float, ...]:
    """`start`, `end`: frames that the loader takes; `shift`: of the truth."""
    rate = 5 / fps
    assert rate <= 1
    frames = [start]
    for frame in range(start, end):
        if int(frames[-1] * rate) < int(frame * rate):
            frames.append(frame)
    if len(frames) > 200:
        frames = [frames[(j * len(frames)) // 200] for j in range(200)]
    (g0, g1), (p0, p1) = case.ends(case.truth), case.ends(case.found)
    truth, found = (g0 + shift, g1 + 1 + shift), (p0, p1 + 1)
    true_frames = [frame for frame in frames if truth[0] <= frame < truth[1]]
    union = [f for f in frames if min(truth[0], found[0]) <= f < max(truth[1], found[1])]
    inter = {f for f in frames if max(truth[0], found[0]) <= f < min(truth[1], found[1])}
    ious = {frame: case.iou(frame, frame - shift) for frame in true_frames}
    v_iou = sum(iou for frame, iou in ious.items() if frame in inter) / max(len(union), 1)
    return t_iou(truth, found), v_iou, sum(ious.values()) / max(len(true_frames), 1)


@pytest.mark.parametrize("seed", CASES)
def test_tubedetr_on_vidstg(seed: int) -> None:
    case = Case(seed, part=True)
    expected = tubedetr(case, case.begin, case.begin + case.count, case.fps, 0)
    result = scored(
        case.found, case.truth, convention("tubedetr"), rate_hz=case.fps, first_frame=case.begin
    )
    assert tuple(vars(result).values()) == pytest.approx(expected)


@pytest.mark.parametrize("seed", CASES)
def test_tubedetr_on_hcstvg(seed: int) -> None:
    case = Case(seed, part=False)
    fps = case.count / 20  # videos of 20 s
    expected = tubedetr(case, 0, case.count - 1, fps, 1)
    result = scored(case.found, case.truth, convention("tubedetr-hcstvg"), rate_hz=fps)
    assert tuple(vars(result).values()) == pytest.approx(expected)


@pytest.mark.parametrize("seed", CASES)
def test_stcat_on_hcstvg(seed: int) -> None:
    case = Case(seed, part=False)
    (g0, g1), (p0, p1) = case.ends(case.truth), case.ends(case.found)
    truth, found = (g0, g1), (p0, p1 + 1)
    union = set(range(min(truth[0], found[0]), max(truth[1], found[1])))
    inter = set(range(max(truth[0], found[0]), min(truth[1], found[1])))
    ious = {frame: case.iou(frame, frame) for frame in range(g0, g1 + 1)}
    v_iou = sum(iou for frame, iou in ious.items() if frame in inter) / max(len(union), 1)
    expected = t_iou(truth, found), v_iou, sum(ious.values()) / len(ious)
    result = scored(case.found, case.truth, convention("stcat"))
    assert tuple(vars(result).values()) == pytest.approx(expected)


@pytest.mark.parametrize("seed", CASES)
def test_eval_hcvg(seed: int) -> None:
    case = Case(seed, part=False)
    (g0, g1), (p0, p1) = case.ends(case.truth), case.ends(case.found)
    ious = [case.iou(f, f) for f in range(g0, g1 + 1) if p0 <= f <= p1]
    frames = max(g1, p1) - min(g0, p0) + 1
    result = scored(case.found, case.truth, convention("hcstvg"))
    assert (result.t_iou, result.v_iou) == pytest.approx((len(ious) / frames, sum(ious) / frames))
