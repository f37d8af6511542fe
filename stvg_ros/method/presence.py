# SPDX-License-Identifier: Apache-2.0

"""Presence of the target: the answers before tuning, and the score of its best track."""

from __future__ import annotations

import math
from collections.abc import Sequence


def evidence(
    margins: Sequence[float], track_score: float, track_weight: float, margin_weight: float = 1.0
) -> float:
    """Evidence for the target's presence in nats; NaN if a margin is NaN.

    Args:
        margins: log p(yes) - log p(no) of Q, Q_s and Q_t before tuning, which re-attention
            computes anyway. All must hold, so the smallest decides.
        track_score: S_obj of the best candidate, its attention relative to the neutral prompt.
            Its logarithm is used; -inf means no candidate, and only the margins are used.
        track_weight: weight of the logarithm, calibrated together with the threshold.
        margin_weight: weight of the smallest margin, calibrated likewise.
    """
    if not margins or any(math.isnan(margin) for margin in margins):
        return math.nan
    if not math.isfinite(track_score):
        return margin_weight * min(margins)
    return margin_weight * min(margins) + track_weight * math.log(max(track_score, 1e-6))


def confidence(nats: float, threshold: float) -> float:
    """0 to 1, 0.5 at the threshold; evidence that is NaN counts as none."""
    excess = nats - threshold
    if math.isnan(excess) or excess < -700:
        return 0.0
    return 1 / (1 + math.exp(-excess))
