# SPDX-License-Identifier: Apache-2.0

"""Several questions as rows of a batch behind a shared prefix, for recurrent language models.

A recurrent state has read everything before it, so that questions of one row would read one
another. Here each question continues from its own copy of the prefix's states.

Dimensions: B passes, N prefix tokens, Q questions of at most S tokens, R positions, M columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stvg_ros.models.prompt import Suffix


@dataclass(frozen=True, eq=False)
class BatchedPrompts:
    """Q questions, padded behind their ends, where nothing that is read attends to.

    Attributes:
        ids: `(Q, S)`.
        positions: `(1, S)`.
        mask: `(1, 1, S, N + S)` bool, causal.
        rows: `(R,)` candidate positions of any question.
        places: for each question, the indices in `rows` of its candidates.
        ends: `(Q,)` last position of each question.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    rows: Tensor
    places: tuple[Tensor, ...]
    ends: Tensor

    def split(self, found: Tensor) -> list[Tensor]:
        """Rows `(B * Q, R, M)` of all, pass by pass, to `(B, R, M)` of each question."""
        count = len(self.places)
        return [found[at::count].index_select(1, own) for at, own in enumerate(self.places)]

    def last(self, hidden: Tensor) -> Tensor:
        """The last state `(Q, D)` of each question, from `(Q, S, D)` of one pass."""
        return hidden[torch.arange(len(self.ends), device=hidden.device), self.ends]


def batched(
    suffixes: Sequence[Suffix], known: int, next_position: int, device: torch.device
) -> BatchedPrompts:
    """Batches questions behind `known` prefix tokens; the text continues at `next_position`."""
    longest = max(len(suffix.ids) for suffix in suffixes)
    within = torch.arange(longest)
    own = within[:, None] >= within
    rows = sorted({at for suffix in suffixes for at in suffix.candidates})
    places = [[rows.index(at) for at in suffix.candidates] for suffix in suffixes]

    def there(tensor: Tensor) -> Tensor:
        return tensor.to(device, non_blocking=True)

    return BatchedPrompts(
        ids=there(torch.tensor([[*s.ids, *[0] * (longest - len(s.ids))] for s in suffixes])),
        positions=there((within + next_position)[None]),
        mask=there(torch.cat([own.new_ones(longest, known), own], dim=1)[None, None]),
        rows=there(torch.tensor(rows)),
        places=tuple(there(torch.tensor(each)) for each in places),
        ends=there(torch.tensor([len(suffix.ids) - 1 for suffix in suffixes])),
    )


def layer_masks(mask: Tensor, known: int, config: Any) -> dict[str, Tensor | None]:
    """The mask of each kind of layer.

    Args:
        mask: `(B * Q, 1, S, N + S)` bool, of layers that attend to the whole prompt.
        known: N.
        config: of the language model. Of the prefix, layers with a window keep only those keys
            that the first token of a question sees.
    """
    found: dict[str, Tensor | None] = {
        "full_attention": mask,
        "linear_attention": None,
        "conv": None,
    }
    window = getattr(config, "sliding_window", None)
    if window is not None:
        kept = min(known, window - 1)
        cut = mask[..., known - kept :]
        found["sliding_attention"] = cut & torch.ones_like(cut).triu(kept + 1 - window)
    return found
