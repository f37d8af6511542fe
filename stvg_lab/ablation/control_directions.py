# SPDX-License-Identifier: Apache-2.0

"""Control directions for re-attention: steps of the same length in other directions."""

from __future__ import annotations

import torch
from torch import Tensor

from stvg_ros.method.reattention import Direction


def negated(gradient: Tensor) -> Tensor:
    """The negated gradient, which increases the loss."""
    return -gradient


def random_direction(seed: int) -> Direction:
    """A random direction per token with the length of its step, `(M, D)` to `(M, D)`."""
    generator = torch.Generator().manual_seed(seed)

    def direction(gradient: Tensor) -> Tensor:
        drawn = torch.randn(gradient.shape, generator=generator).to(gradient)
        scale: Tensor = gradient.norm(dim=-1, keepdim=True) / drawn.norm(dim=-1, keepdim=True)
        return drawn * scale

    return direction
