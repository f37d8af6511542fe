# SPDX-License-Identifier: Apache-2.0

"""Evidence for a present target, fitted to known present and absent targets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stvg_lab.ablation.evidence_weights import tube_scores
from stvg_lab.rendered.scene_questions import SceneQuestion
from stvg_lab.runs.scores import auroc
from stvg_ros.method.evidence import ABSENT, FusedEvidence
from stvg_ros.types import Grounding

# Share of commands whose target is taken to be there: people ask mostly for what they have seen.
PRESENT_SHARE = 0.75
_RIDGE, _ROUNDS = 1e-2, 60
_LEAST_SCORE = 1e-6  # S_obj of an answer without a tube


class Scores(NamedTuple):
    """What the presence of one target depends on.

    Attributes:
        margin: minimum of the three margins, in nats.
        track: S_obj of the best track.
        body: the least log-odds of the words that were measured on it, above `ABSENT`; 0 if none
            was.
        look: margin of a second look at it, in nats; NaN without one.
    """

    margin: float
    track: float
    body: float = 0.0
    look: float = math.nan


@dataclass(frozen=True)
class Calibration:
    """The settings of one model, for its stvg.json, and how well they separate.

    Attributes:
        settings: `presence_*` of `MllmSettings`.
        auroc: separation by the evidence; 0.5 is chance.
        found: share of present targets above the threshold.
        refused: share of absent targets below it.
    """

    settings: dict[str, float]
    auroc: float
    found: float
    refused: float


def presence_scores(grounding: Grounding) -> Scores:
    """What an answer's presence depends on; the answer is of `presence.enabled: false`."""
    seen, best = grounding.evidence, grounding.best
    assert seen is not None
    fused = FusedEvidence(seen.findings)
    body = fused.weakest(best.track_id) - ABSENT if fused.measured and best.boxes else 0.0
    look = seen.looks.get(best.track_id, math.nan) if best.boxes else math.nan
    return Scores(min(seen.margins), best.score if best.boxes else -math.inf, body, look)


def tube_scores_of(sample: SceneQuestion, grounding: Grounding) -> list[Scores]:
    """The same of each tube that was looked at."""
    seen = grounding.evidence
    assert seen is not None
    fused, found = FusedEvidence(seen.findings), []
    for row, one in enumerate(sample.people):
        if one.track_id in seen.looks:
            peaks = tube_scores(sample, seen, row, seen.spatial)
            track = float(np.nanmax(peaks)) if np.isfinite(peaks).any() else -math.inf
            body = fused.weakest(one.track_id) - ABSENT if fused.measured else 0.0
            found.append(Scores(min(seen.margins), track, body, seen.looks[one.track_id]))
    return found


def match_threshold(
    counts: Sequence[tuple[Sequence[Scores], int]], settings: Mapping[str, float]
) -> tuple[float, float]:
    """Evidence from which on a tube by itself is one of those that are counted.

    Args:
        counts: what the presence of the tubes of one question depends on, and the true number.
        settings: of the presence, see `Calibration`.

    Returns:
        The middle of the thresholds with most exact numbers, and the share of these; 0 and NaN
        without questions.
    """
    middle = settings["presence_look_threshold"]
    names = ("margin_weight", "track_weight", "body_weight", "look_weight")
    weights = np.array([*(settings[f"presence_{name}"] for name in names),
                        -settings["presence_threshold"]])  # fmt: skip
    nats = [
        np.array([_row(one, middle) for one in tubes]) @ weights for tubes, _ in counts if tubes
    ]
    if not nats:
        return 0.0, math.nan
    places = np.unique(np.concatenate(nats))
    tried = (places[1:] + places[:-1]) / 2 if len(places) > 1 else places
    numbers = np.array([number for tubes, number in counts if tubes])
    said = np.array([[int((one >= bar).sum()) for one in nats] for bar in tried])
    exact = (said == numbers).mean(axis=1)
    best = tried[exact == exact.max()]
    return round(float(best[len(best) // 2]), 4), float(exact.max())


def calibrate(present: Sequence[Scores], absent: Sequence[Scores]) -> Calibration:
    """The evidence as log-odds: logistic regression in which both kinds count alike.

    The threshold takes `PRESENT_SHARE` of the targets to be there, whatever their share here. A
    source that speaks for the wrong kind has no weight.

    Raises:
        ValueError: one of the two kinds of targets is missing.
    """
    if not present or not absent:
        raise ValueError(
            f"calibrate: expected present and absent targets, got {len(present)} and {len(absent)}"
        )
    looks = [np.array([one.look for one in kind]) for kind in (present, absent)]
    looked = all(np.isfinite(kind).any() for kind in looks)
    # The margin that says nothing, so that an answer without a look has no other threshold.
    middle = float(np.mean([np.nanmean(kind) for kind in looks])) if looked else 0.0
    x = np.array([_row(one, middle) for one in (*present, *absent)])
    y = np.repeat([1.0, 0.0], [len(present), len(absent)])
    weights = _fitted(x, y)
    weights[-1] += math.log(PRESENT_SHARE / (1 - PRESENT_SHARE))
    nats = x @ weights
    there, gone = nats[: len(present)], nats[len(present) :]
    margin, track, body, look, constant = map(float, weights)
    return Calibration(
        {
            "presence_threshold": round(-constant, 4),
            "presence_margin_weight": round(margin, 4),
            "presence_track_weight": round(track, 4),
            "presence_body_weight": round(body, 4) if any(one.body for one in present) else 1.0,
            "presence_look_weight": round(look, 4) if looked else 1.0,
            "presence_look_threshold": round(middle, 4),
        },
        auroc(there.tolist(), gone.tolist()),
        float(np.mean(there >= 0)),
        float(np.mean(gone < 0)),
    )


def _row(one: Scores, middle: float) -> list[float]:
    """Margin, logarithm of the score, body, look, and 1; what is missing is 0."""
    track = math.log(max(one.track, _LEAST_SCORE)) if math.isfinite(one.track) else 0.0
    look = one.look - middle if math.isfinite(one.look) else 0.0
    return [one.margin, track, one.body, look, 1.0]


def _fitted(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights `(5,)` of logistic regression, all but the last one at least 0."""
    counts = np.where(y > 0, 0.5 / y.sum(), 0.5 / (1 - y).sum()) * len(y)
    used = np.ones(x.shape[1], np.bool_)
    while True:
        weights = np.zeros(x.shape[1])
        weights[used] = _regression(x[:, used], y, counts)
        wrong = used & (weights < 0)
        wrong[-1] = False
        if not wrong.any():
            return weights
        used[np.argmin(np.where(wrong, weights, 0.0))] = False


def _regression(
    x: NDArray[np.float64], y: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    weights = np.zeros(x.shape[1])
    ridge = _RIDGE * np.eye(x.shape[1])
    for _ in range(_ROUNDS):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        slope = x.T @ (counts * (y - p)) - ridge @ weights
        bend = (x.T * (counts * p * (1 - p))) @ x + ridge
        step = np.linalg.solve(bend, slope)
        weights = weights + step / max(1.0, float(np.abs(step).max()))
    return np.asarray(weights, np.float64)
