# SPDX-License-Identifier: Apache-2.0

"""What a shared prefix leaves in each layer, and gradient checkpointing that keeps it.

Dimensions: B passes, Q questions, N tokens, G key heads, d head size; in recurrent layers C
channels and K positions of a convolution, H heads, e and f sizes of a head's state.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import DynamicCache

from stvg_ros.models.architectures import is_recurrent

# Of an attention layer: keys and values, `(B, G, N, d)`. Of a recurrent layer: the last inputs of
# its convolution `(B, C, K)`, and its state `(B, H, e, f)`, unless it is a convolution alone.
LayerStates = tuple[Tensor, ...]
Pairs = tuple[LayerStates, ...]
_CACHE_NAMES = ("cache", "past_key_values")  # of arguments: since transformers 5.24, and before


class OneLayer:
    """The cache of one layer during one pass, with the interface of transformers' caches.

    Attributes:
        added: keys and values of this pass alone, or a recurrent layer's states after it.
    """

    def __init__(self, before: LayerStates | None) -> None:
        self._before = before
        self.added: LayerStates | None = None

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> LayerStates:
        """The earlier keys and values followed by the new ones."""
        self.added = (keys, values)
        if self._before is None:
            return self.added
        return (
            torch.cat([self._before[0], keys], dim=2),
            torch.cat([self._before[1], values], dim=2),
        )

    def get_conv_state(self, *_: Any, **__: Any) -> Tensor | None:
        """The last inputs of the convolution; None at the beginning."""
        return None if self._before is None else self._before[0]

    def update_conv_state(self, new: Tensor, *_: Any, conv_kernel_size: int, **__: Any) -> Tensor:
        """The earlier inputs, or zeros, followed by the new ones `(B, C, N)`."""
        if self._before is None:
            whole = functional.pad(new, (conv_kernel_size, 0))
        else:
            whole = torch.cat([self._before[0], new], dim=-1)
        self.added = (whole[..., -conv_kernel_size:],)
        return whole

    def get_recurrent_state(self, *_: Any, **__: Any) -> Tensor | None:
        """The state before this pass; None at the beginning."""
        return None if self._before is None else self._before[1]

    def update_recurrent_state(self, state: Tensor, *_: Any, **__: Any) -> None:
        """Keeps the state after this pass."""
        assert self.added is not None
        self.added = (self.added[0], state)

    def is_recording_past(self, *_: Any) -> bool:
        """Whether earlier states are kept; never."""
        return False


class SharedPrefix:
    """Read-only states of a prefix for a forward pass over questions behind it."""

    def __init__(self, pairs: Pairs, known: int, questions: int = 1) -> None:
        """Shares the states.

        Args:
            pairs: states of each layer, of B passes.
            known: N, the length of the prefix.
            questions: Q rows of the batch that follow each pass.
        """
        self.pairs = pairs
        self.questions = questions
        self._known = known

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any) -> LayerStates:
        """The prefix's keys and values followed by the new ones, `(B * Q, G, N + S, d)`."""
        return self._layer(layer).update(keys, values)

    def get_seq_length(self, layer: int = 0) -> int:
        """N, the length of the prefix."""
        return self._known

    def get_conv_state(self, layer: int, **_: Any) -> Tensor | None:
        """See `OneLayer`."""
        return self._layer(layer).get_conv_state()

    def update_conv_state(self, new: Tensor, layer: int, **named: Any) -> Tensor:
        """See `OneLayer`."""
        return self._layer(layer).update_conv_state(new, **named)

    def get_recurrent_state(self, layer: int, **_: Any) -> Tensor | None:
        """See `OneLayer`."""
        return self._layer(layer).get_recurrent_state()

    def update_recurrent_state(self, state: Tensor, *_: Any, **__: Any) -> None:
        """Drops the state after a question, since nothing follows it."""

    def is_recording_past(self, layer: int) -> bool:
        """See `OneLayer`."""
        return False

    def _layer(self, layer: int) -> OneLayer:
        return OneLayer(repeated(self.pairs[layer], self.questions))


def repeated(states: LayerStates, count: int) -> LayerStates:
    """States `(B, ...)` for `count` rows of the batch each, `(B * count, ...)`."""
    if count == 1:
        return states
    return tuple(each.repeat_interleave(count, dim=0) for each in states)


def named_cache(module: Any, cache: Any) -> dict[str, Any]:
    """A cache by the name of the argument that `module` takes it with."""
    taken = inspect.signature(module.forward).parameters
    return {next((name for name in _CACHE_NAMES if name in taken), "past_key_values"): cache}


def empty_cache(language_model: Any) -> DynamicCache:
    """A cache for a language model, with the layers' kinds where they differ."""
    config = language_model.config
    return DynamicCache(config=config) if is_recurrent(config) else DynamicCache()


def pairs_of(cache: DynamicCache, layers: int) -> Pairs:
    """The states of the first `layers` layers of a filled cache."""
    found: list[Any] = list(cache.layers)[:layers]
    return tuple(
        tuple(
            each[0] for each in (layer.conv_states, layer.recurrent_states) if each[0] is not None
        )
        if hasattr(layer, "conv_states")
        else (layer.keys, layer.values)
        for layer in found
    )


def put(cache: DynamicCache, layer: int, states: LayerStates, known: int) -> None:
    """Copies the states of a layer after `known` tokens to a cache that has none."""
    own: Any = cache.layers[layer] if layer < len(cache.layers) else None
    if hasattr(own, "conv_states"):
        cache.update_conv_state(states[0], layer, conv_kernel_size=states[0].shape[-1])
        for state in states[1:]:
            cache.update_recurrent_state(state, layer)
    else:
        cache.update(states[0], states[1], layer)
        if hasattr(own, "cumulative_length"):  # a window keeps the last keys only
            own.cumulative_length = known


def recompute_layers(language_model: Any, wanted: Callable[[], bool]) -> None:
    """Applies gradient checkpointing to every layer while `wanted`.

    The gradient checkpointing of transformers drops the cache, which prefix sharing needs; here
    the layer's states are outputs of the recomputed function instead.
    """
    for index, layer in enumerate(language_model.layers):
        layer.forward = _recomputed(layer.forward, index, wanted)


def _recomputed(forward: Any, index: int, wanted: Callable[[], bool]) -> Any:
    def run(hidden: Tensor, *rest: Any, **named: Any) -> Tensor:
        name = next((each for each in _CACHE_NAMES if named.get(each) is not None), None)
        if not wanted() or not torch.is_grad_enabled() or name is None:
            out: Tensor = forward(hidden, *rest, **named)
            return out
        whole = named[name]
        shared = isinstance(whole, SharedPrefix)
        before = whole.pairs[index] if shared else None
        questions = whole.questions if shared else 1

        def layer(hidden: Tensor, *before: Tensor) -> tuple[Tensor, ...]:
            earlier = repeated(before, questions) if before else None
            cache = OneLayer(earlier)
            out = forward(hidden, *rest, **{**named, name: cache})
            assert cache.added is not None
            return out, *cache.added

        out, *added = checkpoint(layer, hidden, *(before or ()), use_reentrant=False)
        if not shared:
            put(whole, index, tuple(added), hidden.shape[1])
        return out

    return run
