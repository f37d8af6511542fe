# SPDX-License-Identifier: Apache-2.0

"""Choices among different numbers of tubes in one array, so that fits need no loop over them.

S sentences, N the most rows of one of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def padded(rows: Sequence[Array], fill: float = 0.0) -> Array:
    """The rows `(n, ...)` of each sentence as `(S, N, ...)`, with `fill` where one has fewer."""
    lengths = np.array([len(one) for one in rows])
    there = np.arange(lengths.max()) < lengths[:, None]
    found = np.full((*there.shape, *rows[0].shape[1:]), fill)
    found[there] = np.concatenate(rows)
    return found


def shares(odds: Array) -> Array:
    """Probabilities `(S, N)` of each sentence's rows from log-odds; 0 where these are -inf."""
    exps = np.exp(odds - odds.max(axis=1, keepdims=True))
    return np.asarray(exps / exps.sum(axis=1, keepdims=True), np.float64)
