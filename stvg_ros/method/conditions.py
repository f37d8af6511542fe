# SPDX-License-Identifier: Apache-2.0

"""Negated parts and spatial relations of a command, which change the scores of the tubes.

The paper decomposes a query into attribute and action only. Here a negated part ("without a hat")
is a question of its own, and a tube that attracts its attention loses a share of its score. A
relation ("left of the woman in red") is checked on the geometry of two tubes: a question of its own
finds the other target, and a tube for which the relation does not hold loses a share of its score.
The shares are settings (`ConditionConfig`), calibrated on rendered scenes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes
from stvg_ros.commands.command import Command
from stvg_ros.commands.lexicon import is_animate
from stvg_ros.method.presence import confidence
from stvg_ros.method.settings import ConditionConfig
from stvg_ros.method.tube_view import TubeView
from stvg_ros.types import CandidateTube, Clip

_NEAR = 1.5  # maximum distance of centres for "near", in heights


@dataclass(frozen=True, eq=False)
class Condition:
    """The answer to an additional question.

    Attributes:
        heat: `(S, h, w)` relative attention of the question.
        margin: log p(yes) - log p(no), in nats.
    """

    heat: torch.Tensor
    margin: float


def conditions(command: Command | None) -> list[str]:
    """Descriptions that a command needs as additional questions, in order."""
    if command is None:
        return []
    asked = [command.negated_query] if command.negated_query else []
    if command.relation is not None and not unmeasured(command):
        asked.append(command.relation.other)
    return asked


def unmeasured(command: Command | None) -> str:
    """Why the relation of a command is not checked on tubes; "" if it is, or if there is none.

    Only people and animals have candidate tubes; a relation to a thing is part of the question to
    the model alone.
    """
    relation = command.relation if command is not None else None
    if relation is None or any(is_animate(w) for w in relation.other.lower().split()):
        return ""
    return (
        f"the relation {relation.text!r} is not measured, since only people and animals have "
        "candidate tubes; it is only part of the question to the model"
    )


def condition_factors(
    command: Command | None,
    answers: Sequence[Condition],
    view: TubeView,
    candidates: Sequence[CandidateTube],
    config: ConditionConfig,
) -> dict[int, float]:
    """Factors of S_obj by track id; candidates with factor 1 are omitted.

    Args:
        command: the parsed command.
        answers: to the questions of `conditions`.
        view: the frames that the model saw.
        candidates: the tubes.
        config: the weights.
    """
    factors: dict[int, float] = {}
    if command is None or not answers:
        return factors
    rest = list(answers)
    if command.negated_query:
        factors = _denied(rest.pop(0), view, candidates, config.negation_weight)
    if rest and command.relation is not None:
        placed = _placed(command.relation.kind, rest[0], view, candidates, config.relation_weight)
        for track, factor in placed.items():
            factors[track] = factors.get(track, 1.0) * factor
    return factors


def _denied(
    answer: Condition, view: TubeView, candidates: Sequence[CandidateTube], weight: float
) -> dict[int, float]:
    peaks = {c.track_id: view.peak(answer.heat, c) for c in candidates}
    most = max((p for p in peaks.values() if math.isfinite(p)), default=0.0)
    if most <= 0:
        return {}
    sure = confidence(answer.margin, 0.0)
    return {
        track: 1.0 - weight * sure * peak / most
        for track, peak in peaks.items()
        if math.isfinite(peak)
    }


def _placed(
    kind: str,
    answer: Condition,
    view: TubeView,
    candidates: Sequence[CandidateTube],
    weight: float,
) -> dict[int, float]:
    """Factors of a relation; empty if the other target is not seen, or has no tube."""
    if confidence(answer.margin, 0.0) < 0.5 or len(candidates) < 2:
        return {}
    others = sorted(candidates, key=lambda c: view.peak(answer.heat, c), reverse=True)
    anchors = others[: 2 if kind == "between" and len(others) > 2 else 1]
    factors = {anchor.track_id: 1.0 - weight for anchor in anchors}
    for candidate in candidates:
        if candidate.track_id in factors:
            continue
        share = relation_share(kind, candidate, anchors, view.clip)
        if share is not None:
            factors[candidate.track_id] = 1.0 - weight * (1.0 - share)
    return factors


def relation_share(
    kind: str, tube: CandidateTube, anchors: Sequence[CandidateTube], clip: Clip
) -> float | None:
    """Share of the common frames in which a relation holds, 0 to 1; None if undecidable.

    Left and right are those of the image; "in front" and "behind" need depth images.
    """
    common = tube.present.copy()
    for anchor in anchors:
        common &= anchor.present
    frames = np.flatnonzero(common)
    if not len(frames):
        return None
    mine, theirs = tube.boxes_xyxy_px[frames], [a.boxes_xyxy_px[frames] for a in anchors]
    x, y = _centres(mine)
    centres = [_centres(boxes) for boxes in theirs]
    first_x, first_y = centres[0]
    if kind == "left of":
        holds = x < first_x
    elif kind == "right of":
        holds = x > first_x
    elif kind == "above":
        holds = y < first_y
    elif kind == "below":
        holds = y > first_y
    elif kind == "near":
        heights = (mine[:, 3] - mine[:, 1] + theirs[0][:, 3] - theirs[0][:, 1]) / 2
        holds = np.hypot(x - first_x, y - first_y) < _NEAR * heights
    elif kind == "between" and len(centres) > 1:
        second_x = centres[1][0]
        holds = (x - first_x) * (x - second_x) < 0
    elif kind in ("in front of", "behind"):
        return _by_depth(kind, frames, mine, theirs[0], clip)
    else:
        return None
    return float(np.mean(holds))


def _by_depth(
    kind: str,
    frames: NDArray[np.int64],
    mine: NDArray[np.float32],
    theirs: NDArray[np.float32],
    clip: Clip,
) -> float | None:
    holds = []
    for row, frame in enumerate(frames):
        near, far = (distance_m(clip, int(frame), boxes[row]) for boxes in (mine, theirs))
        if near is not None and far is not None:
            holds.append(near < far if kind == "in front of" else near > far)
    return float(np.mean(holds)) if holds else None


def distance_m(clip: Clip, frame: int, box: NDArray[np.float32]) -> float | None:
    """Median depth in the middle of a box; None without depth."""
    depth = clip.frames[frame].depth
    if depth is None:
        return None
    height, width = depth.metres.shape
    source_width, source_height = clip.size_px
    scale = np.array([width / source_width, height / source_height] * 2)
    x_min, y_min, x_max, y_max = box * scale
    middle_x, middle_y = (x_max - x_min) / 4, (y_max - y_min) / 4
    rows = slice(int(max(0, y_min + middle_y)), int(max(1, y_max - middle_y)))
    columns = slice(int(max(0, x_min + middle_x)), int(max(1, x_max - middle_x)))
    inside = depth.metres[rows, columns]
    valid = inside[np.isfinite(inside) & (inside > 0)]
    return float(np.median(valid)) if valid.size else None


def _centres(boxes: Boxes) -> tuple[Boxes, Boxes]:
    """x and y of the boxes' centres, `(F,)` each."""
    half = np.float32(0.5)
    return (boxes[:, 0] + boxes[:, 2]) * half, (boxes[:, 1] + boxes[:, 3]) * half
