# SPDX-License-Identifier: Apache-2.0

"""Labels of a batch of clips: content of each visual token, and the people of each clip.

B clips, at most P people, T frames, S = T / 2 slots of h x w visual tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from stvg_lab.training.clip_pool import BAG_KINDS
from stvg_lab.training.examiner import (
    ACTS,
    COLOURS,
    WALK,
    Cast,
    Examiner,
    Question,
    target_map,
)
from stvg_lab.training.packed_questions import COLUMNS, PAIR, ROWS

DENSE = len(COLOURS) + len(BAG_KINDS) - 1 + 1 + len(ACTS)  # colours, bags, carton in hands, acts
_SEEN = 0.12  # minimum share of a token's area inside a box that shows the person


@dataclass(frozen=True, eq=False)
class Labels:
    """As `stvg_lab.training.clip_pool.TrainingClip`; each array has a further first dimension B."""

    shirts: Tensor
    bags: Tensor
    acts: Tensor
    carries: Tensor
    places: Tensor
    cover: Tensor

    def cast(self, clip: int) -> Cast:
        """The people of one of the clips."""
        return Cast(
            self.shirts[clip].numpy(),
            self.bags[clip].numpy(),
            self.acts[clip].numpy(),
            self.places[clip].numpy(),
        )

    def questions(self, rng: np.random.Generator) -> list[list[Question]]:
        """`COUNT` questions of each clip."""
        return [Examiner(rng, self.cast(clip)).questions() for clip in range(len(self.shirts))]

    def targets(self, batch: Sequence[Sequence[Question]]) -> Tensor:
        """Target attention of these questions, `(B, Q, M)` summing to 1; all zero without one."""
        maps = [
            torch.stack(
                [target_map(one, self.cover[clip], self.acts[clip]).flatten() for one in questions]
            )
            for clip, questions in enumerate(batch)
        ]
        return torch.stack(maps)

    def mirrored(self) -> Labels:
        """The same clips mirrored horizontally."""
        left, right = WALK
        acts = torch.where(
            self.acts == left, right, torch.where(self.acts == right, left, self.acts)
        )
        cover = self.cover.unflatten(-1, (ROWS, COLUMNS)).flip(-1).flatten(-2)
        return replace(self, acts=acts, places=1 - self.places, cover=cover)

    def dense(self) -> Tensor:
        """Content of each visual token, `(B, M, DENSE)` of 0 and 1."""
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
    """One-hot; all false for values outside 0 to `count` - 1."""
    return values[..., None] == torch.arange(count)
