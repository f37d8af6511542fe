# SPDX-License-Identifier: Apache-2.0

"""The losses of the embedded model's training.

Dimensions: B videos, Q questions of L tokens, R rows, M visual tokens, K labels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from stvg_lab.training.examiner import IGNORED

DECIDING_WEIGHT = 5.0  # of the token that decides, against the other tokens of an answer


def answer_loss(logits: Tensor, labels: Tensor, deciding: Tensor) -> Tensor:
    """Cross-entropy of the answers' tokens.

    Args:
        logits: `(B, Q, L, vocabulary)`.
        labels: `(B, Q, L)` the next token, or `IGNORED`.
        deciding: ids of the tokens that decide an answer.
    """
    flat = labels.flatten()
    losses = functional.cross_entropy(
        logits.flatten(0, 2), flat, reduction="none", ignore_index=IGNORED
    )
    weights = (flat != IGNORED).float()
    weights[torch.isin(flat, deciding)] = DECIDING_WEIGHT
    return (losses * weights).sum() / weights.sum()


def words_loss(words: Tensor, rows: Tensor, named: Tensor) -> Tensor:
    """Penalty for low attention of the rows to the naming words, just below the upper half.

    The upper half can attend to what was named only after the role tokens have read it.
    """
    shape = (-1, -1, -1, words.shape[-1])
    own = words.gather(2, rows[..., None].expand(*shape))  # (B, Q, R, L)
    mass = (own * named[:, :, None]).sum(-1)
    asked = named.any(-1)
    return -mass[asked].clamp_min(1e-4).log().mean()


def label_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross-entropy with a higher weight for the rare positives, summed over the labels."""
    weight = torch.tensor(4.0)
    losses = functional.binary_cross_entropy_with_logits(
        logits.float(), truth, reduction="none", pos_weight=weight
    )
    return losses.sum(-1).mean()
