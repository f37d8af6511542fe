# SPDX-License-Identifier: Apache-2.0

"""A differentiable model of a few hundred weights that counts what it is asked."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.method.base import BaseProposer
from stvg_ros.method.interfaces import AttentionRows, ModelLimits, Pass, Reading
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.types import CandidateTube, Clip, Frame, SplitQuery

WIDTH = 6
ROWS, COLUMNS = 2, 3


@dataclass(frozen=True, eq=False)
class ToyPrefix:
    visual: VisualTokens
    states: torch.Tensor


class ToyMllm:
    """One causal layer over visual tokens and slot positions; questions are bags of words.

    Args:
        poison: a question that holds this text has NaN gradients.
        lift: added to every margin, to make targets present.
        absent: a question with this word has a margin 20 lower.
        selected: the readings also have rows of selected heads, the mean ones backwards.
        states: log-probabilities of the options of a question; None knows no options.
    """

    name = "toy"
    frames_per_slot = 1

    def __init__(
        self,
        settings: MllmSettings | None = None,
        poison: str = "",
        lift: float = 5.0,
        absent: str = "",
        selected: bool = False,
        states: Callable[[str, Sequence[str]], Sequence[float]] | None = None,
    ) -> None:
        self.settings = settings or MllmSettings(split="rules", frame_count=5)
        self.poison, self.lift, self.absent, self.selected = poison, lift, absent, selected
        self.states = states
        self.prefills = self.encoded = 0
        self.questions: list[str] = []
        self.reply = ""
        draw = torch.Generator().manual_seed(7)
        self.colour = torch.randn(3, WIDTH, generator=draw)
        self.place = torch.randn(64, WIDTH, generator=draw) * 0.3
        self.heads = torch.randn(3, WIDTH, WIDTH, generator=draw)
        self.answers = torch.randn(WIDTH, 4, generator=draw) * 0.1

    def limits(self, texts: Sequence[str], image: NDArray[np.uint8]) -> ModelLimits:
        return ModelLimits()

    def encode(self, images: Sequence[NDArray[np.uint8]], total: int = 0) -> VisualTokens:
        self.encoded += len(images)
        cells = []
        for image in images:
            for band in np.array_split(image, ROWS, axis=0):
                cells += [part.mean((0, 1)) / 255 for part in np.array_split(band, COLUMNS, axis=1)]
        features = torch.tensor(np.array(cells), dtype=torch.float32) @ self.colour
        slots = tuple((index,) for index in range(len(images)))
        return VisualTokens(features, (len(images), ROWS, COLUMNS), slots)

    def prefill(self, visual: VisualTokens, offset: torch.Tensor | None = None) -> ToyPrefix:
        self.prefills += 1
        tokens = visual.features if offset is None else visual.features + offset
        tokens = tokens + self.place[: visual.grid[0]].repeat_interleave(ROWS * COLUMNS, 0)
        scores = tokens @ tokens.T / WIDTH**0.5
        later = torch.ones_like(scores, dtype=torch.bool).triu(1)
        return ToyPrefix(visual, tokens + scores.masked_fill(later, -torch.inf).softmax(1) @ tokens)

    def ask(self, prefix: ToyPrefix, questions: Sequence[str]) -> tuple[Reading, ...]:
        self.questions += questions
        return tuple(self._reading(prefix, text) for text in questions)

    def option_log_p(
        self, prefix: ToyPrefix, question: str, options: Sequence[str]
    ) -> torch.Tensor | None:
        self.questions.append(question)
        return None if self.states is None else torch.tensor(self.states(question, options))

    def attention_rows(self, passes: Sequence[Pass], question: str) -> tuple[AttentionRows, ...]:
        with torch.no_grad():
            return tuple(
                self.ask(self.prefill(*each), [question])[0].without_answer() for each in passes
            )

    def _reading(self, prefix: ToyPrefix, text: str) -> Reading:
        asked = torch.zeros(WIDTH)
        for word in text.lower().split():
            draw = torch.Generator().manual_seed(zlib.crc32(word.encode()))
            asked = asked + torch.randn(WIDTH, generator=draw) / 3
        rows = (prefix.states @ (self.heads @ asked).T).T.softmax(1) * 0.8  # (R, M)
        logits = (rows @ prefix.states).sum(0) @ self.answers
        lift = self.lift - (20 if self.absent and self.absent in text.split() else 0)
        log_p = (logits + torch.tensor([lift, 0, 0, 0])).log_softmax(0)
        yes = log_p[0]
        if self.poison and self.poison in text:
            yes = yes + (prefix.states.sum() * 0).sqrt()
        heat = rows.detach().reshape(3, *prefix.visual.grid)
        heads = {"grounding": heat.flip(2), "temporal": heat.flip(1)} if self.selected else {}
        return Reading(heat, ("<end>", "<role>", "."), yes, log_p[1], heads=heads)

    def saving_memory(self) -> AbstractContextManager[None]:
        return nullcontext()

    def complete(self, system: str, prompt: str, max_new_tokens: int) -> str:
        return self.reply


class FixedSplitter:
    def __init__(self, attribute: str = "the red one", action: str = "the one who waves") -> None:
        self.attribute, self.action = attribute, action

    def split(self, text: str) -> SplitQuery:
        return SplitQuery(text, self.attribute, self.action, "rules")


class FixedProposer(BaseProposer):
    """One resting box a tube, present in the frames of `present` (all without it)."""

    name = "fixed"

    def __init__(
        self, *boxes: tuple[float, float, float, float], present: slice | None = None
    ) -> None:
        self.boxes, self.present = boxes, present or slice(None)

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        tubes = []
        for track, box in enumerate(self.boxes):
            present = np.zeros(len(clip), np.bool_)
            present[self.present] = True
            boxes = np.tile(np.array(box, np.float32), (len(clip), 1))
            tubes.append(CandidateTube(track, boxes, present, np.zeros(len(clip), np.bool_)))
        return tuple(tubes)


def noise_clip(frames: int = 10, seed: int = 0) -> Clip:
    """Frames of noise 0.1 s apart from 1 s on; 120 x 80 px cameras, stored at 12 x 8."""
    draw = np.random.default_rng(seed)
    return Clip(
        tuple(
            Frame(
                1_000_000_000 + index * 100_000_000,
                draw.integers(0, 256, (8, 12, 3), dtype=np.uint8),
                120,
                80,
                "camera",
            )
            for index in range(frames)
        )
    )


def reading(
    rows: torch.Tensor, tokens: tuple[str, ...] = (), yes: float = -0.5, no: float = -1.0
) -> Reading:
    """A reading by hand."""
    labels = tokens or tuple(str(index) for index in range(len(rows)))
    return Reading(rows, labels, torch.tensor(yes), torch.tensor(no))


def no_checkpoint(stage: str, progress: float) -> None:
    """Goes on."""
