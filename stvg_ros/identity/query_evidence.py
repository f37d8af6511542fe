# SPDX-License-Identifier: Apache-2.0

"""What an answer to a query says about each candidate: log-odds that the words describe it."""

from __future__ import annotations

import math

from stvg_ros.types import Grounding, Status

MOST_NATS = 3.0
_ATTENTION_SLOPE = 3.0  # nats for a factor of e in attention


def query_odds(grounding: Grounding) -> dict[int, float] | None:
    """Log-odds in nats by track id, at most `MOST_NATS`; None if the answer says nothing.

    With several sources their sums count; where nothing was measured, these compare candidates with
    one another, so that they speak for none if the target was not found. Attention alone ranks
    candidates relative to the best one, whose odds are the model's confidence if it is calibrated.
    """
    best, evidence = grounding.best, grounding.evidence
    if best.status is Status.FAILED or evidence is None or not evidence.track_scores:
        return None
    scores = evidence.track_scores
    if evidence.findings:
        measured = any(finding.measured for finding in evidence.findings)
        most = math.inf if measured or best.status is Status.FOUND else 0.0
        return {track: _bounded(min(nats, most)) for track, nats in scores.items()}
    sure = min(max(best.confidence, 1e-6), 1 - 1e-6)
    top = max(scores.values())
    base = math.log(sure / (1 - sure)) if best.calibrated else 0.0
    if best.status is Status.NOT_FOUND or not top > 0:
        return dict.fromkeys(scores, _bounded(min(base, 0.0)))
    return {
        track: _bounded(base + _ATTENTION_SLOPE * math.log(max(score / top, 0.05)))
        for track, score in scores.items()
    }


def _bounded(nats: float) -> float:
    return 0.0 if math.isnan(nats) else max(-MOST_NATS, min(MOST_NATS, nats))
