# SPDX-License-Identifier: Apache-2.0

"""Computes attention rows of a few prompt tokens next to fused attention, without N x N maps.

Dimensions: B passes, R rows, M visual columns, N keys, H heads, G key heads, d head size.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "stvg_rows"


@dataclass
class AttentionRecorder:
    """Collects the requested rows during a forward pass.

    Attributes:
        rows: `(R,)` positions among the queries.
        columns: `(M,)` positions among the keys.
        first_layer, last_layer: the band, both included.
        total: `(B, R, M)` float32, sum over the band's layers of the mean over heads.
        layers: number of layers in the sum.
        largest: elements of the largest attention map in memory, for all passes and heads.
    """

    rows: Tensor
    columns: Tensor
    first_layer: int
    last_layer: int
    total: Tensor | None = None
    layers: int = 0
    largest: int = 0

    def mean(self) -> Tensor:
        """Mean over the layers of the band, `(B, R, M)`."""
        if self.total is None:
            raise RuntimeError("no layer of the band ran while the recorder was active")
        return self.total / self.layers

    @torch.no_grad()
    def add(self, query: Tensor, key: Tensor, mask: Tensor | None, scaling: float) -> None:
        """Adds one layer: `query` `(B, H, S, d)`, `key` `(B, G, N, d)`, `mask` `(B, 1, S, N)`."""
        passes, heads, _, size = query.shape
        groups, count = key.shape[1], len(self.rows)
        rows = self.rows.to(query.device)  # the layer's may be another one than the first layer's
        asked = query[:, :, rows].reshape(passes, groups, heads // groups * count, size)
        scores = (asked @ key.transpose(-1, -2)).float() * scaling
        scores = scores.view(passes, heads, count, -1)  # (B, H, R, N)
        if mask is None:
            behind = key.shape[2] - query.shape[2]
            position = torch.arange(key.shape[2], device=key.device)
            visible = position <= (rows + behind)[:, None]
        elif mask.dtype == torch.bool:
            visible = mask[:, :, rows]
        else:
            visible = mask[:, :, rows] == 0
        weights = scores.masked_fill_(~visible, float("-inf")).softmax(-1)
        self.largest = max(self.largest, weights.numel())
        layer = weights.mean(1)[..., self.columns.to(query.device)].to(self.rows.device)
        self.total = layer if self.total is None else self.total + layer
        self.layers += 1


_active: ContextVar[AttentionRecorder | None] = ContextVar("stvg_rows", default=None)


@contextmanager
def recording(recorder: AttentionRecorder) -> Iterator[AttentionRecorder]:
    """Inside the context, layers of the band add their rows to `recorder`."""
    token = _active.set(recorder)
    try:
        yield recorder
    finally:
        _active.reset(token)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    """Fused attention for the output; an active recorder computes its rows.

    Layers with a window have none: most of a video is outside it.
    """
    recorder = _active.get() if rest.get("sliding_window") is None else None
    if recorder and recorder.first_layer <= module.layer_idx <= recorder.last_layer:
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        recorder.add(query, key, attention_mask, scale)
    groups = query.shape[1] // key.shape[1]
    if attention_mask is None or groups == 1:
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **rest
        )
        return output, None
    # transformers repeats the prefix's keys and values for every head of a group, and the
    # backward pass keeps the copies. Here the heads of a group become rows of one head instead.
    rows = query.reshape(*key.shape[:2], -1, query.shape[-1])
    output = functional.scaled_dot_product_attention(
        rows, key, value, attn_mask=attention_mask.repeat(1, 1, groups, 1), scale=scaling
    )
    heads = output.view(*key.shape[:2], groups, *query.shape[2:]).permute(0, 3, 1, 2, 4)
    return heads.flatten(2, 3), None


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
