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

"""Grounding tokens, relative attention (paper, section 4.1). R rows, S x h x w cells."""

from __future__ import annotations

import torch

from stvg_ros.config import AttentionConfig
from stvg_ros.core.interfaces import Rows

EPSILON = 1e-4  # the paper's, against division by a vanishing neutral attention


def relative(rows: torch.Tensor, neutral: torch.Tensor) -> torch.Tensor:
    """A / (A_cap + 1e-4), `(R, S, h, w)`; row i is divided by the neutral prompt's row i.

    Raises:
        ValueError: the two prompts do not have the same candidates.
    """
    if rows.shape != neutral.shape:
        raise ValueError(
            f"relative attention: expected equal shapes, got {tuple(rows.shape)} for the question "
            f"and {tuple(neutral.shape)} for the neutral prompt"
        )
    return rows / (neutral + EPSILON)


def grounding_map(
    question: Rows, neutral: Rows, config: AttentionConfig
) -> tuple[torch.Tensor, str]:
    """The attention map of a question `(S, h, w)`, and the label of the row that gave it.

    The grounding token is the candidate whose highest visual attention, its visual activation
    degree, is the highest of all candidates.
    """
    by_neutral = relative(question.rows, neutral.rows)
    rows = by_neutral if config.relative else question.rows
    if config.selection == "mean":
        return rows.mean(0), "mean"
    if config.selection == "fixed":
        # An index past either end is the end: prompts have few candidates, and not all as many.
        index = max(-len(rows), min(len(rows) - 1, config.index))
        return rows[index], question.tokens[index]
    ranked = by_neutral if config.rank_relative else question.rows
    best = int(ranked.flatten(1).amax(1).argmax())
    return rows[best], question.tokens[best]
