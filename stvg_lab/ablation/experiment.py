# SPDX-License-Identifier: Apache-2.0

"""Accuracy on rendered scenes, with the parts of the method added one after another.

The table also has floors, which do not use the method, and controls, which replace one part of it.
Tube metrics are over the questions with a span of their own (they name an action, like those of
HC-STVG); those of the other questions, whose targets' presence is the true span, are apart. The
accuracy of the person is over questions of every kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stvg_lab.ablation.ablation_rows import CONTROLS, ROWS, AblationRow
from stvg_lab.rendered.scene_questions import ALL_KINDS, SceneQuestion
from stvg_lab.runs.conventions import scored
from stvg_lab.runs.scores import FrameTube, Interval, auroc, bootstrap, on_clip, summarised
from stvg_ros.boxes import paired_iou
from stvg_ros.method.base import BaseProposer
from stvg_ros.method.pass_counter import COUNTED
from stvg_ros.types import CandidateTube, Clip, Grounding, SplitQuery, Status, Tube

FLOORS = ("random tube", "whole window", "oracle tube")
_COLLECTED = ("_rng", "_present", "_lines", "_floors", "_said")
_DETAILED = ("+ adaptive span", "default")  # the first of them that is a row
_PEOPLE = 4  # the subset of scenes with a chance level of a quarter


class TruePeople(BaseProposer):
    """Candidate tubes from the people's true boxes: isolates the method from the tracker.

    One thread sets `people` before each grounding.
    """

    name = "true boxes"

    def __init__(self) -> None:
        self.people: tuple[CandidateTube, ...] = ()

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        """The people of the current scene."""
        return self.people


def floor(
    name: str, sample: SceneQuestion, candidates: Sequence[CandidateTube], rng: np.random.Generator
) -> FrameTube:
    """An answer without a model: see `FLOORS`.

    A random candidate in a random span; a random one at all times; and the candidate with the
    best overlap with the truth, at all times.

    Raises:
        ValueError: an unknown floor.
    """
    if name not in FLOORS:
        raise ValueError(f"floor: expected one of {FLOORS}, got {name!r}")
    count = len(sample.clip)
    index, ends = int(rng.integers(1 << 30)), np.sort(rng.integers(count, size=2))
    if not candidates:
        return FrameTube.nothing(count)
    span = np.ones(count, np.bool_)
    tubes = [FrameTube(one.boxes_xyxy_px, one.present, span) for one in candidates]
    if name == "oracle tube":
        return max(tubes, key=lambda tube: scored(tube, sample.truth).gt_v_iou)
    chosen = tubes[index % len(tubes)]
    if name == "random tube":
        span = (np.arange(count) >= ends[0]) & (np.arange(count) <= ends[1])
    return FrameTube(chosen.boxes_xyxy_px, chosen.present, span)


def whole_track(
    tube: Tube, sample: SceneQuestion, candidates: Sequence[CandidateTube]
) -> FrameTube:
    """The answer with its span and its candidate's boxes in all frames, so that gt_vIoU and the
    person's accuracy do not depend on the span.
    """
    found = on_clip(tube, sample.clip.stamps_ns)
    for one in candidates:
        if found.span.any() and one.track_id == tube.track_id:
            return FrameTube(one.boxes_xyxy_px, one.present, found.span)
    return found


def right_person(found: FrameTube, truth: FrameTube) -> float:
    """1 if the answer's boxes match the target (mean IoU over 0.5 while it is present)."""
    if not found.present.any():
        return 0.0
    overlap = paired_iou(found.boxes_xyxy_px, truth.boxes_xyxy_px)[found.present]
    return float(overlap.mean() > 0.5)


@dataclass(eq=False)
class RowAnswers:
    """Answers of one row to all present targets, and its confidence for all targets.

    Attributes:
        tubes: answers to the present targets, in order.
        sure: confidence for each present target.
        unsure: confidence for each absent target.
        costs: what the model computed for each, see `Tube.cost`.
        found: number of absent targets that were "found".
    """

    tubes: list[FrameTube] = field(default_factory=list)
    sure: list[float] = field(default_factory=list)
    unsure: list[float] = field(default_factory=list)
    costs: list[Mapping[str, int]] = field(default_factory=list)
    found: int = 0


class Ablation:
    """Scores all rows, controls and floors, one sample after another."""

    def __init__(
        self,
        ground: Callable[[AblationRow, SceneQuestion], Grounding],
        candidates: Callable[[SceneQuestion], Sequence[CandidateTube]],
        says_yes: Callable[[SceneQuestion], bool],
        *,
        rows: Sequence[AblationRow] = ROWS,
        controls: Sequence[AblationRow] = CONTROLS,
        seed: int = 0,
    ) -> None:
        """Prepares an empty table.

        Args:
            ground: answers a sample with a row's settings and model.
            candidates: the candidate tubes of all rows.
            says_yes: whether the model answers the whole question with yes.
            rows: the rows of the method, each after the one that it differs from.
            controls: the rows that break a part.
            seed: seed of the floors' draws and the bootstrap.
        """
        self._rows, self._controls = tuple(rows), tuple(controls)
        self._ground = ground
        self._candidates = candidates
        self._says_yes = says_yes
        self._seed = seed
        self._rng = np.random.default_rng(seed)
        self._present: list[SceneQuestion] = []
        self._lines = {row.name: RowAnswers() for row in self.rows}
        self._floors: dict[str, RowAnswers] = {name: RowAnswers() for name in FLOORS}
        self._said: dict[tuple[str, bool], list[float]] = {}

    @property
    def rows(self) -> tuple[AblationRow, ...]:
        """The rows of the method, and the controls."""
        return (*self._rows, *self._controls)

    @property
    def detailed(self) -> str:
        """The row that is also shown by kind and condition."""
        names = [row.name for row in self.rows]
        return next((name for name in _DETAILED if name in names), names[0])

    @property
    def answers(self) -> dict[str, Any]:
        """All that `add` has collected; setting it continues from there."""
        return {name: getattr(self, name) for name in _COLLECTED}

    @answers.setter
    def answers(self, values: dict[str, Any]) -> None:
        for name in _COLLECTED:
            setattr(self, name, values[name])

    def add(self, samples: Iterable[SceneQuestion], progress: Callable[[str], None]) -> None:
        """Grounds samples with every row; calls `progress` with each row's name before."""
        for sample in samples:
            right = self._says_yes(sample) == sample.present
            self._said.setdefault((sample.query.kind, sample.present), []).append(float(right))
            if sample.present:
                # Kept for its truth; the images are released.
                self._present.append(sample.without_images())
                for name in FLOORS:
                    tube = floor(name, sample, self._candidates(sample), self._rng)
                    self._floors[name].tubes.append(tube)
            for row in self.rows:
                progress(row.name)
                best, line = self._ground(row, sample).best, self._lines[row.name]
                line.costs.append(best.cost)
                if sample.present:
                    line.tubes.append(whole_track(best, sample, self._candidates(sample)))
                    line.sure.append(best.confidence)
                else:
                    line.unsure.append(best.confidence)
                    line.found += best.status == Status.FOUND

    def table(self) -> dict[str, Any]:
        """`rows` (floors, the method's, controls) with 95 % `intervals`, `gains`, and `by_kind`.

        Raises:
            ValueError: no sample has a present target with a span of its own.
        """
        if not any(sample.timed for sample in self._present):
            raise ValueError("no question with a span of its own has a target in these scenes")
        groups = (
            ("floor", self._floors),
            ("method", {row.name: self._lines[row.name] for row in self._rows}),
            ("control", {row.name: self._lines[row.name] for row in self._controls}),
        )
        return {
            "rows": [
                {"name": name, "group": group, **self._line(line)}
                for group, lines in groups
                for name, line in lines.items()
            ],
            "gains": [self._gain(row) for row in self.rows if row.over in self._lines],
            "by_kind": [self._kind(kind) for kind in ALL_KINDS if self._of_kind(kind)],
            "by_condition": self._by_condition(self.detailed),
            "detailed": self.detailed,
        }

    def _line(self, line: RowAnswers) -> dict[str, Any]:
        pairs = list(zip(line.tubes, self._present, strict=True))
        scores = [scored(tube, sample.truth) for tube, sample in pairs if sample.timed]
        means: dict[str, Interval] = summarised(scores, seed=self._seed)
        means["gt_vIoU"] = means.pop("m_gt_vIoU")
        others = [scored(tube, sample.truth) for tube, sample in pairs if not sample.timed]
        if others:
            means["no_action_tIoU"] = bootstrap([one.t_iou for one in others], seed=self._seed)
            means["no_action_vIoU"] = bootstrap([one.v_iou for one in others], seed=self._seed)
        right = [right_person(tube, sample.truth) for tube, sample in pairs]
        means["spatial_accuracy"] = bootstrap(right, seed=self._seed)
        of_four = [
            hit
            for hit, sample in zip(right, self._present, strict=True)
            if len(sample.people) == _PEOPLE
        ]
        if of_four:
            means["spatial_accuracy_of_four"] = bootstrap(of_four, seed=self._seed)
        separation = auroc(line.sure, line.unsure)
        return {
            **{metric: interval.mean for metric, interval in means.items()},
            "absence_auroc": separation if np.isfinite(separation) else None,
            "cost": {
                name: float(np.mean([cost[name] for cost in line.costs if name in cost]))
                for name in COUNTED
                if any(name in cost for cost in line.costs)
            },
            "absent_found": line.found / len(line.unsure) if line.unsure else None,
            "intervals": {metric: [item.low, item.high] for metric, item in means.items()},
            "samples": {
                "timed": len(scores),
                "no_action": len(others),
                "present": len(right),
                "of_four": len(of_four),
                "absent": len(line.unsure),
            },
        }

    def _gain(self, row: AblationRow) -> dict[str, Any]:
        """The gain of a row over its reference row, sentence by sentence."""
        pairs = zip(
            self._lines[row.over].tubes, self._lines[row.name].tubes, self._present, strict=True
        )
        gains: dict[str, list[float]] = {"m_vIoU": [], "spatial_accuracy": []}
        for before, after, sample in pairs:
            truth = sample.truth
            gains["spatial_accuracy"].append(
                right_person(after, truth) - right_person(before, truth)
            )
            if sample.timed:
                gains["m_vIoU"].append(scored(after, truth).v_iou - scored(before, truth).v_iou)
        means = {name: bootstrap(values, seed=self._seed) for name, values in gains.items()}
        return {
            "name": row.name,
            "over": row.over,
            **{name: interval.mean for name, interval in means.items()},
            "intervals": {name: [item.low, item.high] for name, item in means.items()},
        }

    def _by_condition(self, name: str) -> list[dict[str, Any]]:
        """Of a row, the person and the tube in each condition of the hard scenes."""
        tubes: dict[str, list[tuple[FrameTube, FrameTube]]] = {}
        for tube, sample in zip(self._lines[name].tubes, self._present, strict=True):
            for condition in sample.conditions:
                tubes.setdefault(condition, []).append((tube, sample.truth))
        return [
            {
                "name": condition,
                "spatial_accuracy": float(np.mean([right_person(*pair) for pair in pairs])),
                "m_tIoU": float(np.mean([scored(*pair).t_iou for pair in pairs])),
                "m_vIoU": float(np.mean([scored(*pair).v_iou for pair in pairs])),
                "samples": len(pairs),
            }
            for condition, pairs in sorted(tubes.items())
        ]

    def _of_kind(self, kind: str) -> list[int]:
        return [i for i, sample in enumerate(self._present) if sample.query.kind == kind]

    def _kind(self, kind: str) -> dict[str, Any]:
        """For the detailed row: accuracy of the person, the tube, and the model's yes and no."""
        line, at = self._lines[self.detailed], self._of_kind(kind)
        tubes = [(line.tubes[i], self._present[i].truth) for i in at]
        scores = [scored(tube, truth) for tube, truth in tubes]
        said = {present: self._said.get((kind, present), []) for present in (True, False)}
        return {
            "name": kind,
            "spatial_accuracy": float(np.mean([right_person(*pair) for pair in tubes])),
            "m_tIoU": float(np.mean([one.t_iou for one in scores])),
            "m_vIoU": float(np.mean([one.v_iou for one in scores])),
            "yes_accuracy": float(np.mean(said[True])),
            "no_accuracy": float(np.mean(said[False])) if said[False] else None,
            "samples": len(at),
        }
