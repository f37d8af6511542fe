"""The machinery that all families share: one prefill, then short questions on its keys.

Dimensions: N prefix tokens, M visual tokens, D hidden size, S packed question tokens, R rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from stvg_ros.config import AttentionConfig
from stvg_ros.core.interfaces import MllmSettings, Prefix, Reading, VisualTokens
from stvg_ros.errors import ConfigError, ModelError
from stvg_ros.mllm.answers import answer_ids
from stvg_ros.mllm.caching import Pairs, SharedKeys, pairs_of, recompute_layers
from stvg_ros.mllm.family import Checkpoint, Layout
from stvg_ros.mllm.prompt import Prompt, Suffix
from stvg_ros.mllm.rows import Recorder, recording


@dataclass(frozen=True, eq=False)
class HfPrefix:
    """Keys and values of system and visual tokens.

    Attributes:
        visual: what went in, without the offset.
        layout: how it stands in the prompt.
        pairs: keys and values of each layer; they carry the graph to the offset.
        columns: `(M,)` positions of the visual tokens in the prefix.
        next_position: position of the first token after the prefix.
    """

    visual: VisualTokens
    layout: Layout
    pairs: Pairs
    columns: Tensor
    next_position: int


class HfMllm:
    """A transformers video model as an `Mllm`. One thread uses it at a time."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        attention: AttentionConfig,
        gradient_checkpointing: bool = False,
    ) -> None:
        """Prepares a loaded checkpoint.

        Raises:
            ModelError: no chat template, or no token for yes or no.
            ConfigError: a layer band that the model does not have.
        """
        self._checkpoint = checkpoint
        self._model = checkpoint.model
        self._text = checkpoint.model.model.language_model
        self._prompt = Prompt(checkpoint.tokenizer, checkpoint.path)
        self._band = _band(attention, checkpoint.settings, len(self._text.layers))
        self._yes, self._no = (
            torch.tensor(ids, device=self._model.device)
            for ids in (
                answer_ids(checkpoint.tokenizer, self._prompt.answer_start, word, checkpoint.path)
                for word in ("yes", "no")
            )
        )
        if gradient_checkpointing:
            recompute_layers(self._text)

    @property
    def name(self) -> str:
        """What the tube message names as its model."""
        return self._checkpoint.name

    @property
    def settings(self) -> MllmSettings:
        """What suits this model."""
        return self._checkpoint.settings

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> VisualTokens:
        """Runs the vision tower over T `(h, w, 3)` RGB images of one size. No gradient.

        Raises:
            ModelError: no image, or images of different sizes.
        """
        sizes = {image.shape for image in images}
        if len(sizes) != 1:
            raise ModelError(f"encode: expected T >= 1 images of one shape, got {sorted(sizes)}")
        with torch.no_grad():
            return self._checkpoint.family.encode(self._model, self._checkpoint.numbers, images)

    def prefill(self, visual: VisualTokens, offset: Tensor | None = None) -> HfPrefix:
        """One pass over system and visual tokens, T_v + `offset` `(M, D)`."""
        family = self._checkpoint.family
        layout = family.layout(self._checkpoint.tokenizer, self._model, visual)
        device = self._model.device
        ids = self._prompt.prefix_ids(layout).to(device)
        at = (ids[0] == layout.token_id).nonzero()[:, 0]
        count = len(visual.features) + (0 if layout.tail is None else len(layout.tail))
        if len(at) != count:
            raise ModelError(
                f"{self._checkpoint.path}: {len(at)} visual tokens in the prompt, expected "
                f"{count}; the tokenizer must know the visual token as one special token"
            )
        features = visual.features
        if offset is not None:
            features = (features.float() + offset.to(features.device).float()).to(features.dtype)
        if layout.tail is not None:
            features = torch.cat([features, layout.tail.to(features)])
        embedded = self._text.get_input_embeddings()(ids)
        embedded = embedded.index_copy(1, at, features[None].to(embedded))
        positions, following = family.positions(self._model, ids, visual)
        extra: dict[str, Any] = {}
        if family.deep:
            extra["visual_pos_masks"] = ids == layout.token_id
            extra["deepstack_visual_embeds"] = list(visual.deep)
        cache = DynamicCache()
        self._text(
            inputs_embeds=embedded,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            **extra,
        )
        columns = at[: len(visual.features)]
        return HfPrefix(visual, layout, pairs_of(cache), columns, following)

    def ask(self, prefix: Prefix, questions: Sequence[str]) -> tuple[Reading, ...]:
        """Reads each question on the shared prefix; the questions do not see one another."""
        if not isinstance(prefix, HfPrefix):
            raise TypeError(f"expected a prefix of this model, got {type(prefix).__name__}")
        if not questions:
            return ()
        device = self._model.device
        suffixes = [self._prompt.suffix(prefix.layout, question) for question in questions]
        packed = _Packed.of(suffixes, prefix, device)
        recorder = Recorder(packed.rows, prefix.columns, *self._band)
        with recording(recorder):
            hidden = self._text(
                inputs_embeds=self._text.get_input_embeddings()(packed.ids),
                position_ids=packed.positions,
                attention_mask=packed.mask,
                past_key_values=SharedKeys(prefix.pairs),
                use_cache=True,
            ).last_hidden_state
        logits = self._model.lm_head(hidden[0, packed.ends])
        log_p = logits.float().log_softmax(-1)
        counts = [len(suffix.candidates) for suffix in suffixes]
        rows = torch.split(recorder.mean(), counts)
        return tuple(
            Reading(
                rows=rows[i].view(-1, *prefix.visual.grid),
                tokens=suffix.labels,
                log_p_yes=log_p[i, self._yes].logsumexp(0),
                log_p_no=log_p[i, self._no].logsumexp(0),
            )
            for i, suffix in enumerate(suffixes)
        )

    @torch.no_grad()
    def complete(self, system: str, prompt: str, max_new_tokens: int) -> str:
        """Greedy text-only completion, for splitting the query."""
        tokenizer = self._checkpoint.tokenizer
        generation = getattr(self._model.generation_config, "eos_token_id", None)
        stops = set(generation if isinstance(generation, list) else [generation])
        stops.add(tokenizer.eos_token_id)
        ids = self._prompt.chat(system, prompt).to(self._model.device)
        cache = DynamicCache()
        written: list[int] = []
        while len(written) < max_new_tokens:
            hidden = self._text(
                inputs_embeds=self._text.get_input_embeddings()(ids),
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state
            token = int(self._model.lm_head(hidden[0, -1]).argmax())
            if token in stops:
                break
            written.append(token)
            ids = torch.tensor([[token]], device=self._model.device)
        return str(tokenizer.decode(written, skip_special_tokens=True)).strip()


@dataclass(frozen=True, eq=False)
class _Packed:
    """Q questions in one row.

    Attributes:
        ids: `(1, S)`.
        positions: `(A, 1, S)` or `(1, S)`, each question continues from the prefix.
        mask: `(1, 1, S, N + S)` bool; a question sees the prefix and itself, causally.
        rows: `(R,)` candidate positions, question by question.
        ends: `(Q,)` last position of each question.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    rows: Tensor
    ends: Tensor

    @classmethod
    def of(cls, suffixes: Sequence[Suffix], prefix: HfPrefix, device: torch.device) -> _Packed:
        lengths = torch.tensor([len(suffix.ids) for suffix in suffixes])
        starts = lengths.cumsum(0) - lengths
        owner = torch.arange(len(suffixes)).repeat_interleave(lengths)
        within = torch.arange(len(owner)) - starts[owner]
        own = (owner[:, None] == owner) & (within[:, None] >= within)
        known = prefix.pairs[0][0].shape[2]
        mask = torch.cat([own.new_ones(len(owner), known), own], dim=1)
        rows = [
            int(start) + candidate
            for start, suffix in zip(starts, suffixes, strict=True)
            for candidate in suffix.candidates
        ]
        ids = [token for suffix in suffixes for token in suffix.ids]
        return cls(
            ids=torch.tensor([ids], device=device),
            positions=(within + prefix.next_position)[None].to(device),
            mask=mask[None, None].to(device),
            rows=torch.tensor(rows, device=device),
            ends=(starts + lengths - 1).to(device),
        )


def _band(attention: AttentionConfig, own: MllmSettings, layers: int) -> tuple[int, int]:
    """First and last layer of the band, both included."""
    first = attention.first_layer if attention.first_layer >= 0 else max(own.first_layer, 0)
    last = attention.last_layer if attention.last_layer >= 0 else own.last_layer
    last = last if last >= 0 else layers - 1
    if not first <= last < layers:
        raise ConfigError(
            f"attention.first_layer {first}, attention.last_layer {last}: expected "
            f"0 <= first <= last <= {layers - 1} for a model of {layers} layers"
        )
    return first, last
