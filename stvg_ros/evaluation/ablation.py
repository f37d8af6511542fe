"""Accuracy on rendered scenes, with the parts of the method added one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stvg_ros.boxes import paired_iou
from stvg_ros.config import Value
from stvg_ros.core.interfaces import Proposer
from stvg_ros.evaluation.clips import scene_truth
from stvg_ros.evaluation.metrics import (
    FrameTube,
    Interval,
    Score,
    auroc,
    bootstrap,
    on_clip,
    score,
    summarised,
)
from stvg_ros.evaluation.synthetic.queries import SceneQuery, scene_queries, split_seed
from stvg_ros.evaluation.synthetic.render import render
from stvg_ros.evaluation.synthetic.scene import STAND, Scene
from stvg_ros.types import CandidateTube, Clip, Frame, Grounding, SplitQuery

FRAME_STEP = 2  # of the scene's frames, every second one is grounded and scored
_BASE: dict[str, Value] = {
    "attention.selection": "mean",
    "reattention.spatial": False,
    "reattention.temporal": False,
    "assembling.enabled": False,
    "span.method": "top_k",
    "presence.enabled": False,
}
_SELECTION: dict[str, Value] = {**_BASE, "attention.selection": "activation"}
_BOTH: dict[str, Value] = {
    **_SELECTION, "reattention.spatial": True, "reattention.temporal": True,
}  # fmt: skip
_TAS: dict[str, Value] = {**_BOTH, "assembling.enabled": True}
_ADAPTIVE: dict[str, Value] = {**_TAS, "span.method": "adaptive"}

# The rows of the paper's ablation, then what this package adds.
ROWS: tuple[tuple[str, dict[str, Value]], ...] = (
    ("mean of the tokens", _BASE),
    ("+ token selection", _SELECTION),
    ("+ spatial prompt", {**_SELECTION, "reattention.spatial": True}),
    ("+ temporal prompt", {**_SELECTION, "reattention.temporal": True}),
    ("+ both prompts", _BOTH),
    ("+ TAS", _TAS),
    ("+ adaptive span", _ADAPTIVE),
    ("+ absence", {**_ADAPTIVE, "presence.enabled": True}),
)
FLOORS = ("random tube", "whole window", "oracle")


@dataclass(frozen=True, eq=False)
class Sample:
    """One question about one scene: its frames, its true tube on them, all people's tubes."""

    clip: Clip
    query: SceneQuery
    truth: FrameTube
    people: tuple[CandidateTube, ...]


class TruePeople:
    """Candidate tubes that are the people's true boxes: isolates the method from the tracker.

    One thread sets `people` before each grounding.
    """

    name = "true boxes"

    def __init__(self) -> None:
        self.people: tuple[CandidateTube, ...] = ()

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        """The people of the current scene."""
        return self.people


def samples(split: str, seed: int, count: int) -> Iterator[Sample]:
    """`count` scenes from number `seed` on, each with a present and, if any, an absent target.

    Raises:
        ValueError: an unknown split, or seeds outside it.
    """
    for number in range(seed, seed + count):
        scene = Scene.from_seed(split_seed(split, number))
        rng = np.random.default_rng((number, 1))
        kept = range(0, scene.frame_count, FRAME_STEP)
        # Half the size: the embedded model looks at less, and boxes stay those of the camera.
        clip = Clip(
            tuple(
                Frame(
                    int(scene.stamps_ns[k]),
                    render(scene, k, scene.width // 2, scene.height // 2),
                    scene.width,
                    scene.height,
                )
                for k in kept
            )
        )
        everywhere = np.ones(len(clip), np.bool_)
        people = tuple(
            CandidateTube(index, boxes[list(kept)], everywhere, ~everywhere)
            for index, boxes in enumerate(scene.boxes_xyxy_px)
        )
        both = [q for q in scene_queries(scene) if q.kind == "combined" and q.act != STAND]
        for wanted in (True, False):
            fitting = [q for q in both if (q.target is not None) == wanted]
            if fitting:
                query = fitting[int(rng.integers(len(fitting)))]
                full = scene_truth(scene, query)
                rows = list(kept)
                truth = FrameTube(full.boxes_xyxy_px[rows], full.present[rows], full.span[rows])
                if wanted and not truth.span.any():
                    continue
                yield Sample(clip, query, truth, people)


def floor(name: str, sample: Sample, rng: np.random.Generator) -> FrameTube:
    """An answer without a model: see `FLOORS`. The oracle knows the person, not the time.

    Raises:
        ValueError: an unknown floor.
    """
    if name not in FLOORS:
        raise ValueError(f"floor: expected one of {FLOORS}, got {name!r}")
    target = sample.query.target
    index = int(rng.integers(len(sample.people)))
    if name == "oracle" and target is not None:
        index = target
    boxes, count = sample.people[index].boxes_xyxy_px, len(sample.clip)
    span = np.ones(count, np.bool_)
    if name == "random tube":
        first, last = sorted(rng.integers(count, size=2))
        span = (np.arange(count) >= first) & (np.arange(count) <= last)
    return FrameTube(boxes, np.ones(count, np.bool_), span)


def right_person(found: FrameTube, truth: FrameTube) -> float:
    """1 where the answer's boxes lie on the target (mean IoU over 0.5), wherever in time."""
    if not found.present.any():
        return 0.0
    overlap = paired_iou(found.boxes_xyxy_px, truth.boxes_xyxy_px)[found.present]
    return float(overlap.mean() > 0.5)


Ground = Callable[[dict[str, Value], Sample], Grounding]


def ablation(
    ground: Ground, data: Sequence[Sample], *, seed: int = 0, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Scores every floor and every row.

    Args:
        ground: answers a sample under a row's settings.
        data: present and absent targets; absent ones count for `absence_auroc` alone.
        seed: of the floors' draws and the bootstrap.
        progress: called before each answer with the row's name.

    Returns:
        One dict a row: name, means, `intervals` (95 %) by metric, `spatial_accuracy`,
        `absence_auroc` (None for floors).

    Raises:
        ValueError: no sample has a present target.
    """
    present = [sample for sample in data if sample.query.target is not None]
    absent = [sample for sample in data if sample.query.target is None]
    rng = np.random.default_rng(seed)
    table = []
    for name in FLOORS:
        answers = [floor(name, sample, rng) for sample in present]
        table.append(_row(name, answers, present, None, seed))
    for name, values in ROWS:
        answers, sure, unsure = [], [], []
        for sample in present:
            progress(name)
            best = ground(values, sample).best
            answers.append(on_clip(best, sample.clip.stamps_ns))
            sure.append(best.confidence)
        for sample in absent:
            progress(name)
            unsure.append(ground(values, sample).best.confidence)
        separation = auroc(sure, unsure)
        table.append(_row(name, answers, present, separation, seed))
    return table


def _row(
    name: str,
    answers: Sequence[FrameTube],
    present: Sequence[Sample],
    separation: float | None,
    seed: int,
) -> dict[str, Any]:
    scores: list[Score] = []
    right: list[float] = []
    for answer, sample in zip(answers, present, strict=True):
        scores.append(score(answer, sample.truth))
        right.append(right_person(answer, sample.truth))
    means: dict[str, Interval] = summarised(scores, seed=seed)
    means["spatial_accuracy"] = bootstrap(right, seed=seed)
    return {
        "name": name,
        **{metric: interval.mean for metric, interval in means.items()},
        "absence_auroc": separation if separation is None or np.isfinite(separation) else None,
        "intervals": {metric: [item.low, item.high] for metric, item in means.items()},
        "samples": len(scores),
    }


def proposer_for(tubes: str, own: Proposer) -> Proposer:
    """The true people for "true", the package's own proposer for "own"."""
    return TruePeople() if tubes == "true" else own
