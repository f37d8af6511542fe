# SPDX-License-Identifier: Apache-2.0

"""Caches the model's results on one clip for several settings.

M visual tokens, D their size, S slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stvg_ros.method.base import BaseProposer
from stvg_ros.method.interfaces import (
    AttentionRows,
    Mllm,
    ModelLimits,
    Pass,
    Prefix,
    Proposer,
    Reading,
)
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.types import CandidateTube, Clip, SplitQuery

_MOST = 24  # a scene's clip, its reverse, marked, and cut to each person are fewer


class MemoisedProposer(BaseProposer):
    """A proposer that is called once for a clip, for any query. One thread uses it."""

    def __init__(self, proposer: Proposer) -> None:
        self._proposer = proposer
        self._last: tuple[Clip, tuple[CandidateTube, ...]] | None = None

    @property
    def name(self) -> str:
        """Name of the proposer."""
        return self._proposer.name

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        """The proposer's candidates for these frames."""
        if self._last is None or self._last[0].frames != clip.frames:
            self._last = (clip, self._proposer.propose(clip, query))
        return self._last[1]


@dataclass(frozen=True, eq=False)
class _SharedPrefix:
    visual: VisualTokens
    offset: Tensor | None


@dataclass(eq=False)
class _SharedPass:
    """One pass over T_v + V and its results.

    Attributes:
        prefix: keys and values.
        leaf: the V to which the pass has a graph, or None without one.
        readings: readings by question.
        options: log-probabilities of options by question and options.
        slopes: gradients of a question's two log-probabilities, by their weights.
    """

    prefix: Prefix
    leaf: Tensor | None
    readings: dict[str, Reading] = field(default_factory=dict)
    options: dict[tuple[str, tuple[str, ...]], Tensor | None] = field(default_factory=dict)
    slopes: dict[tuple[str, float, float], Tensor] = field(default_factory=dict)

    def slope(self, text: str, yes: Tensor, no: Tensor) -> Tensor:
        """d(yes * log p(yes) + no * log p(no)) / dV, `(M, D)`."""
        key = (text, float(yes), float(no))
        if key not in self.slopes:
            reading, leaf = self.readings[text], self.leaf
            assert leaf is not None
            (self.slopes[key],) = torch.autograd.grad(
                (reading.log_p_yes, reading.log_p_no), (leaf,), (yes, no), retain_graph=True
            )
        return self.slopes[key]


class MemoisedMllm:
    """An `Mllm` that never repeats a pass over the same images.

    It remembers the last `_MOST` passes and videos: those of a clip, marked, and cut to tubes. The
    graph of a pass stays in memory as long. One thread uses it at a time.
    """

    def __init__(self, mllm: Mllm, settings: MllmSettings | None = None) -> None:
        """`settings` replace the model's own."""
        self._mllm = mllm
        self._settings = mllm.settings if settings is None else settings
        self._videos: dict[tuple[Any, ...], VisualTokens] = {}
        self._passes: dict[tuple[Any, ...], _SharedPass] = {}
        self._looks: dict[tuple[Any, ...], AttentionRows] = {}
        self._texts: dict[tuple[str, str, int], str] = {}

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._mllm.name

    @property
    def settings(self) -> MllmSettings:
        """Settings of the model, or those that replace them."""
        return self._settings

    @property
    def frames_per_slot(self) -> int:
        """The model's own."""
        return self._mllm.frames_per_slot

    @property
    def generated(self) -> int:
        """Tokens that the model generated so far."""
        return int(getattr(self._mllm, "generated", 0))

    def limits(self, texts: Sequence[str], image: NDArray[np.uint8]) -> ModelLimits:
        """The model's own."""
        return self._mllm.limits(texts, image)

    def encode(self, images: Sequence[NDArray[np.uint8]], total: int = 0) -> VisualTokens:
        """The visual tokens; returns the same object for the same images."""
        key = (total, *(hash(image.tobytes()) for image in images))
        if key not in self._videos:
            _drop_oldest(self._videos)
            self._videos[key] = self._mllm.encode(images, total)
        return self._videos[key]

    def prefill(self, visual: VisualTokens, offset: Tensor | None = None) -> Prefix:
        """Returns a handle of a pass, which runs at the first question."""
        return _SharedPrefix(visual, offset)

    def ask(self, prefix: Prefix, questions: Sequence[str]) -> tuple[Reading, ...]:
        """The readings, from the cache if the pass has them."""
        if not isinstance(prefix, _SharedPrefix):
            raise TypeError(f"expected a prefix of this model, got {type(prefix).__name__}")
        offset = prefix.offset
        tracked = offset is not None and offset.requires_grad and torch.is_grad_enabled()
        done = self._pass(prefix, tracked, questions)
        missing = [text for text in dict.fromkeys(questions) if text not in done.readings]
        with torch.set_grad_enabled(tracked):
            readings = self._mllm.ask(done.prefix, missing) if missing else ()
        done.readings.update(zip(missing, readings, strict=True))
        return tuple(_followed(done, text, offset if tracked else None) for text in questions)

    def option_log_p(self, prefix: Prefix, question: str, options: Sequence[str]) -> Tensor | None:
        """The log-probabilities, from the cache if the pass has them."""
        if not isinstance(prefix, _SharedPrefix):
            raise TypeError(f"expected a prefix of this model, got {type(prefix).__name__}")
        key = (question, tuple(options))
        done = self._pass(prefix, False, ())
        if key not in done.options:
            done.options[key] = self._mllm.option_log_p(done.prefix, question, options)
        return done.options[key]

    def attention_rows(self, passes: Sequence[Pass], question: str) -> tuple[AttentionRows, ...]:
        """The rows, from the cache if the pass has them for this question."""
        keys = [(*_key(visual, offset), question) for visual, offset in passes]
        known = {key: self._looks[key] for key in keys if key in self._looks}
        missing = [index for index, key in enumerate(keys) if key not in known]
        if missing:
            seen = self._mllm.attention_rows([passes[index] for index in missing], question)
            known.update(zip([keys[index] for index in missing], seen, strict=True))
            for index in missing:
                _drop_oldest(self._looks)
                self._looks[keys[index]] = known[keys[index]]
        return tuple(known[key] for key in keys)

    def saving_memory(self) -> AbstractContextManager[None]:
        """The model's own."""
        return self._mllm.saving_memory()

    def complete(self, system: str, prompt: str, max_new_tokens: int) -> str:
        """The model's completion."""
        key = (system, prompt, max_new_tokens)
        if key not in self._texts:
            self._texts[key] = self._mllm.complete(*key)
        return self._texts[key]

    def _pass(self, prefix: _SharedPrefix, tracked: bool, questions: Sequence[str]) -> _SharedPass:
        """The pass over these tokens; a pass with a graph is also used without gradients."""
        visual, offset = prefix.visual, prefix.offset
        plain, with_graph = ((*_key(visual, offset), graph) for graph in (False, True))
        known = self._passes.get(with_graph)
        if known is not None and (tracked or set(questions) <= set(known.readings)):
            return known
        key = with_graph if tracked else plain
        if key not in self._passes:
            _drop_oldest(self._passes)
            value = None if offset is None else offset.detach().clone().requires_grad_(tracked)
            with torch.set_grad_enabled(tracked):
                before = self._mllm.prefill(visual, value)
            self._passes[key] = _SharedPass(before, value)
        return self._passes[key]


def _drop_oldest(kept: dict[tuple[Any, ...], Any]) -> None:
    """Makes room for one more."""
    while len(kept) >= _MOST:
        del kept[next(iter(kept))]


def _key(visual: VisualTokens, offset: Tensor | None) -> tuple[Any, ...]:
    """The cache key of a pass: the video, the order of its slots, and V."""
    value = None if offset is None else offset.detach()
    moved = value is not None and bool(value.any())
    features = visual.features.float().cpu().numpy()
    added = value.cpu().numpy().tobytes() if moved and value is not None else b""
    return hash(features.tobytes()), visual.slots, added


def _followed(done: _SharedPass, text: str, offset: Tensor | None) -> Reading:
    """The reading, with a graph to the caller's V if it has one."""
    known = done.readings[text]
    yes, no = known.log_p_yes.detach(), known.log_p_no.detach()
    if offset is not None:
        yes, no = _Followed.apply(offset, yes, no, done, text)  # type: ignore[no-untyped-call]
    return Reading(known.rows, known.tokens, yes, no, heads=known.heads)


class _Followed(torch.autograd.Function):
    """Cached values whose gradient is computed by their original pass."""

    @staticmethod
    def forward(
        ctx: Any, offset: Tensor, yes: Tensor, no: Tensor, done: _SharedPass, text: str
    ) -> tuple[Tensor, Tensor]:
        ctx.done, ctx.text = done, text
        return yes.clone(), no.clone()

    @staticmethod
    def backward(ctx: Any, *weights: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.done.slope(ctx.text, *weights), None, None, None, None
