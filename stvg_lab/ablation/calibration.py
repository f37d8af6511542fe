# SPDX-License-Identifier: Apache-2.0

"""Presence threshold and weights, from known present and absent targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from stvg_lab.runs.scores import auroc
from stvg_ros.method.evidence import ABSENT, FusedEvidence
from stvg_ros.method.presence import evidence
from stvg_ros.types import Grounding

WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class Scores(NamedTuple):
    """What the presence of one target depends on.

    Attributes:
        margin: minimum of the three margins, in nats.
        track: S_obj of the best track.
        body: the least log-odds of the words that were measured on it, above `ABSENT`; 0 if none
            was.
    """

    margin: float
    track: float
    body: float = 0.0


@dataclass(frozen=True)
class Calibration:
    """The settings of one model, for its stvg.json.

    Attributes:
        threshold: `presence_threshold`, in nats.
        track_weight: `presence_track_weight`.
        body_weight: `presence_body_weight`.
        auroc: separation by the evidence; 0.5 is chance.
        accuracy: balanced accuracy of present and absent targets.
    """

    threshold: float
    track_weight: float
    body_weight: float
    auroc: float
    accuracy: float


def presence_scores(grounding: Grounding) -> Scores:
    """What an answer's presence depends on; the answer is of `presence.enabled: false`."""
    seen, best = grounding.evidence, grounding.best
    assert seen is not None
    fused = FusedEvidence(seen.findings)
    body = fused.weakest(best.track_id) - ABSENT if fused.measured and best.boxes else 0.0
    return Scores(min(seen.margins), best.score if best.boxes else -math.inf, body)


def calibrate(present: Sequence[Scores], absent: Sequence[Scores]) -> Calibration:
    """The weights with the highest AUROC, and the threshold with the best balanced accuracy.

    Ties give the smallest weights, and the middle of the widest gap between thresholds.

    Raises:
        ValueError: one of the two kinds of targets is missing.
    """
    if not present or not absent:
        raise ValueError(
            f"calibrate: expected present and absent targets, got {len(present)} and {len(absent)}"
        )

    def nats(scores: Sequence[Scores], weights: tuple[float, float]) -> list[float]:
        track, body = weights
        return [evidence((one.margin,), one.track, track) + body * one.body for one in scores]

    def separation(weights: tuple[float, float]) -> float:
        return auroc(nats(present, weights), nats(absent, weights))

    measured = any(one.body for one in (*present, *absent))
    pairs = list(product(WEIGHTS, WEIGHTS if measured else (1.0,)))
    weights = max(pairs, key=lambda pair: (round(separation(pair), 6), -pair[0], -pair[1]))
    there, gone = np.sort(nats(present, weights)), np.sort(nats(absent, weights))
    values = np.unique(np.concatenate([there, gone]))
    ends = np.concatenate([[values[0] - 2], values, [values[-1] + 2]])
    cuts, gaps = (ends[1:] + ends[:-1]) / 2, np.diff(ends)
    gaps[[0, -1]] = 0  # beyond the last value all thresholds are equivalent
    right = 1 - np.searchsorted(there, cuts) / len(there) + np.searchsorted(gone, cuts) / len(gone)
    best = max(range(len(cuts)), key=lambda k: (round(float(right[k]), 6), gaps[k]))
    return Calibration(float(cuts[best]), *weights, separation(weights), float(right[best]) / 2)
