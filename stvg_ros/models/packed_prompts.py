# SPDX-License-Identifier: Apache-2.0

"""Packs several questions into one row behind a shared prefix, masked from one another.

Dimensions: B passes, N prefix tokens, Q questions of S tokens in all, R candidate rows of all
questions, M visual columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stvg_ros.models.prompt import Suffix


@dataclass(frozen=True, eq=False)
class PackedPrompts:
    """Q questions in one row.

    Attributes:
        ids: `(1, S)`.
        positions: `(1, S)`; each question continues from the prefix.
        mask: `(1, 1, S, N + S)` bool; a question attends to the prefix and itself, causally.
        rows: `(R,)` candidate positions, question by question.
        counts: number of candidates of each question.
        ends: `(Q,)` last position of each question.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    rows: Tensor
    counts: list[int]
    ends: Tensor

    def split(self, found: Tensor) -> list[Tensor]:
        """Rows `(B, R, M)` of all questions to those of each."""
        return list(torch.split(found, self.counts, dim=1))

    def last(self, hidden: Tensor) -> Tensor:
        """The last state `(Q, D)` of each question, from `(1, S, D)` of one pass."""
        return hidden[0, self.ends]


def packed(
    suffixes: Sequence[Suffix], known: int, next_position: int, device: torch.device
) -> PackedPrompts:
    """Packs questions behind `known` prefix tokens; the text continues at `next_position`."""
    lengths = torch.tensor([len(suffix.ids) for suffix in suffixes])
    starts = lengths.cumsum(0) - lengths
    owner = torch.arange(len(suffixes)).repeat_interleave(lengths)
    within = torch.arange(len(owner)) - starts[owner]
    own = (owner[:, None] == owner) & (within[:, None] >= within)
    mask = torch.cat([own.new_ones(len(owner), known), own], dim=1)
    rows = [
        start + candidate
        for start, suffix in zip(starts.tolist(), suffixes, strict=True)
        for candidate in suffix.candidates
    ]

    def there(tensor: Tensor) -> Tensor:
        return tensor.to(device, non_blocking=True)

    return PackedPrompts(
        ids=there(torch.tensor([[token for suffix in suffixes for token in suffix.ids]])),
        positions=there((within + next_position)[None]),
        mask=there(mask[None, None]),
        rows=there(torch.tensor(rows)),
        counts=[len(suffix.candidates) for suffix in suffixes],
        ends=there(starts + lengths - 1),
    )
