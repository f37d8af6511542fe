# SPDX-License-Identifier: Apache-2.0

"""T_v, the visual tokens of a video: M = S * h * w tokens, S temporal slots of h x w."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

Crop = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class VisualTokens:
    """T_v: the visual tokens of the sampled frames, before the language model.

    Attributes:
        features: `(M, D)`, slot by slot, row by row, column by column.
        grid: `(S, h, w)`. A family that merges frame pairs has S = T / 2, others S = T.
        slots: for each slot, the indices of the sampled frames that it covers.
        deep: features that are added in deeper layers (Qwen3-VL's deepstack), each `(M, D)`.
        picture: rows and columns of the grid, end excluded, that the picture covers; None for all,
            without padding.
        crop: the part of the images that the grid covers, x1, y1, x2, y2 as shares of their width
            and height; None for all.
        times_s: time of each sampled frame, in seconds since the first; empty if unknown.
    """

    features: torch.Tensor
    grid: tuple[int, int, int]
    slots: tuple[tuple[int, ...], ...]
    deep: tuple[torch.Tensor, ...] = ()
    picture: tuple[slice, slice] | None = None
    crop: Crop | None = None
    times_s: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        slots, rows, columns = self.grid
        if self.features.ndim != 2 or len(self.features) != slots * rows * columns:
            raise ValueError(
                f"VisualTokens.features: expected ({slots * rows * columns}, D) for the grid "
                f"{self.grid}, got {tuple(self.features.shape)}"
            )
        if len(self.slots) != slots:
            raise ValueError(f"VisualTokens.slots: expected {slots}, got {len(self.slots)}")
        frames = sum(map(len, self.slots))
        if self.times_s and len(self.times_s) != frames:
            raise ValueError(
                f"VisualTokens.times_s: expected {frames} times, got {len(self.times_s)}"
            )

    @property
    def slot_size(self) -> int:
        """Number of tokens of a slot, h * w."""
        _, rows, columns = self.grid
        return rows * columns

    @property
    def nbytes(self) -> int:
        """Memory of the features."""
        return sum(tensor.nbytes for tensor in (self.features, *self.deep))

    def on_picture(self, rows: torch.Tensor) -> torch.Tensor:
        """`(R, M)` values of tokens as `(R, S, h, w)`, where h x w cover the picture alone."""
        maps = rows.reshape(-1, *self.grid)
        return maps if self.picture is None else maps[:, :, self.picture[0], self.picture[1]]

    def reversed(self) -> VisualTokens:
        """The tokens in the reversed order of slots (paper, section 4.4); `slots` likewise."""
        return replace(
            self,
            features=reversed_slots(self.features, self.grid),
            deep=tuple(reversed_slots(deep, self.grid) for deep in self.deep),
            slots=self.slots[::-1],
        )


def reversed_slots(tokens: torch.Tensor, grid: tuple[int, int, int]) -> torch.Tensor:
    """`(M, ...)` tokens in reversed order of slots; the order within a slot is unchanged."""
    return tokens.reshape(grid[0], -1, *tokens.shape[1:]).flip(0).reshape(tokens.shape)


def joined_slots(parts: Sequence[VisualTokens]) -> VisualTokens:
    """Joins slots that were encoded one by one into one video."""
    first = parts[0]
    slots: list[tuple[int, ...]] = []
    for part in parts:
        begin = sum(map(len, slots))
        slots += [tuple(begin + frame for frame in slot) for slot in part.slots]
    return VisualTokens(
        torch.cat([part.features for part in parts]),
        (len(slots), *first.grid[1:]),
        tuple(slots),
        tuple(torch.cat(level) for level in zip(*(part.deep for part in parts), strict=True)),
        picture=first.picture,
        crop=first.crop,
    )
