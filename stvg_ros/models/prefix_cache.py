# SPDX-License-Identifier: Apache-2.0

"""Keys and values of a shared prefix, and gradient checkpointing that keeps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import DynamicCache

Pairs = tuple[tuple[Tensor, Tensor], ...]  # keys and values of each layer, `(1, G, N, d)`


class SharedKeys:
    """Read-only prefix keys and values for a forward pass."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any) -> tuple[Tensor, Tensor]:
        """The prefix's keys and values followed by the new ones."""
        before = self.pairs[layer]
        return torch.cat([before[0], keys], dim=2), torch.cat([before[1], values], dim=2)

    def get_seq_length(self, layer: int = 0) -> int:
        """N, the length of the prefix."""
        return int(self.pairs[layer][0].shape[2])


class _OneLayer:
    """The cache of one layer while it is recomputed."""

    def __init__(self, before: tuple[Tensor, Tensor] | None) -> None:
        self._before = before
        self.added: tuple[Tensor, Tensor] | None = None

    def update(self, keys: Tensor, values: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
        self.added = (keys, values)
        if self._before is None:
            return self.added
        return (
            torch.cat([self._before[0], keys], dim=2),
            torch.cat([self._before[1], values], dim=2),
        )


def pairs_of(cache: DynamicCache) -> Pairs:
    """The keys and values of a filled cache."""
    layers: list[Any] = list(cache.layers)
    return tuple((layer.keys, layer.values) for layer in layers)


def recompute_layers(language_model: Any, wanted: Callable[[], bool]) -> None:
    """Applies gradient checkpointing to every layer while `wanted`.

    The gradient checkpointing of transformers drops the cache, which prefix sharing needs; here
    the layer's keys and values are outputs of the recomputed function instead.
    """
    for index, layer in enumerate(language_model.layers):
        layer.forward = _recomputed(layer.forward, index, wanted)


def _recomputed(forward: Any, index: int, wanted: Callable[[], bool]) -> Any:
    def run(hidden: Tensor, *rest: Any, past_key_values: Any = None, **named: Any) -> Tensor:
        if not wanted() or not torch.is_grad_enabled() or past_key_values is None:
            out: Tensor = forward(hidden, *rest, past_key_values=past_key_values, **named)
            return out
        shared = isinstance(past_key_values, SharedKeys)
        before = past_key_values.pairs[index] if shared else None

        def layer(hidden: Tensor, *before: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            cache = _OneLayer((before[0], before[1]) if before else None)
            out = forward(hidden, *rest, past_key_values=cache, **named)
            assert cache.added is not None
            return out, *cache.added

        out, keys, values = checkpoint(layer, hidden, *(before or ()), use_reentrant=False)
        if not shared:
            past_key_values.update(keys, values, index)
        return out

    return run
