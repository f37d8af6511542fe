# SPDX-License-Identifier: Apache-2.0

"""System and visual tokens of a video: their layout, their inputs, and their states.

Dimensions: B passes, N prefix tokens, M visual tokens, D hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.family import Layout
from stvg_ros.models.prefix_cache import Pairs


@dataclass(frozen=True, eq=False)
class PrefixLayout:
    """Positions of a video's tokens; the same for all passes over videos of its grid.

    Attributes:
        layout: layout of the visual tokens in the prompt.
        grid: `(S, h, w)` of the video.
        ids: `(1, N)` of system and visual tokens.
        visual: `(K,)` positions of the visual tokens, including those after the grid's.
        positions: position ids, `(A, 1, N)` or `(1, N)`.
        next_position: position of the first token after the prefix.
        mask: `(1, 1, N, N)`, True where a token attends to another; None for causal attention.
    """

    layout: Layout
    grid: tuple[int, int, int]
    ids: Tensor
    visual: Tensor
    positions: Tensor
    next_position: int
    mask: Tensor | None = None


@dataclass(frozen=True, eq=False)
class PrefixInputs:
    """System and visual tokens of B passes before the first layer.

    Attributes:
        visual: visual tokens of the first pass, without the offset.
        layout: their layout in the prompt.
        named: arguments of the language model: embeddings `(B, N, D)`, positions, and
            mask and the deeper layers' features if the family has them.
        columns: `(M,)` positions of the visual tokens in the prefix.
        next_position: position of the first token after the prefix.
    """

    visual: VisualTokens
    layout: Layout
    named: dict[str, Any]
    columns: Tensor
    next_position: int


@dataclass(frozen=True, eq=False)
class HfPrefix:
    """States of system and visual tokens of B passes in each layer.

    Attributes:
        visual: visual tokens of the first pass, without the offset.
        layout: their layout in the prompt.
        pairs: keys and values of each layer that ran, or a recurrent layer's states; their graph
            leads to the offset.
        length: N.
        columns: `(M,)` positions of the visual tokens in the prefix.
        next_position: position of the first token after the prefix.
        passes: B.
    """

    visual: VisualTokens
    layout: Layout
    pairs: Pairs
    length: int
    columns: Tensor
    next_position: int
    passes: int


def moved_features(visual: VisualTokens, offset: Tensor | None, layout: Layout) -> Tensor:
    """T_v + V, added in float32, and the tokens after the grid's."""
    features = visual.features
    if offset is not None:
        features = (features.float() + offset.to(features.device).float()).to(features.dtype)
    if layout.tail is not None:
        features = torch.cat([features, layout.tail.to(features)])
    return features
