# SPDX-License-Identifier: Apache-2.0

"""Vision towers that attend within slots or windows: few large products, no GPU synchronisation.

Dimensions: N patches in a row, K sequences of n patches, H heads, d head size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, vision_utils

# transformers passes the whole row to an implementation with "flash" in its name. For all others
# it splits the row in a Python loop, sequence by sequence, in each layer.
NAME = "stvg_flash_slots"


def run_tower(
    visual: Any,
    features: Callable[..., Any],
    pixels: Tensor,
    grid: tuple[int, int, int],
    merge: int,
    *more: Tensor,
) -> Any:
    """The output of the model's `get_video_features`.

    Values that depend only on the grid are computed on the host, without synchronising with a GPU.

    Args:
        visual: the tower.
        features: the model's `get_video_features`.
        pixels: patches, on the model's device.
        grid: slots, rows and columns of patches.
        merge: m, for m x m patches per token.
        more: further arguments of `features`.
    """
    visual.config._attn_implementation = NAME
    window = table = None
    if hasattr(visual, "window_size"):
        window = (visual.window_size, visual.patch_size)
    if hasattr(visual, "num_grid_per_side"):
        how = (visual.interpolation_mode, visual.interpolation_align_corners)
        table = (visual.num_grid_per_side, *how)
    places = _places(grid, merge, window, table, pixels.device)
    return features(pixels, torch.tensor([grid]), *more, **places)


@lru_cache(maxsize=8)
def _places(
    grid: tuple[int, int, int],
    merge: int,
    window: tuple[int, int] | None,
    table: tuple[int, str, bool] | None,
    device: torch.device,
) -> dict[str, Tensor]:
    """Positions of the patches, computed by transformers; window lengths stay on the host."""
    at = torch.tensor([grid])
    found = {"position_ids": vision_utils.get_vision_position_ids(at, merge)}
    lengths = {}
    if window:
        index, ends = vision_utils.get_vision_window_index(at, merge, *window)
        found["window_index"], lengths["cu_window_seqlens"] = index, ends
    if table:
        near, weights = vision_utils.get_vision_interpolation_indices_and_weights(at, *table, merge)
        found |= {"interp_indices": near, "interp_weights": weights}
    return lengths | {name: each.to(device, non_blocking=True) for name, each in found.items()}


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    *,
    cu_seq_lens_q: Tensor,
    **rest: Any,
) -> tuple[Tensor, None]:
    """Fused attention within each sequence of a row; sequences of equal length form a batch.

    Args:
        module: the layer, not used.
        query, key, value: `(1, H, N, d)`; keys and values may have fewer heads.
        attention_mask: always None.
        scaling: of the scores; None for d ** -0.5.
        cu_seq_lens_q: ends of the sequences, starting with 0, on the host.
        rest: arguments of other implementations, not used.

    Returns:
        `(1, N, H, d)`, and no weights.
    """
    groups = _by_length(tuple(cu_seq_lens_q.diff().tolist()), query.device)
    row = [query[0], key[0], value[0]]  # (H, N, d)
    if len(groups) == 1:
        return _batched(row, groups[0][0], scaling)[None], None
    out = query.new_empty(query.shape[2], query.shape[1], value.shape[3])
    for length, index in groups:
        some = [each.index_select(1, index) for each in row]
        out.index_copy_(0, index, _batched(some, length, scaling))
    return out[None], None


def _batched(row: list[Tensor], length: int, scaling: float | None) -> Tensor:
    """Attention of K sequences of `length` in a row, `(H, K * n, d)` to `(K * n, H, d)`."""
    query, key, value = (
        each.reshape(len(each), -1, length, each.shape[-1]).transpose(0, 1)  # (K, H, n, d)
        for each in row
    )
    groups = len(row[0]) != len(row[1])
    found = functional.scaled_dot_product_attention(
        query, key, value, scale=scaling, enable_gqa=groups
    )
    return found.transpose(1, 2).flatten(0, 1)


@lru_cache(maxsize=16)
def _by_length(lengths: tuple[int, ...], device: torch.device) -> list[tuple[int, Tensor]]:
    """For each length, the positions in the row of all sequences of that length."""
    owner = torch.tensor(lengths).repeat_interleave(torch.tensor(lengths))
    return [
        (length, (owner == length).nonzero()[:, 0].to(device, non_blocking=True))
        for length in sorted(set(lengths))
    ]


class PatchProduct(nn.Module):
    """A convolution with an input as large as its kernel, as a matrix product."""

    def __init__(self, convolution: nn.Conv3d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias

    def forward(self, patches: Tensor) -> Tensor:
        """`(N, 3, P, p, p)` to `(N, D)`."""
        return functional.linear(patches.flatten(1), self.weight.flatten(1), self.bias)


AttentionInterface.register(NAME, attend)
