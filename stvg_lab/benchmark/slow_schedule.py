# SPDX-License-Identifier: Apache-2.0

"""The schedule of the method's first implementation, for comparison only.

Every question has its own full prompt, attention is eager with the full maps of all layers, and the
maps come from a generated answer. The formulas of the paper are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from stvg_ros.method.assembling import assembled
from stvg_ros.method.attention import grounding_map
from stvg_ros.method.interfaces import AttentionRows, Reading
from stvg_ros.method.query import NEUTRAL, question
from stvg_ros.method.reattention import Step, gradient, moved, reattention_loss
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.prefix_cache import named_cache
from stvg_ros.models.prompt import Suffix
from stvg_ros.types import SplitQuery


@dataclass
class PassCounts:
    """Runs of the language model.

    Attributes:
        prefills: passes over a full prompt.
        backward: prompts with a backward pass.
        decodes: generated tokens.
        map_elements: elements of the attention maps held by one generation.
    """

    prefills: int = 0
    backward: int = 0
    decodes: int = 0
    map_elements: int = 0


@dataclass
class SlowSchedule:
    """Grounds with `mllm`'s weights, N_ep = 1.

    Attributes:
        mllm: the model; its attention implementation is switched during a pass.
        step: update rule of V.
        steps: tokens generated for each answer, 5 to 10 in the first implementation.
        counts: runs so far.
    """

    mllm: HfMllm
    step: Step
    steps: int = 5
    counts: PassCounts = field(default_factory=PassCounts)

    def maps(self, visual: VisualTokens, split: SplitQuery) -> tuple[Tensor, Tensor]:
        """A_S after assembling, and A_T, `(S, h, w)`."""
        forward = self._branch(visual, split.text, split.attribute)
        temporal = self._branch(visual, split.text, split.action)
        backward = self._branch(visual.reversed(), split.text, split.attribute)
        return assembled(forward, backward)[0], temporal

    def _branch(self, visual: VisualTokens, text: str, part: str) -> Tensor:
        """The map of Q with V tuned on one sub-query."""
        self._generated(visual, question(part))
        self._generated(visual, NEUTRAL)
        offset = torch.zeros(visual.features.shape, device=visual.features.device)
        offset.requires_grad_(True)
        with torch.enable_grad():
            asked, neutral = (self._read(visual, q, offset) for q in (question(part), NEUTRAL))
            grad = gradient(
                reattention_loss(asked, neutral, self.step.loss), offset, keep_graph=False
            )
        self.counts.backward += 2 if self.step.loss == "code" else 1
        prompt, _ = moved(offset, grad, visual.features, self.step)
        rows = self._generated(visual, question(text), prompt)
        return grounding_map(rows, self._generated(visual, NEUTRAL), AttentionConfig())[0]

    def _read(self, visual: VisualTokens, text: str, offset: Tensor) -> Reading:
        """The answer to one question, over the full prompt."""
        inputs, _, _ = self._whole(visual, text, offset)
        with self._eager():
            hidden = self._text(**inputs, use_cache=False).last_hidden_state
        self.counts.prefills += 1
        yes, no = self.mllm.answer(hidden[0, -1:])
        return Reading(torch.empty(0), (), yes[0], no[0])

    @torch.no_grad()
    def _generated(
        self, visual: VisualTokens, text: str, offset: Tensor | None = None
    ) -> AttentionRows:
        """The rows of one question, from a generated answer with attention maps."""
        inputs, columns, suffix = self._whole(visual, text, offset)
        cache = DynamicCache()
        with self._eager():
            out = self._text(**inputs, **named_cache(self._text, cache), output_attentions=True)
            maps = out.attentions  # of every layer (1, H, N, N)
            position = int(inputs["position_ids"].max())
            for step in range(self.steps):
                token = self.mllm.checkpoint.model.lm_head(out.last_hidden_state[:, -1:]).argmax(-1)
                out = self._text(
                    inputs_embeds=self._text.get_input_embeddings()(token),
                    position_ids=torch.full_like(token, position + 1 + step),
                    **named_cache(self._text, cache),
                    output_attentions=True,
                )
        self.counts.prefills += 1
        self.counts.decodes += self.steps
        self.counts.map_elements = sum(each.numel() for each in maps)
        first, last = self.mllm.band
        mean = torch.stack([each[0].float().mean(0) for each in maps[first : last + 1]]).mean(0)
        rows = torch.tensor(suffix.candidates, device=mean.device) + len(mean) - len(suffix.ids)
        return AttentionRows(visual.on_picture(mean[rows][:, columns]), suffix.labels)

    def _whole(
        self, visual: VisualTokens, text: str, offset: Tensor | None
    ) -> tuple[dict[str, Any], Tensor, Suffix]:
        """A full prompt in the format of the model, its visual columns, and its question."""
        given = self.mllm.inputs([(visual, offset)])
        suffix = self.mllm.prompt.suffix(given.layout, text)
        ids = torch.tensor([suffix.ids], device=given.columns.device)
        positions = given.named["position_ids"]
        after = torch.arange(len(suffix.ids), device=ids.device) + given.next_position
        embedded = self._text.get_input_embeddings()(ids)
        whole = {
            "inputs_embeds": torch.cat([given.named["inputs_embeds"], embedded], dim=1),
            "position_ids": torch.cat([positions, after.expand(*positions.shape[:-1], -1)], dim=-1),
        }
        if "visual_pos_masks" in given.named:
            mask = given.named["visual_pos_masks"]
            whole["visual_pos_masks"] = torch.cat([mask, torch.zeros_like(ids).bool()], dim=1)
            whole["deepstack_visual_embeds"] = given.named["deepstack_visual_embeds"]
        return whole, given.columns, suffix

    @property
    def _text(self) -> Any:
        return self.mllm.checkpoint.model.get_decoder()

    @contextmanager
    def _eager(self) -> Iterator[None]:
        config = self._text.config
        before = config._attn_implementation
        config._attn_implementation = "eager"
        try:
            yield
        finally:
            config._attn_implementation = before
