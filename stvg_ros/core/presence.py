"""Whether the target is there: the answers before tuning, which re-attention reads anyway."""

from __future__ import annotations

import math
from collections.abc import Sequence


def confidence(margins: Sequence[float], threshold: float) -> float:
    """0 to 1 from log p(yes) - log p(no) of Q, Q_s and Q_t; 0.5 lies at the threshold.

    All must hold, so the smallest margin decides. A NaN margin counts as no evidence.
    """
    if not margins or any(math.isnan(margin) for margin in margins):
        return 0.0
    excess = min(margins) - threshold
    return 1 / (1 + math.exp(-excess)) if excess > -700 else 0.0
