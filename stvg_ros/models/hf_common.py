# SPDX-License-Identifier: Apache-2.0

"""The model of all families: one prefill, then short questions on the states that it leaves.

Dimensions: B passes, N prefix tokens, M visual tokens, D hidden size, R rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stvg_ros.errors import ModelError
from stvg_ros.method.interfaces import AttentionRows, ModelLimits, Pass, Prefix, Reading
from stvg_ros.method.interruption import interrupt_between_layers
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.architectures import is_recurrent
from stvg_ros.models.attention_capture import AttentionRecorder, recording
from stvg_ros.models.batched_prompts import BatchedPrompts, batched, layer_masks
from stvg_ros.models.device_spread import layer_devices
from stvg_ros.models.embedded_limits import limits_of
from stvg_ros.models.family import LoadedCheckpoint
from stvg_ros.models.head_table import head_sets, lower_layers
from stvg_ros.models.memory_estimate import free_bytes, graph_bytes, pass_bytes
from stvg_ros.models.option_tokens import option_tree
from stvg_ros.models.packed_prompts import PackedPrompts, packed
from stvg_ros.models.prefix import HfPrefix, PrefixInputs, PrefixLayout, moved_features
from stvg_ros.models.prefix_cache import (
    SharedPrefix,
    empty_cache,
    named_cache,
    pairs_of,
    recompute_layers,
)
from stvg_ros.models.prompt import Prompt, Suffix
from stvg_ros.models.question_rows import question_rows
from stvg_ros.models.text_generation import TextGenerator
from stvg_ros.models.token_model import CausalTokens
from stvg_ros.models.yes_no_tokens import yes_no_ids


class HfMllm:
    """A transformers video model as an `Mllm`. One thread uses it at a time.

    Attributes:
        prompt: the prompt template.
        largest_map: elements of the largest attention map of the last question.
    """

    prompt: Prompt
    largest_map: int = 0
    _place: PrefixLayout | None = None  # of the last pass; shared by the passes of a command

    def __init__(
        self,
        checkpoint: LoadedCheckpoint,
        attention: AttentionConfig,
        gradient_checkpointing: bool = False,
        batch_passes: int | None = None,
    ) -> None:
        """Prepares a loaded checkpoint.

        Args:
            checkpoint: the weights with tokenizer and preprocessing.
            attention: the layer band.
            gradient_checkpointing: always recompute activations in the backward pass, instead
                of only if they do not fit a GPU's memory.
            batch_passes: number of passes that `attention_rows` runs at a time; None for as many as
                memory allows.

        Raises:
            ModelError: no chat template, or no token for yes or no.
            ConfigError: the model lacks the layer band.
        """
        self._checkpoint = checkpoint
        self._model = checkpoint.model
        self._text = checkpoint.model.get_decoder()
        start = checkpoint.family.start
        self.prompt = Prompt(
            checkpoint.tokenizer,
            checkpoint.path,
            start(checkpoint.tokenizer) if start else "",
            checkpoint.family.medium,
        )
        self._recurrent = is_recurrent(self._text.config)
        self._sets = head_sets(attention, checkpoint.settings, self._text)
        self._yes, self._no = (
            torch.tensor(ids, device=self._model.device)
            for ids in (
                yes_no_ids(checkpoint.tokenizer, self.prompt.answer_start, word, checkpoint.path)
                for word in ("yes", "no")
            )
        )
        self._batch_passes = batch_passes
        self._always_recompute = self._recomputing = gradient_checkpointing
        recompute_layers(self._text, lambda: self._recomputing)
        self._lower = lower_layers(self._text, self._sets)
        self.writer = TextGenerator(checkpoint, self.prompt)
        interrupt_between_layers(checkpoint.model)

    @property
    def name(self) -> str:
        """The model's name in the tube message."""
        return self._checkpoint.name

    @property
    def settings(self) -> MllmSettings:
        """Defaults of this model."""
        return self._checkpoint.settings

    @property
    def checkpoint(self) -> LoadedCheckpoint:
        """The weights with tokenizer and preprocessing."""
        return self._checkpoint

    @property
    def band(self) -> tuple[int, int]:
        """First and last layer of the attention band, both included."""
        layers = self._sets["mean"].layers
        return min(layers), max(layers)

    @property
    def answer_ids(self) -> tuple[Tensor, Tensor]:
        """Ids of the tokens that begin the answers yes and no."""
        return self._yes, self._no

    @property
    def frames_per_slot(self) -> int:
        """Number of frames that share a temporal slot."""
        return self._checkpoint.preprocessing.pair if self._checkpoint.family.pairs else 1

    def limits(self, texts: Sequence[str], image: NDArray[np.uint8]) -> ModelLimits:
        """What limits an answer; known for models of rendered scenes only."""
        if not self.settings.rendered_only:
            return ModelLimits()
        return limits_of(self._checkpoint.tokenizer, texts, image)

    def encode(self, images: Sequence[NDArray[np.uint8]], total: int = 0) -> VisualTokens:
        """Runs the vision tower over T `(h, w, 3)` RGB images of one size. No gradient.

        Raises:
            ModelError: no image, or images of different sizes.
        """
        sizes = {image.shape for image in images}
        if len(sizes) != 1:
            raise ModelError(f"encode: expected T >= 1 images of one shape, got {sorted(sizes)}")
        family, preprocessing = self._checkpoint.family, self._checkpoint.preprocessing
        with torch.no_grad():
            return family.encode(self._model, preprocessing, images, total or len(images))

    def prefill(self, visual: VisualTokens, offset: Tensor | None = None) -> HfPrefix:
        """One pass over system and visual tokens, T_v + `offset` `(M, D)`."""
        needed = self.graph_bytes(len(visual.features))
        self._recomputing = self._always_recompute or needed > 0.9 * self._free_bytes()
        return self._prefill([(visual, offset)], self._text)

    @contextmanager
    def saving_memory(self) -> Iterator[None]:
        """Inside the context, activations are recomputed, and passes run one at a time."""
        before = self._always_recompute, self._batch_passes
        self._always_recompute, self._batch_passes = True, 1
        try:
            yield
        finally:
            self._always_recompute, self._batch_passes = before

    def graph_bytes(self, tokens: int) -> int:
        """Bytes that a pass keeps for its backward pass without recomputation."""
        return graph_bytes(self._text.config, tokens, self._model.dtype.itemsize)

    def ask(self, prefix: Prefix, questions: Sequence[str]) -> tuple[Reading, ...]:
        """Evaluates each question on the shared prefix; none of them sees another."""
        prefix = self._own(prefix)
        if not questions:
            return ()
        suffixes, asked = self._asked(prefix, questions)
        recorder, hidden = self._run(prefix, asked, self._text)
        yes, no = self.answer(asked.last(hidden))
        (rows,) = question_rows(prefix, suffixes, asked, recorder, tuple(self._sets))
        return tuple(
            Reading(one.rows, one.tokens, yes[i], no[i], heads=one.heads)
            for i, one in enumerate(rows)
        )

    @torch.no_grad()
    def option_log_p(self, prefix: Prefix, question: str, options: Sequence[str]) -> Tensor | None:
        """Log-probabilities `(K,)` float32 that the answer is each of the options."""
        prefix = self._own(prefix)
        tree = option_tree(self._checkpoint.tokenizer, self.prompt.answer_start, options)
        if tree is None:
            return None
        suffix = self.prompt.suffix(prefix.layout, question)
        asked = self._arranged(prefix, [suffix.said(tokens) for tokens in tree.beginnings])
        hidden = asked.last(self._passed(prefix, asked, self._text))
        return tree.log_p(self._model.lm_head(hidden).float().log_softmax(-1))

    def _own(self, prefix: Prefix) -> HfPrefix:
        """Raises: TypeError: the prefix of another model."""
        if not isinstance(prefix, HfPrefix):
            raise TypeError(f"expected a prefix of this model, got {type(prefix).__name__}")
        return prefix

    def answer(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """log p(yes) and log p(no), `(Q,)` float32, from the last states `(Q, D)` of Q prompts."""
        log_p = self._model.lm_head(hidden).float().log_softmax(-1)  # (Q, vocabulary)
        return log_p[:, self._yes].logsumexp(1), log_p[:, self._no].logsumexp(1)

    @torch.no_grad()
    def attention_rows(self, passes: Sequence[Pass], question: str) -> tuple[AttentionRows, ...]:
        """The rows of one question for several passes of one grid, without an answer."""
        found: list[AttentionRows] = []
        for some in self._batches(passes):
            prefix = self._prefill(some, self._lower)
            suffixes, asked = self._asked(prefix, [question])
            recorder, _ = self._run(prefix, asked, self._lower)
            uses = tuple(self._sets)
            found += [rows for (rows,) in question_rows(prefix, suffixes, asked, recorder, uses)]
        return tuple(found)

    @torch.no_grad()
    def rows_by_head(self, prefix: Prefix, question: str) -> dict[int, Tensor]:
        """Rows `(H, R, S, h, w)` of each head, by the number of the layer that attends."""
        prefix = self._own(prefix)
        _, asked = self._asked(prefix, [question])
        recorder = AttentionRecorder(asked.rows, prefix.columns, (), kept={})
        self._passed(prefix, asked, self._text, recorder)
        assert recorder.kept is not None
        place = prefix.visual.on_picture
        return {
            layer: torch.stack([place(head) for head in rows[0]])
            for layer, rows in recorder.kept.items()
        }

    def _batches(self, passes: Sequence[Pass]) -> Iterator[Sequence[Pass]]:
        """Batches of as many passes as the setting or the free memory allows.

        Passes of unevenly spaced frames forwards and backwards have other times, so other prompts.
        """
        size = self._batch_passes or self._room(len(passes[0][0].features))
        layouts = [self._checkpoint.layout(visual) for visual, _ in passes]
        start = 0
        for end in range(1, len(passes) + 1):
            full = end - start == size
            if full or end == len(passes) or not layouts[end].equals(layouts[start]):
                yield passes[start:end]
                start = end

    def _room(self, tokens: int) -> int:
        """Number of passes that fit in memory; 1 on a CPU, where a batch saves no time."""
        if self._model.device.type != "cuda":
            return 1
        layers, itemsize = len(self._lower.layers), self._model.dtype.itemsize
        needed = pass_bytes(self._text.config, layers, tokens, itemsize)
        return max(1, int(self._free_bytes() / needed))

    def _free_bytes(self) -> float:
        """Free memory for passes in bytes; infinite on a CPU."""
        return free_bytes(layer_devices(self._model))

    def inputs(self, passes: Sequence[Pass]) -> PrefixInputs:
        """Inputs of the language model: system and visual tokens of B passes of one grid.

        Raises:
            ModelError: the tokenizer does not encode the visual token as one token.
        """
        visual = passes[0][0]
        if len({each.grid for each, _ in passes}) != 1:
            raise ValueError(f"expected passes of one grid, got {[v.grid for v, _ in passes]}")
        place = self._placed(visual)
        features = torch.stack(
            [moved_features(*each, place.layout) for each in passes]
        )  # (B, M, D)
        embedded = self._text.get_input_embeddings()(place.ids).expand(len(passes), -1, -1)
        positions = place.positions
        named: dict[str, Any] = {
            "inputs_embeds": embedded.index_copy(1, place.visual, features.to(embedded)),
            "position_ids": positions.expand(*positions.shape[:-2], len(passes), -1),
        }
        if place.mask is not None:
            named["attention_mask"] = place.mask.expand(len(passes), -1, -1, -1)
        if self._checkpoint.family.deep:
            levels = zip(*(each.deep for each, _ in passes), strict=True)
            known = place.ids == place.layout.token_id
            named["visual_pos_masks"] = known.expand(len(passes), -1)
            named["deepstack_visual_embeds"] = [torch.cat(level) for level in levels]
        columns = place.visual[: len(visual.features)]
        return PrefixInputs(visual, place.layout, named, columns, place.next_position)

    def _placed(self, visual: VisualTokens) -> PrefixLayout:
        """The prefix layout, computed on the host, so that no token is read from the device."""
        family, device = self._checkpoint.family, self._model.device
        layout = self._checkpoint.layout(visual)
        if (last := self._place) and last.grid == visual.grid and last.layout.equals(layout):
            return last
        ids = self.prompt.prefix_ids(layout)
        at = (ids[0] == layout.token_id).nonzero()[:, 0]
        count = len(visual.features) + (0 if layout.tail is None else len(layout.tail))
        if len(at) != count:
            raise ModelError(
                f"{self._checkpoint.path}: {len(at)} visual tokens in the prompt, expected "
                f"{count}; the tokenizer must know the visual token as one special token"
            )
        positions, following = family.positions(self._model, ids, visual)
        mask = family.mask(self._model, ids).to(device, non_blocking=True) if family.mask else None
        ids, at, positions = (each.to(device, non_blocking=True) for each in (ids, at, positions))
        self._place = PrefixLayout(layout, visual.grid, ids, at, positions, following, mask)
        return self._place

    def _prefill(self, passes: Sequence[Pass], text: Any) -> HfPrefix:
        """Runs system and visual tokens of B passes through `text`."""
        given = self.inputs(passes)
        cache = empty_cache(text)
        text(**given.named, **named_cache(text, cache), use_cache=True)
        length = given.named["inputs_embeds"].shape[1]
        pairs = pairs_of(cache, len(text.layers))
        return HfPrefix(
            given.visual,
            given.layout,
            pairs,
            length,
            given.columns,
            given.next_position,
            len(passes),
        )

    def _asked(
        self, prefix: HfPrefix, questions: Sequence[str]
    ) -> tuple[list[Suffix], PackedPrompts | BatchedPrompts]:
        suffixes = [self.prompt.suffix(prefix.layout, question) for question in questions]
        return suffixes, self._arranged(prefix, suffixes)

    def _arranged(
        self, prefix: HfPrefix, suffixes: Sequence[Suffix]
    ) -> PackedPrompts | BatchedPrompts:
        arranged = batched if self._recurrent else packed
        return arranged(suffixes, prefix.length, prefix.next_position, self._model.device)

    def _run(
        self, prefix: HfPrefix, asked: PackedPrompts | BatchedPrompts, text: Any
    ) -> tuple[AttentionRecorder, Tensor]:
        """The rows of all questions for each set of heads, and the last states."""
        recorder = AttentionRecorder(asked.rows, prefix.columns, tuple(self._sets.values()))
        hidden = self._passed(prefix, asked, text, recorder)
        self.largest_map = recorder.largest
        return recorder, hidden

    def _passed(
        self,
        prefix: HfPrefix,
        asked: PackedPrompts | BatchedPrompts,
        text: Any,
        recorder: AttentionRecorder | None = None,
    ) -> Tensor:
        """The last states of all questions behind a prefix; `recorder` gets their rows."""
        questions = len(asked.ids)
        batch = prefix.passes * questions
        mask: Any = asked.mask.expand(batch, -1, -1, -1)
        if self._recurrent:
            mask = layer_masks(mask, prefix.length, self._text.config)
        with recording(recorder):
            hidden: Tensor = text(
                inputs_embeds=text.get_input_embeddings()(asked.ids).repeat(prefix.passes, 1, 1),
                position_ids=asked.positions.expand(batch, -1),
                attention_mask=mask,
                **named_cache(text, SharedPrefix(prefix.pairs, prefix.length, questions)),
                use_cache=True,
            ).last_hidden_state
        return hidden

    @property
    def token_model(self) -> CausalTokens:
        """The language model alone, token by token, for a reader of commands."""
        return self.writer.token_model

    @property
    def generated(self) -> int:
        """Tokens that were generated so far."""
        return self.writer.generated

    def complete(self, system: str, prompt: str, max_new_tokens: int) -> str:
        """Greedy text-only completion, for reading a command."""
        return self.writer.complete(system, prompt, max_new_tokens)

    def write(self, prefix: Prefix, request: str, max_new_tokens: int) -> str:
        """Greedy text about the images of a prefix; see `answering.TextWriter`."""
        return self.writer.about(self._own(prefix), request, max_new_tokens)
