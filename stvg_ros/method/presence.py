# SPDX-License-Identifier: Apache-2.0

"""Whether the target is there: the answers before tuning, and how much its track stands out."""

from __future__ import annotations

import math
from collections.abc import Sequence


def evidence(margins: Sequence[float], track_score: float, track_weight: float) -> float:
    """Nats for the target's presence; NaN where a margin is.

    Args:
        margins: log p(yes) - log p(no) of Q, Q_s and Q_t before tuning, which re-attention reads
            anyway. All must hold, so the smallest decides.
        track_score: S_obj of the best candidate, the attention it draws relative to the neutral
            prompt. Its logarithm counts; -inf is no candidate, and the answers count alone.
        track_weight: how much it counts, found together with the threshold by calibration.
    """
    if not margins or any(math.isnan(margin) for margin in margins):
        return math.nan
    if not math.isfinite(track_score):
        return min(margins)
    return min(margins) + track_weight * math.log(max(track_score, 1e-6))


def confidence(nats: float, threshold: float) -> float:
    """0 to 1, 0.5 at the threshold; evidence that is NaN counts as none."""
    excess = nats - threshold
    if math.isnan(excess) or excess < -700:
        return 0.0
    return 1 / (1 + math.exp(-excess))
