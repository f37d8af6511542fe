# SPDX-License-Identifier: Apache-2.0

"""Text from the language model of a checkpoint, token by token."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from stvg_ros.models.family import LoadedCheckpoint
from stvg_ros.models.prefix import HfPrefix
from stvg_ros.models.prefix_cache import empty_cache, named_cache, put
from stvg_ros.models.prompt import Prompt
from stvg_ros.models.token_model import CausalTokens, greedy


class TextGenerator:
    """Greedy text, with or without images. One thread uses it at a time.

    Attributes:
        generated: tokens that were generated so far; the one that ends a text is not counted.
    """

    def __init__(self, checkpoint: LoadedCheckpoint, prompt: Prompt) -> None:
        self._model, self._tokenizer = checkpoint.model, checkpoint.tokenizer
        self._text: Any = checkpoint.model.get_decoder()
        self._prompt = prompt
        self.generated = 0

    @cached_property
    def token_model(self) -> CausalTokens:
        """The language model alone, token by token, for a reader of commands."""
        return CausalTokens(
            self.next_scores,
            self._tokenizer,
            self._model.device,
            partial(empty_cache, self._text),
        )

    def complete(self, system: str, prompt: str, max_new_tokens: int) -> str:
        """The text after a text-only prompt."""
        ids = self._prompt.chat(system, prompt).to(self._model.device)
        written = greedy(self.next_scores, ids, self.stops, max_new_tokens, empty_cache(self._text))
        return self._counted(written)

    @torch.no_grad()
    def about(self, prefix: HfPrefix, request: str, max_new_tokens: int) -> str:
        """The text after a request about the images of a prefix."""
        cache = empty_cache(self._text)
        for layer, states in enumerate(prefix.pairs):
            put(cache, layer, states, prefix.length)
        ids = torch.tensor([self._prompt.suffix(prefix.layout, request).ids])
        # Visual tokens may share positions, so that the text's are not the cache's length.
        scores = partial(self.next_scores, shift=prefix.next_position - prefix.length)
        ids = ids.to(self._model.device)
        return self._counted(greedy(scores, ids, self.stops, max_new_tokens, cache))

    @property
    def stops(self) -> set[int]:
        """The tokens that end a text."""
        own = getattr(self._model.generation_config, "eos_token_id", None)
        return {*(own if isinstance(own, list) else [own]), self._tokenizer.eos_token_id}

    def _counted(self, written: list[int]) -> str:
        self.generated += len(written)
        return self.decoded(written)

    def decoded(self, written: list[int]) -> str:
        """The text of tokens."""
        return str(self._tokenizer.decode(written, skip_special_tokens=True)).strip()

    def next_scores(self, ids: Tensor, cache: DynamicCache, shift: int = 0) -> Tensor:
        """Scores `(vocabulary,)` of the token after the cache and ids `(1, n)`."""
        start = cache.get_seq_length() + shift
        hidden = self._text(
            inputs_embeds=self._text.get_input_embeddings()(ids),
            position_ids=torch.arange(start, start + ids.shape[1], device=ids.device)[None],
            **named_cache(self._text, cache),
            use_cache=True,
        ).last_hidden_state
        scores: Tensor = self._model.lm_head(hidden[0, -1])
        return scores
