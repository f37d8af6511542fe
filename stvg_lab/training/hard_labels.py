# SPDX-License-Identifier: Apache-2.0

"""Labels of a batch of hard clips, and the questions about them.

B clips, at most O owners, T frames, S = T / 2 slots of h x w visual tokens, Q questions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stvg_lab.rendered.hard.actor import DOINGS, POSES
from stvg_lab.rendered.scene_generator import COLOURS
from stvg_lab.training.examiner import COUNT, Question
from stvg_lab.training.hard_clips import NOBODY, TRAITS, UNUSED
from stvg_lab.training.packed_questions import COLUMNS, PAIR, ROWS
from stvg_ros.method.painted_ids import which_number
from stvg_ros.method.query import NEUTRAL, question
from stvg_ros.method.stated_interval import ENDS, which_image

NUMBER = "number"  # kind of the questions for a number
_SEEN = 0.12  # minimum share of a token's area inside a box that shows the owner
_NUMBER_QUESTIONS = 5  # of the `COUNT` about a clip with numbers
_MOST_WORDS = 14  # of a sentence in them
_SIDES = {"left": "right", "right": "left"}


def _other_side(text: str) -> str:
    return re.sub(r"\b(left|right)\b", lambda match: _SIDES[match[0]], text)


_MIRRORED = [TRAITS.index(_other_side(name)) for name in TRAITS]
_POSES = [TRAITS.index(name) for name in POSES]
_DOINGS = [TRAITS.index(name) for name in DOINGS]


@dataclass(frozen=True, eq=False)
class HardQuestion(Question):
    """A question whose target is known by owner and frames.

    Attributes:
        inside: `(T,)` frames of the span.
    """

    inside: Tensor


@dataclass(frozen=True, eq=False)
class HardLabels:
    """As `stvg_lab.training.hard_clips.HardClip`; each array has a further first dimension B.

    Attributes:
        sides_swapped: whether the clips are mirrored, so that left and right change places.
    """

    cover: Tensor
    traits: Tensor
    texts: Tensor
    owners: Tensor
    inside: Tensor
    numbers: Tensor
    ordinals: Tensor
    sides_swapped: bool = False

    def mirrored(self) -> HardLabels:
        """The same clips mirrored horizontally; the arms change places as well.

        Clips with numbers must not be mirrored, since the numbers cannot be read then.
        """
        cover = self.cover.unflatten(-1, (ROWS, COLUMNS)).flip(-1).flatten(-2)
        traits = self.traits[..., _MIRRORED]
        return replace(self, cover=cover, traits=traits, sides_swapped=not self.sides_swapped)

    def dense(self) -> Tensor:
        """Content of each visual token, `(B, M, len(TRAITS))` of 0 and 1."""
        seen = self.cover > _SEEN  # (B, O, T, h * w)
        shown = torch.einsum("both,botk->bthk", seen.float(), self.traits.float()) > 0
        return shown.unflatten(1, (-1, PAIR)).any(2).flatten(1, 2).float()

    def questions(self, rng: np.random.Generator) -> list[list[HardQuestion]]:
        """`COUNT` questions of each clip: a neutral one, and half of the others about nobody.

        Some of those about a clip with numbers ask for a number.
        """
        return [self._of_clip(clip, rng) for clip in range(len(self.texts))]

    def targets(self, batch: Sequence[Sequence[HardQuestion]]) -> Tensor:
        """Target attention, `(B, Q, M)` summing to 1; all zero without a target."""
        maps = [
            torch.stack([_target_map(one, self.cover[clip]) for one in questions])
            for clip, questions in enumerate(batch)
        ]
        return torch.stack(maps)

    def _of_clip(self, clip: int, rng: np.random.Generator) -> list[HardQuestion]:
        people = self.traits[clip][..., _POSES].any(-1).any(-1).nonzero()[:, 0].tolist()
        worn = self.traits[clip, people].any(1).any(0).tolist()
        caption = " and ".join(name for name in COLOURS if worn[TRAITS.index(name)])
        everywhere = torch.ones(self.cover.shape[2], dtype=torch.bool)
        asked = [HardQuestion(NEUTRAL, f"people in {caption}.", "neutral", tuple(people), None,
                              everywhere)]  # fmt: skip
        owners = self.owners[clip].numpy()
        present, absent = np.flatnonzero(owners > NOBODY), np.flatnonzero(owners == NOBODY)
        asked += self._number_questions(clip, present, rng)
        while len(asked) < COUNT:
            one = present if rng.random() < 0.5 else absent
            one = one if len(one) else np.flatnonzero(owners != UNUSED)
            place = int(one[rng.integers(len(one))])
            owner = int(owners[place])
            target = () if owner == NOBODY else (owner,)
            text = self._text(clip, place)
            answer = "yes" if target else "no"
            asked.append(
                HardQuestion(question(text), answer, "hard", target, None, self.inside[clip, place])
            )
        return asked

    def _text(self, clip: int, place: int) -> str:
        text = bytes(self.texts[clip, place].tolist()).rstrip(b"\0").decode("ascii")
        return _other_side(text) if self.sides_swapped else text

    def _number_questions(
        self, clip: int, present: NDArray[np.int64], rng: np.random.Generator
    ) -> list[HardQuestion]:
        """Which number a target has, or the first or last image that shows its span."""
        options = []
        for place in present.tolist():
            owner, inside = int(self.owners[clip, place]), self.inside[clip, place]
            text = self._text(clip, place)
            if len(text.split()) > _MOST_WORDS:
                continue
            if number := int(self.numbers[clip, owner]):
                options.append((which_number(text), number, owner, inside))
            slots = inside.unflatten(0, (-1, PAIR)).any(1).nonzero()[:, 0].tolist()
            if self.ordinals[clip] and 0 < len(slots) < len(inside) // PAIR:
                for end, slot in zip(ENDS, (slots[0], slots[-1]), strict=True):
                    options.append((which_image(text, end), slot + 1, owner, inside))
        chosen = rng.permutation(len(options))[:_NUMBER_QUESTIONS].tolist()
        return [
            HardQuestion(prompt, str(number), NUMBER, (owner,), None, inside)
            for prompt, number, owner, inside in (options[i] for i in chosen)
        ]


def busy_frames(traits: Tensor) -> Tensor:
    """The frames `(T,)` in which somebody does something, of one clip's traits `(O, T, K)`."""
    return traits[..., _DOINGS].any(-1).any(0)


def _target_map(asked: HardQuestion, cover: Tensor) -> Tensor:
    weights = cover[list(asked.people)].float() * asked.inside[:, None]
    slots = weights.sum(0).unflatten(0, (-1, PAIR)).sum(1)
    if asked.kind == "neutral":
        # Broad, so that dividing by it does not favour places that it omits.
        slots = slots / slots.sum().clamp_min(1e-6) + 1 / slots.numel()
    return (slots / slots.sum().clamp_min(1e-6)).flatten()
