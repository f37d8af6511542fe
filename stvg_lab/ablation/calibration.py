# SPDX-License-Identifier: Apache-2.0

"""Presence threshold and track weight, from known present and absent targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stvg_lab.runs.scores import auroc
from stvg_ros.method.presence import evidence

# Minimum of the three margins in nats, and S_obj of the best track.
Scores = tuple[float, float]
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Calibration:
    """The settings of one model, for its stvg.json.

    Attributes:
        threshold: `presence_threshold`, in nats.
        track_weight: `presence_track_weight`.
        auroc: separation by the evidence; 0.5 is chance.
        accuracy: balanced accuracy of present and absent targets.
    """

    threshold: float
    track_weight: float
    auroc: float
    accuracy: float


def calibrate(present: Sequence[Scores], absent: Sequence[Scores]) -> Calibration:
    """The weight with the highest AUROC, and the threshold with the best balanced accuracy.

    Ties give the smallest weight, and the middle of the widest gap between thresholds.

    Raises:
        ValueError: one of the two kinds of targets is missing.
    """
    if not present or not absent:
        raise ValueError(
            f"calibrate: expected present and absent targets, got {len(present)} and {len(absent)}"
        )

    def nats(scores: Sequence[Scores], weight: float) -> list[float]:
        return [evidence((margin,), track, weight) for margin, track in scores]

    def separation(weight: float) -> float:
        return auroc(nats(present, weight), nats(absent, weight))

    weight = max(WEIGHTS, key=lambda w: (round(separation(w), 6), -w))
    there, gone = np.sort(nats(present, weight)), np.sort(nats(absent, weight))
    values = np.unique(np.concatenate([there, gone]))
    ends = np.concatenate([[values[0] - 2], values, [values[-1] + 2]])
    cuts, gaps = (ends[1:] + ends[:-1]) / 2, np.diff(ends)
    gaps[[0, -1]] = 0  # beyond the last value all thresholds are equivalent
    right = 1 - np.searchsorted(there, cuts) / len(there) + np.searchsorted(gone, cuts) / len(gone)
    best = max(range(len(cuts)), key=lambda k: (round(float(right[k]), 6), gaps[k]))
    return Calibration(float(cuts[best]), weight, separation(weight), float(right[best]) / 2)
