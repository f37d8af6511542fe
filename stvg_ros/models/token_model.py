# SPDX-License-Identifier: Apache-2.0

"""Token access to a causal language model of transformers, for readers of commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Any

import torch
from transformers import DynamicCache

from stvg_ros.models.prefix_cache import named_cache

# From ids `(1, n)` and a cache to the scores `(vocabulary,)` of the next token.
Forward = Callable[[torch.Tensor, DynamicCache], torch.Tensor]


class CausalTokens:
    """Chooses tokens with a causal model; keys and values of a common prefix are cached.

    A recurrent state cannot be taken back, so that other tokens than those seen start again.

    One thread uses it at a time.

    Attributes:
        read: tokens that the model has read so far; those of a cached prefix count once.
    """

    def __init__(
        self,
        forward: Forward,
        tokenizer: Any,
        device: torch.device,
        make_cache: Callable[[], DynamicCache] = DynamicCache,
    ) -> None:
        """Prepares a model.

        Args:
            forward: the model.
            tokenizer: its tokenizer.
            device: its device.
            make_cache: an empty cache for the model.
        """
        self._forward = forward
        self._tokenizer = tokenizer
        self._device = device
        self.read = 0
        self._seen: list[int] = []
        self._make_cache = make_cache
        self._cache = make_cache()

    def encode(self, text: str) -> list[int]:
        """The tokens of a text; see `TokenModel`."""
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)

    @torch.no_grad()
    def best(self, before: Sequence[int], allowed: Sequence[int]) -> int:
        """The most probable allowed token; see `TokenModel`."""
        begin = self._tokenizer.bos_token_id
        tokens = [*([] if begin is None else [begin]), *before]
        common = 0
        most = min(len(self._seen), len(tokens) - 1)  # the last token is always computed
        while common < most and self._seen[common] == tokens[common]:
            common += 1
        if common < len(self._seen):
            if self._cache.is_croppable and not any(self._cache.is_linear):
                self._cache.crop(common - len(self._seen))
            else:
                self._cache, common = self._make_cache(), 0
        ids = torch.tensor([tokens[common:]], device=self._device)
        scores = self._forward(ids, self._cache)[torch.tensor(list(allowed), device=self._device)]
        self.read += len(tokens) - common
        self._seen = tokens
        return int(allowed[int(scores.argmax())])


@torch.no_grad()
def greedy(
    forward: Forward,
    ids: torch.Tensor,
    stops: Set[int],
    most: int,
    before: DynamicCache | None = None,
) -> list[int]:
    """The most probable tokens after a cache and ids `(1, n)`, up to a stop token or the maximum.

    The cache is extended.
    """
    cache = DynamicCache() if before is None else before
    written: list[int] = []
    while len(written) < most:
        token = int(forward(ids, cache).argmax())
        if token in stops:
            break
        written.append(token)
        ids = torch.tensor([[token]], device=ids.device)
    return written


def causal_tokens(model: Any, tokenizer: Any) -> CausalTokens:
    """The tokens of a causal language model of transformers."""

    def forward(ids: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        output = model(input_ids=ids, **named_cache(model, cache), use_cache=True)
        scores: torch.Tensor = output.logits[0, -1]
        return scores

    return CausalTokens(forward, tokenizer, model.device)
