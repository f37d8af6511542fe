# SPDX-License-Identifier: Apache-2.0

"""Weights of what the model states beside its attention, from rendered scenes with true tubes.

Each source is fitted by itself, beside the attention, whose own weight is fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stvg_lab.ablation.evidence_weights import Weight, tube_scores
from stvg_lab.ablation.padded_rows import padded, shares
from stvg_lab.rendered.scene_questions import SceneQuestion
from stvg_ros.method.evidence import frame_levels
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.types import ATTENTION, PAINTED_IDS, STATED_INTERVAL, Grounding

Array = NDArray[np.float64]
SETTING_OF = {
    PAINTED_IDS: "painted_ids_weight",
    STATED_INTERVAL: "stated_interval_weight",
}
_RIDGE, _ROUNDS, _RESAMPLES = 1e-2, 50, 200
_MOST = 20.0  # a source that is never wrong has no largest weight


@dataclass(frozen=True, eq=False)
class SentenceEvidence:
    """One sentence, as rows of choices: tubes of which one is right, or frames in or out.

    Attributes:
        attention: `(N,)` log-odds by the attention, as it is weighted.
        own: `(N,)` log-odds by the source, with weight 1.
        right: `(N,)` which rows are right.
    """

    attention: Array
    own: Array
    right: NDArray[np.bool_]


def sentence_evidence(
    sample: SceneQuestion, grounding: Grounding, source: str, settings: MllmSettings
) -> SentenceEvidence | None:
    """What a source said about a sentence whose target is there; None if it said nothing.

    Args:
        sample: the sentence.
        grounding: the answer.
        source: its name.
        settings: of the model, for the weight of its attention.
    """
    seen = grounding.evidence
    assert seen is not None
    said = {one.source: one for one in seen.findings}
    tracks = [one.track_id for one in sample.people]
    if source not in said or sample.query.target not in tracks:
        return None
    row = tracks.index(sample.query.target)
    if source != STATED_INTERVAL:
        attention, own = (
            np.array([said[name].tubes.get(track, 0.0) for track in tracks])
            for name in (ATTENTION, source)
        )
        return SentenceEvidence(attention, own, np.arange(len(tracks)) == row)
    sampled = np.searchsorted(sample.clip.stamps_ns, seen.stamps_ns)
    scores = tube_scores(sample, seen, row, seen.temporal)
    levels = frame_levels(scores, settings.level_above)
    return SentenceEvidence(
        settings.level_weight * (levels - settings.level_inside),
        said[source].frames[tracks[row]][sampled],
        sample.truth.span[sampled],
    )


def choice_weight(sentences: Sequence[SentenceEvidence]) -> float:
    """The weight with which the right tubes are likeliest (conditional logit), at least 0."""
    attention = padded([one.attention for one in sentences], -np.inf)
    own = padded([one.own for one in sentences])
    held = sum(float(one.own[one.right].sum()) for one in sentences)

    def slope(weight: float) -> float:
        p = shares(attention + weight * own)
        return held - float((p * own).sum()) - _RIDGE * weight

    return _maximum(slope)


def frame_weight(sentences: Sequence[SentenceEvidence]) -> float:
    """The weight with which frames are likeliest in or out of the span, at least 0."""
    attention, own = (
        np.concatenate([getattr(one, name) for one in sentences]) for name in ("attention", "own")
    )
    right = np.concatenate([one.right for one in sentences])

    def slope(weight: float) -> float:
        p = 1 / (1 + np.exp(-np.clip(attention + weight * own, -40, 40)))
        return float(own @ (right - p)) - _RIDGE * weight

    return _maximum(slope)


def _maximum(slope: Callable[[float], float]) -> float:
    """Where the slope of a concave curve is 0, within 0 to `_MOST`; by bisection."""
    low, high = 0.0, _MOST
    if slope(low) <= 0:
        return low
    if slope(high) >= 0:
        return high
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        if slope(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def fitted_weight(source: str, sentences: Sequence[SentenceEvidence], seed: int = 0) -> Weight:
    """The weight of a source with its 95 % bootstrap interval over sentences."""
    fit = frame_weight if source == STATED_INTERVAL else choice_weight
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(_RESAMPLES):
        picks = rng.integers(len(sentences), size=len(sentences))
        drawn.append(fit([sentences[i] for i in picks]))
    low, high = np.quantile(np.array(drawn), (0.025, 0.975))
    return Weight(fit(sentences), float(low), float(high))


def right_share(sentences: Sequence[SentenceEvidence], weight: float, attention: float) -> float:
    """Share of sentences whose best row is right, with weights of source and attention."""
    hits = [
        bool(one.right[int(np.argmax(attention * one.attention + weight * one.own))])
        for one in sentences
    ]
    return float(np.mean(hits))
