# SPDX-License-Identifier: Apache-2.0

"""The kinds of clips that the embedded model is trained on: people who act, or hard scenes.

B clips, T frames, S = T / 2 slots, Q questions, M visual tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from stvg_lab.rendered.garments import GARMENTS
from stvg_lab.rendered.hard.hard_queries import HARD_KINDS
from stvg_lab.rendered.hard.templates import TRAINING
from stvg_lab.rendered.hard.things import KINDS as THINGS
from stvg_lab.rendered.scene_generator import COLOURS
from stvg_lab.training.clip_pool import ARRAYS, NOBODY, STANDS, ArrayShapes, draw_clip
from stvg_lab.training.drawn_clips import draw_hard_clip
from stvg_lab.training.examiner import NAMING, Question
from stvg_lab.training.hard_clips import HARD_ARRAYS, TRAITS
from stvg_lab.training.hard_labels import HardLabels, busy_frames
from stvg_lab.training.labels import DENSE, Labels

Arrays = Mapping[str, Tensor]


class ClipLabels(Protocol):
    """Labels of a batch of clips."""

    def mirrored(self) -> ClipLabels:
        """The same clips mirrored horizontally."""
        ...

    def dense(self) -> Tensor:
        """Content of each visual token, `(B, M, K)` of 0 and 1."""
        ...

    def questions(self, rng: np.random.Generator) -> Sequence[Sequence[Question]]:
        """Q questions of each clip, the first of them neutral."""
        ...

    def targets(self, batch: Sequence[Sequence[Any]]) -> Tensor:
        """Target attention of these questions, `(B, Q, M)`."""
        ...


@dataclass(frozen=True)
class ClipKind:
    """What training needs of a kind of clips.

    Attributes:
        arrays: of a pool, see `Pool`.
        draw: draws a clip; of hard scenes also with photographs as backgrounds.
        labels: of pool, indices `(B,)` and their frames `(B, T)`.
        dense: K, the number of dense labels.
        marked: which of these clips of a pool have numbers drawn on them.
        busy: the frames `(T,)` of one clip in which somebody does something.
        naming: words that name what is asked for.
        hard: whether the tokenizer knows the words of hard scenes.
        splits: of validation and test.
        kinds: of sentences, in the progress line and the model card.
        timed: the kind whose spans are in the progress line.
    """

    arrays: ArrayShapes
    draw: Callable[..., Any]
    labels: Callable[[Arrays, Tensor, Tensor], ClipLabels]
    dense: int
    marked: Callable[[Arrays, Tensor], Tensor]
    busy: Callable[[Arrays, int], Tensor]
    naming: frozenset[str]
    hard: bool
    splits: tuple[str, str]
    kinds: tuple[str, ...]
    timed: str


def _labels(arrays: Arrays, picked: Tensor, frames: Tensor) -> Labels:
    at = picked[:, None]
    return Labels(
        shirts=arrays["shirts"][picked],
        bags=arrays["bags"][picked],
        acts=arrays["acts"][at, :, frames].transpose(1, 2),
        carries=arrays["carries"][at, :, frames].transpose(1, 2),
        places=arrays["places"][at, :, frames].transpose(1, 2),
        cover=arrays["cover"][at, :, frames].transpose(1, 2).float(),
    )


def _busy(arrays: Arrays, clip: int) -> Tensor:
    acts = arrays["acts"][clip]
    return ((acts != NOBODY) & (acts != STANDS)).any(0)


def _hard_labels(arrays: Arrays, picked: Tensor, frames: Tensor) -> HardLabels:
    at = picked[:, None]
    return HardLabels(
        cover=arrays["cover"][at, :, frames].transpose(1, 2).float(),
        traits=arrays["traits"][at, :, frames].transpose(1, 2),
        texts=arrays["texts"][picked],
        owners=arrays["owners"][picked],
        inside=arrays["inside"][at, :, frames].transpose(1, 2),
        numbers=arrays["numbers"][picked],
        ordinals=arrays["ordinals"][picked],
    )


def _never_marked(arrays: Arrays, picked: Tensor) -> Tensor:
    return torch.zeros(len(picked), dtype=torch.bool)


def _marked_hard(arrays: Arrays, picked: Tensor) -> Tensor:
    return (arrays["numbers"][picked] > 0).any(1) | arrays["ordinals"][picked, 0]


def _busy_hard(arrays: Arrays, clip: int) -> Tensor:
    return busy_frames(arrays["traits"][clip])


def _words(texts: Iterable[str]) -> set[str]:
    return {word for text in texts for word in re.findall(r"[a-z]+", text.replace("{thing}", ""))}


_UNNAMED = _words(["a an the their his is are to of on in with from at and who that up"])
_VERBS = _words(form for pairs in TRAINING.verbs.values() for pair in pairs for form in pair)
_RELATED = {"left", "right", "between", "front", "behind", "first", "last"}
CLIP_KINDS = {
    "plain": ClipKind(
        ARRAYS, draw_clip, _labels, DENSE, _never_marked, _busy, NAMING, False, ("val", "test"),
        ("attribute", "action", "combined", "relation"), "combined",
    ),
    "hard": ClipKind(
        HARD_ARRAYS, draw_hard_clip, _hard_labels, len(TRAITS), _marked_hard, _busy_hard,
        frozenset({*COLOURS, *_words(GARMENTS), *THINGS, *_VERBS, *_RELATED, *NAMING}) - _UNNAMED,
        True,
        ("val-hard", "test-hard"), HARD_KINDS, "gesture",
    ),
}  # fmt: skip


def busy_slots(kind: ClipKind, arrays: Arrays, clip: int, frames_a_slot: int) -> np.ndarray:
    """The slots `(S,)` of a clip in which somebody does something."""
    busy: torch.Tensor = kind.busy(arrays, clip).unflatten(0, (-1, frames_a_slot)).any(1)
    return busy.numpy()
