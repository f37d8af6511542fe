# SPDX-License-Identifier: Apache-2.0

"""Directions for controls of re-attention: steps of the same length that ignore what it found."""

from __future__ import annotations

import torch
from torch import Tensor

from stvg_ros.method.reattention import Direction


def negated(gradient: Tensor) -> Tensor:
    """Up the loss instead of down."""
    return -gradient


def random_direction(seed: int) -> Direction:
    """Gives every token a random direction; its step keeps its length. `(M, D)` to `(M, D)`."""
    generator = torch.Generator().manual_seed(seed)

    def direction(gradient: Tensor) -> Tensor:
        drawn = torch.randn(gradient.shape, generator=generator).to(gradient)
        scale: Tensor = gradient.norm(dim=-1, keepdim=True) / drawn.norm(dim=-1, keepdim=True)
        return drawn * scale

    return direction
