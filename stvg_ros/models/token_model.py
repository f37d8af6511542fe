# SPDX-License-Identifier: Apache-2.0

"""A causal language model of transformers, token by token, for readers of commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache


class CausalTokens:
    """Chooses tokens with a causal model; keys and values of a common prefix are kept.

    One thread uses it at a time.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._seen: list[int] = []
        self._cache = DynamicCache()

    def encode(self, text: str) -> list[int]:
        """The tokens of a text; see `TokenModel`."""
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)

    @torch.no_grad()
    def best(self, before: Sequence[int], allowed: Sequence[int]) -> int:
        """The most probable allowed token; see `TokenModel`."""
        begin = self._tokenizer.bos_token_id
        tokens = [*([] if begin is None else [begin]), *before]
        common = 0
        most = min(len(self._seen), len(tokens) - 1)  # the last token is always run
        while common < most and self._seen[common] == tokens[common]:
            common += 1
        if common < len(self._seen):
            self._cache.crop(common - len(self._seen))
        ids = torch.tensor([tokens[common:]], device=self._model.device)
        output = self._model(input_ids=ids, past_key_values=self._cache, use_cache=True)
        self._seen = tokens
        scores = output.logits[0, -1, torch.tensor(list(allowed), device=ids.device)]
        return int(allowed[int(scores.argmax())])
