# SPDX-License-Identifier: Apache-2.0

"""Labels of a batch of clips: what each visual token shows, and the casts that questions are about.

B clips, P people at most, T frames, S = T / 2 slots of h x w visual tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stvg_lab.training.clip_pool import BAG_KINDS
from stvg_lab.training.examiner import ACTS, COLOURS, WALK, Cast
from stvg_lab.training.packed_questions import COLUMNS, PAIR, ROWS

DENSE = len(COLOURS) + len(BAG_KINDS) - 1 + 1 + len(ACTS)  # colours, bags, carton in hands, acts
_SEEN = 0.12  # share of a token's area inside a box from which on it shows the person


@dataclass(frozen=True, eq=False)
class Labels:
    """See `stvg_lab.training.clip_pool.Clip`; each array has a first dimension B more."""

    shirts: Tensor
    bags: Tensor
    acts: Tensor
    carries: Tensor
    places: Tensor
    cover: Tensor

    def cast(self, clip: int) -> Cast:
        """Who is in one of the clips."""
        return Cast(
            self.shirts[clip].numpy(),
            self.bags[clip].numpy(),
            self.acts[clip].numpy(),
            self.places[clip].numpy(),
        )

    def mirrored(self) -> Labels:
        """The same clips seen in a mirror: left is right."""
        left, right = WALK
        acts = torch.where(
            self.acts == left, right, torch.where(self.acts == right, left, self.acts)
        )
        cover = self.cover.unflatten(-1, (ROWS, COLUMNS)).flip(-1).flatten(-2)
        return replace(self, acts=acts, places=1 - self.places, cover=cover)

    def dense(self) -> Tensor:
        """What each visual token shows, `(B, M, DENSE)` of 0 and 1."""
        seen = self.cover > _SEEN  # (B, P, T, h * w)
        people = torch.cat(
            [
                _one_hot(self.shirts, len(COLOURS))[:, :, None].expand(-1, -1, seen.shape[2], -1),
                _one_hot(self.bags - 1, len(BAG_KINDS) - 1)[:, :, None].expand(
                    -1, -1, seen.shape[2], -1
                ),
                self.carries[..., None],
                _one_hot(self.acts, len(ACTS)),
            ],
            dim=-1,
        )  # (B, P, T, DENSE)
        shown = (seen[..., None] & people[:, :, :, None]).any(1)  # (B, T, h * w, DENSE)
        return shown.unflatten(1, (-1, PAIR)).any(2).flatten(1, 2).float()


def _one_hot(values: Tensor, count: int) -> Tensor:
    """All false for values outside 0 to `count` - 1."""
    return values[..., None] == torch.arange(count)
