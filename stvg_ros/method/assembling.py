# SPDX-License-Identifier: Apache-2.0

"""Temporal-augmented assembling, TAS (paper, section 4.4); the operator is the mean."""

from __future__ import annotations

import torch


def assembled(forward: torch.Tensor, backward: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Averages the maps of the two frame orders and measures their agreement.

    Args:
        forward: `(S, h, w)` A_S of the true order.
        backward: `(S, h, w)` A_S of the reversed order, still reversed.

    Returns:
        The mean map in the true order, and S_cons: Pearson's correlation of the two, -1 to 1,
        0 where one of them is constant.
    """
    restored = backward.flip(0)
    # In float64 the mean of a constant float32 map is that constant, so nothing correlates with it.
    first, second = (heat.cpu().double().flatten() for heat in (forward, restored))
    first, second = first - first.mean(), second - second.mean()
    scale = float(first.norm() * second.norm())
    consistency = float(first @ second) / scale if scale > 0 else 0.0
    return (forward + restored) / 2, max(-1.0, min(1.0, consistency))
