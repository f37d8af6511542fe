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
    first, second = forward.flatten() - forward.mean(), restored.flatten() - restored.mean()
    scale = first.norm() * second.norm()
    consistency = float(first @ second / scale) if float(scale) > 0 else 0.0
    return (forward + restored) / 2, consistency
