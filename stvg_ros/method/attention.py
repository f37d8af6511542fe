# SPDX-License-Identifier: Apache-2.0

"""Grounding tokens, relative attention (paper, section 4.1). R rows, S x h x w cells."""

from __future__ import annotations

import torch

from stvg_ros.errors import ConfigError
from stvg_ros.method.interfaces import AttentionRows
from stvg_ros.method.settings import AttentionConfig

EPSILON = 1e-4  # of the paper; prevents division by zero
NO_HEADS = (
    "attention.heads 'selected': expected a table of heads in the model's stvg.json, which has "
    "none; run `stvg-ros calibrate --heads --write` with this model, or set attention.heads to "
    "'mean'"
)


def relative(rows: torch.Tensor, neutral: torch.Tensor) -> torch.Tensor:
    """A / (A_cap + 1e-4), `(R, S, h, w)`; row i is divided by the neutral prompt's row i.

    Raises:
        ValueError: the two prompts have different candidates.
    """
    if rows.shape != neutral.shape:
        raise ValueError(
            f"relative attention: expected equal shapes, got {tuple(rows.shape)} for the question "
            f"and {tuple(neutral.shape)} for the neutral prompt"
        )
    return rows / (neutral + EPSILON)


def head_rows(rows: AttentionRows, config: AttentionConfig, use: str) -> AttentionRows:
    """The rows of the heads that `attention.heads` selects for a use, one of `HEAD_USES`.

    Raises:
        ConfigError: selected heads are wanted, and the model has no table of them.
    """
    if config.heads == "mean":
        return rows
    if not rows.heads:
        raise ConfigError(NO_HEADS)
    return rows.of_heads(use)


def grounding_map(
    question: AttentionRows, neutral: AttentionRows, config: AttentionConfig
) -> tuple[torch.Tensor, str]:
    """The attention map of a question `(S, h, w)`, and the label of its row.

    The grounding token is the candidate with the highest visual activation degree, which is its
    maximum attention to a visual token.
    """
    by_neutral = relative(question.rows, neutral.rows)
    rows = by_neutral if config.relative else question.rows
    if config.selection == "mean":
        return rows.mean(0), "mean"
    if config.selection == "fixed":
        # The index is clamped: prompts have few candidates, and their number differs.
        index = max(-len(rows), min(len(rows) - 1, config.index))
        return rows[index], question.tokens[index]
    ranked = by_neutral if config.rank_relative else question.rows
    best = int(ranked.flatten(1).amax(1).argmax())
    return rows[best], question.tokens[best]
