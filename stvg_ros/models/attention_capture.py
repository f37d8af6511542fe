# SPDX-License-Identifier: Apache-2.0

"""Computes attention rows of a few prompt tokens next to fused attention, without N x N maps.

Dimensions: B passes, R rows, M visual columns, N keys, H heads, G key heads, d head size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


@dataclass(frozen=True)
class HeadSet:
    """The heads whose rows are averaged.

    Attributes:
        layers: numbers of heads by the number of their layer; None for all heads of a layer.
    """

    layers: Mapping[int, tuple[int, ...] | None]

    @classmethod
    def band(cls, first: int, last: int) -> HeadSet:
        """All heads of the layers from `first` to `last`, both included."""
        return cls(dict.fromkeys(range(first, last + 1)))


@dataclass
class AttentionRecorder:
    """Collects the requested rows during a forward pass.

    Attributes:
        rows: `(R,)` positions among the queries.
        columns: `(M,)` positions among the keys.
        sets: the K sets of heads.
        kept: rows of each head by layer, `(B, H, R, M)`; None, without which no layer's rows
            outlive it, unless they are asked for.
        layers: number of layers of the first set that ran.
        largest: elements of the largest attention map in memory, for all passes and heads.
    """

    rows: Tensor
    columns: Tensor
    sets: tuple[HeadSet, ...]
    kept: dict[int, Tensor] | None = None
    layers: int = 0
    largest: int = 0

    def __post_init__(self) -> None:
        self._sums: dict[int, tuple[Tensor, int]] = {}

    def mean(self, at: int = 0) -> Tensor:
        """Mean over the heads of a set, `(B, R, M)`."""
        if at not in self._sums:
            raise RuntimeError("no layer of the band ran while the recorder was active")
        total, weight = self._sums[at]
        return total / weight

    def wants(self, layer: int) -> bool:
        """Whether a layer is in one of the sets, or each is kept."""
        return self.kept is not None or any(layer in one.layers for one in self.sets)

    @torch.no_grad()
    def add(
        self, layer: int, query: Tensor, key: Tensor, mask: Tensor | None, scaling: float
    ) -> None:
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
        self._collect(layer, weights)

    def _collect(self, layer: int, weights: Tensor) -> None:
        """Adds the weights `(B, H, R, N)` of a layer to the sums of the sets."""
        columns, device = self.columns.to(weights.device), self.rows.device
        if self.kept is not None:
            self.kept[layer] = weights[..., columns].to(device)
        for at, one in enumerate(self.sets):
            if layer not in one.layers:
                continue
            heads = one.layers[layer]
            if heads is None:
                part, weight = weights.mean(1)[..., columns].to(device), 1
            else:
                part, weight = weights[:, list(heads)].sum(1)[..., columns].to(device), len(heads)
            total, before = self._sums.get(at, (None, 0))
            self._sums[at] = (part if total is None else total + part, before + weight)
            self.layers += at == 0


_active: ContextVar[AttentionRecorder | None] = ContextVar("stvg_rows", default=None)


@contextmanager
def recording(recorder: AttentionRecorder | None) -> Iterator[AttentionRecorder | None]:
    """Inside the context, layers of its sets add their rows to `recorder`; None records none."""
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
    if recorder and recorder.wants(module.layer_idx):
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        recorder.add(module.layer_idx, query, key, attention_mask, scale)
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
