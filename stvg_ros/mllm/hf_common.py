"""What every transformers family shares: prefill once, ask many, read rows and answers.

N prefix tokens with M visual ones among them; K packed question tokens; D the hidden size.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.core.interfaces import MllmSettings, Prefix, Reading, VisualTokens
from stvg_ros.mllm.prompts import Prompter, Suffix
from stvg_ros.mllm.rows import Recorder, recording


class Family(Protocol):
    """What differs between families."""

    @property
    def placeholder(self) -> str:
        """What the chat template writes where the video goes."""
        ...

    @property
    def visual_id(self) -> int:
        """Token id of a visual token; the last one ends the prefix."""
        ...

    @property
    def language_model(self) -> Any:
        """The decoder without its head."""
        ...

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> VisualTokens:
        """Preprocessing and the vision tower."""
        ...

    def video_text(self, grid: tuple[int, int, int]) -> str:
        """The text that the processor puts in the placeholder's place."""
        ...

    def scattered(
        self, ids: torch.Tensor, embeds: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        """`(1, N, D)` embeddings with the visual features at their places."""
        ...

    def positions(self, ids: torch.Tensor, grid: tuple[int, int, int]) -> torch.Tensor:
        """Position ids `(P, 1, N)` of a prefix; P is 1, or 3 for multi-axis rotary."""
        ...


@dataclass(frozen=True, eq=False)
class HfPrefix:
    """Keys and values of one prefix. `columns` `(M,)` are the visual tokens' positions."""

    visual: VisualTokens
    cache: Any
    length: int
    columns: torch.Tensor
    next_position: int
    axes: int


class HfMllm:
    """An `Mllm` on a transformers model. One thread uses it at a time."""

    def __init__(
        self, name: str, model: Any, tokenizer: Any, family: Family, settings: MllmSettings
    ) -> None:
        self._name = name
        self._model = model
        self._tokenizer = tokenizer
        self._family = family
        self._settings = settings
        self._prompter = Prompter(tokenizer, family.placeholder, name)
        yes, no = self._prompter.answer_ids(name)
        device = model.get_input_embeddings().weight.device
        self._yes = torch.tensor(yes, device=device)
        self._no = torch.tensor(no, device=device)
        layers = family.language_model.config.num_hidden_layers
        self._first = max(settings.first_layer, 0)
        self._last = layers - 1 if settings.last_layer < 0 else min(settings.last_layer, layers - 1)

    @property
    def name(self) -> str:
        """The checkpoint's folder name or hub id."""
        return self._name

    @property
    def settings(self) -> MllmSettings:
        """What suits this model."""
        return self._settings

    @torch.no_grad()
    def encode(self, images: Sequence[NDArray[np.uint8]]) -> VisualTokens:
        """Runs the vision tower; see `Mllm.encode`.

        Raises:
            ValueError: no image.
        """
        if not images:
            raise ValueError("encode: expected one image or more, got none")
        return self._family.encode(images)

    def prefill(self, visual: VisualTokens, offset: torch.Tensor | None = None) -> HfPrefix:
        """Runs system and visual tokens once; see `Mllm.prefill`."""
        features = visual.features
        if offset is not None:
            features = (features.float() + offset).to(features.dtype)
        text = self._family.video_text(visual.grid)
        ids = self._tensor(self._prompter.prefix(text, self._family.visual_id))
        embeds = self._family.scattered(ids, self._model.get_input_embeddings()(ids), features)
        # One text token more tells where the questions begin: after a video that is not the
        # largest position plus one.
        more = torch.cat([ids, torch.zeros_like(ids[:, :1])], 1)
        positions = self._family.positions(more, visual.grid)
        output = self._family.language_model(
            inputs_embeds=embeds, position_ids=_squeezed(positions[..., :-1]), use_cache=True
        )
        columns = (ids[0] == self._family.visual_id).nonzero()[:, 0][: len(features)]
        return HfPrefix(
            visual=visual,
            cache=output.past_key_values,
            length=ids.shape[1],
            columns=columns,
            next_position=int(positions[0, 0, -1]),
            axes=len(positions),
        )

    def ask(self, prefix: Prefix, questions: Sequence[str]) -> tuple[Reading, ...]:
        """Reads every question in one packed row on the shared prefix; see `Mllm.ask`."""
        assert isinstance(prefix, HfPrefix)
        short = self._family.video_text((1, 1, 1))
        suffixes = [
            self._prompter.suffix(text, short, self._family.visual_id) for text in questions
        ]
        starts = np.cumsum([0] + [len(suffix.ids) for suffix in suffixes])
        ids = self._tensor([token for suffix in suffixes for token in suffix.ids])
        steps = torch.cat([torch.arange(len(suffix.ids)) for suffix in suffixes])
        positions = (steps + prefix.next_position).to(ids.device).expand(prefix.axes, 1, -1)
        rows = [
            int(start) + row
            for start, suffix in zip(starts, suffixes, strict=False)
            for row in suffix.rows
        ]
        recorder = Recorder(
            torch.tensor(rows, device=ids.device), prefix.columns, self._first, self._last
        )
        with recording(recorder):
            output = self._family.language_model(
                inputs_embeds=self._model.get_input_embeddings()(ids),
                attention_mask=_packed_mask(suffixes, prefix.length).to(ids.device),
                position_ids=_squeezed(positions),
                past_key_values=_forked(prefix.cache),
                use_cache=True,
            )
        last = torch.as_tensor(starts[1:] - 1, device=ids.device)
        logits = self._model.get_output_embeddings()(output.last_hidden_state[0, last])
        log_p = logits.float().log_softmax(-1)
        maps = recorder.mean().reshape(-1, *prefix.visual.grid)
        readings, row = [], 0
        for number, suffix in enumerate(suffixes):
            readings.append(
                Reading(
                    rows=maps[row : row + len(suffix.rows)],
                    tokens=suffix.labels,
                    log_p_yes=log_p[number, self._yes].logsumexp(0),
                    log_p_no=log_p[number, self._no].logsumexp(0),
                )
            )
            row += len(suffix.rows)
        return tuple(readings)

    @torch.no_grad()
    def complete(self, system: str, prompt: str, max_new_tokens: int) -> str:
        """Greedy completion of a text-only prompt; see `Mllm.complete`."""
        ids = self._tensor(self._prompter.chat(system, prompt))
        stop = {self._tokenizer.eos_token_id}
        configured = self._model.generation_config.eos_token_id
        stop.update(configured if isinstance(configured, list) else [configured])
        cache, written = None, []
        for _ in range(max_new_tokens):
            output = self._family.language_model(
                inputs_embeds=self._model.get_input_embeddings()(ids),
                past_key_values=cache,
                use_cache=True,
            )
            cache = output.past_key_values
            logits = self._model.get_output_embeddings()(output.last_hidden_state[:, -1])
            token = int(logits.argmax())
            if token in stop:
                break
            written.append(token)
            ids = self._tensor([token])
        return str(self._tokenizer.decode(written, skip_special_tokens=True))

    def _tensor(self, ids: Sequence[int]) -> torch.Tensor:
        return torch.tensor([list(ids)], device=self._yes.device)


def _packed_mask(suffixes: Sequence[Suffix], past: int) -> torch.Tensor:
    """`(1, 1, K, past + K)` bool: each question sees the prefix and, causally, itself."""
    owner = torch.cat([torch.full((len(s.ids),), i) for i, s in enumerate(suffixes)])
    own = (owner[:, None] == owner[None, :]).tril()
    return torch.cat([torch.ones(len(owner), past, dtype=torch.bool), own], 1)[None, None]


def _forked(cache: Any) -> Any:
    """A cache that grows on its own; the prefix's tensors are shared, not copied."""
    fork = copy.copy(cache)
    fork.layers = [copy.copy(layer) for layer in cache.layers]
    return fork


def _squeezed(positions: torch.Tensor) -> torch.Tensor:
    """`(1, N)` for one axis, `(3, 1, N)` for three, as the decoders take them."""
    return positions[0] if len(positions) == 1 else positions
