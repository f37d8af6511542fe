# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""Directions for controls of re-attention: steps of the same length that ignore what it found."""

from __future__ import annotations

import torch
from torch import Tensor

from stvg_ros.core.reattention import Direction


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
