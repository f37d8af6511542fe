# SPDX-License-Identifier: Apache-2.0

"""Training clips of hard and plain scenes: frames, what each person and thing is, and sentences.

In some clips numbers are drawn on candidates and in corners, as for a question for a number
(`stvg_ros.method.marked_video`).

At most O owners (people, then things), T frames per clip, h x w visual tokens per frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_lab.rendered.garments import GARMENTS
from stvg_lab.rendered.hard.actor import DOINGS, POSES, STANDING, Actor
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.hard.things import KINDS
from stvg_lab.rendered.person import Person
from stvg_lab.rendered.queries import (
    SceneQuery,
)
from stvg_lab.rendered.scene import ACTIONS, Scene
from stvg_lab.rendered.scene_generator import COLOURS
from stvg_lab.training.clip_pool import FRAMES, covered, drawn_frames, sampled
from stvg_lab.training.packed_questions import COLUMNS, HEIGHT, PAIR, ROWS, WIDTH
from stvg_ros.number_marks import with_numbers

OWNERS, QUESTIONS, TEXT_BYTES = 20, 24, 160
NOBODY, UNUSED = -1, -2  # owner of an absent target, and of a place without a sentence
BAGS = ("backpack", "handbag")
HOLDING = "holding"
PLAIN_DOINGS = tuple(act for act in ACTIONS if act.replace("_", " ") not in DOINGS)
TRAITS = (*COLOURS, *GARMENTS, *BAGS, *KINDS, *POSES, *DOINGS, *PLAIN_DOINGS, HOLDING)
_MARKED = 0.25  # share of clips with numbers
_DRAWN = 0.85  # share of marked clips with numbers on candidates; the same with ordinals
_NUMBERED = 0.9  # share of the candidates that get a number
_MOST_WORDS = 22  # of a sentence; longer ones do not fit a question


@dataclass(frozen=True, eq=False)
class HardClip:
    """A sampled and resized scene with its labels.

    Attributes:
        frames: `(T, HEIGHT, WIDTH, 3)` uint8.
        cover: `(O, T, h * w)` share of each visual token's area inside the owner's box.
        traits: `(O, T, len(TRAITS))` what is true of the owner.
        texts: `(QUESTIONS, TEXT_BYTES)` sentences in ASCII, padded with 0.
        owners: `(QUESTIONS,)` the target, `NOBODY` or `UNUSED`.
        inside: `(QUESTIONS, T)` frames of the target's span.
        numbers: `(O,)` the number that is drawn on the owner, 0 without one.
        ordinals: `(1,)` whether each image has the number of its slot.
    """

    frames: NDArray[np.uint8]
    cover: NDArray[np.float32]
    traits: NDArray[np.bool_]
    texts: NDArray[np.uint8]
    owners: NDArray[np.int64]
    inside: NDArray[np.bool_]
    numbers: NDArray[np.int64]
    ordinals: NDArray[np.bool_]


HARD_ARRAYS = {  # shape and type of each array of the pool
    "frames": ((FRAMES, HEIGHT, WIDTH, 3), torch.uint8),
    "cover": ((OWNERS, FRAMES, ROWS * COLUMNS), torch.float16),
    "traits": ((OWNERS, FRAMES, len(TRAITS)), torch.bool),
    "texts": ((QUESTIONS, TEXT_BYTES), torch.uint8),
    "owners": ((QUESTIONS,), torch.int64),
    "inside": ((QUESTIONS, FRAMES), torch.bool),
    "numbers": ((OWNERS,), torch.int64),
    "ordinals": ((1,), torch.bool),
}


def make_hard_clip(
    scene: HardScene | Scene, queries: Sequence[SceneQuery], rng: np.random.Generator | None = None
) -> HardClip:
    """Renders a clip.

    Without `rng`: uniform samples of full-size images, no augmentation and no numbers.
    """
    chosen = sampled(scene, rng)
    owners = min(OWNERS, len(scene.boxes_xyxy_px))
    limit = np.array([scene.width, scene.height] * 2, np.float32)
    boxes = np.zeros((OWNERS, FRAMES, 4), np.float32)
    boxes[:owners] = scene.boxes_xyxy_px[:owners, chosen] / limit
    cover = covered(boxes.reshape(-1, 4)).reshape(OWNERS, FRAMES, -1)
    traits = np.zeros((OWNERS, FRAMES, len(TRAITS)), np.bool_)
    for index in range(owners):
        for at, frame in enumerate(chosen.tolist()):
            for name in _traits_of(scene, index, frame):
                traits[index, at, TRAITS.index(name)] = True
    texts = np.zeros((QUESTIONS, TEXT_BYTES), np.uint8)
    targets, inside = np.full(QUESTIONS, UNUSED), np.zeros((QUESTIONS, FRAMES), np.bool_)
    for place, query in enumerate(fitting(queries, owners)[:QUESTIONS]):
        texts[place] = _line(query)
        targets[place] = NOBODY if query.target is None else query.target
        inside[place] = (chosen >= query.start_frame) & (chosen < query.end_frame)
    marks = _Marks(scene, chosen, owners, rng)
    frames = drawn_frames(scene, chosen, rng, marks.drawn if marks else None)
    ordinals = np.array([marks.ordinals])
    return HardClip(frames, cover, traits, texts, targets, inside, marks.numbers, ordinals)


class _Marks:
    """The numbers of one clip, true if there are any."""

    def __init__(
        self,
        scene: HardScene | Scene,
        chosen: NDArray[np.int64],
        owners: int,
        rng: np.random.Generator | None,
    ) -> None:
        self.numbers = np.zeros(OWNERS, np.int64)
        self.ordinals = False
        if rng is None or rng.random() >= _MARKED:
            return
        self.ordinals = bool(rng.random() < _DRAWN)
        people = len(scene.people)
        # Candidates are people, or sometimes things.
        meant = range(people, owners) if rng.random() < 0.15 else range(min(people, owners))
        if rng.random() < _DRAWN or not self.ordinals:
            kept = [i for i in meant if rng.random() < _NUMBERED]
            self.numbers[kept] = 1 + rng.permutation(len(kept))
        shares = scene.boxes_xyxy_px[:owners, chosen] / np.tile([scene.width, scene.height], 2)
        self._boxes = shares + rng.normal(0, 0.006, shares.shape)  # as of a detector
        self._visible = scene.visible[:owners, chosen]

    def __bool__(self) -> bool:
        return self.ordinals or bool(self.numbers.any())

    def drawn(self, at: int, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image of place `at` with its numbers."""
        size_px = np.tile([image.shape[1], image.shape[0]], 2)
        boxes = {
            int(self.numbers[i]): (self._boxes[i, at] * size_px).tolist()
            for i in np.flatnonzero(self.numbers)
            if self._visible[i, at]
        }
        return with_numbers(image, boxes, at // PAIR + 1 if self.ordinals else None)


def clip_of(
    scene: HardScene | Scene,
    chosen: NDArray[np.int64],
    frames: NDArray[np.uint8],
    cover: NDArray[np.float32],
    owner: int,
    queries: Sequence[SceneQuery],
) -> HardClip:
    """A clip that shows one owner, who is its first and only one.

    Args:
        scene: the scene.
        chosen: `(T,)` its frames.
        frames: `(T, HEIGHT, WIDTH, 3)` their pictures.
        cover: `(T, h * w)` of the owner.
        owner: number in the scene.
        queries: at most `QUESTIONS` sentences; others than the owner's have no target here.
    """
    traits = np.zeros((OWNERS, FRAMES, len(TRAITS)), np.bool_)
    for at, frame in enumerate(chosen.tolist()):
        traits[0, at, [TRAITS.index(name) for name in _traits_of(scene, owner, frame)]] = True
    texts = np.zeros((QUESTIONS, TEXT_BYTES), np.uint8)
    targets, inside = np.full(QUESTIONS, UNUSED), np.zeros((QUESTIONS, FRAMES), np.bool_)
    for place, query in enumerate(queries):
        texts[place] = _line(query)
        targets[place] = 0 if query.target == owner else NOBODY
        inside[place] = (chosen >= query.start_frame) & (chosen < query.end_frame)
    covers = np.zeros((OWNERS, *cover.shape), np.float32)
    covers[0] = cover
    numbers, ordinals = np.zeros(OWNERS, np.int64), np.zeros(1, np.bool_)
    return HardClip(frames, covers, traits, texts, targets, inside, numbers, ordinals)


def _line(query: SceneQuery) -> NDArray[np.uint8]:
    text = query.text.rstrip(".").encode("ascii")
    line = np.zeros(TEXT_BYTES, np.uint8)
    line[: len(text)] = np.frombuffer(text, np.uint8)
    return line


def fitting(queries: Sequence[SceneQuery], owners: int) -> list[SceneQuery]:
    """The sentences that fit the arrays, about the first `owners` people and things."""
    return [
        query
        for query in queries
        if len(query.text) <= TEXT_BYTES
        and len(query.text.replace("-", " - ").split()) <= _MOST_WORDS
        and (query.target is None or query.target < owners)
    ]


def _traits_of(scene: HardScene | Scene, index: int, frame: int) -> list[str]:
    """What is true of an owner in a frame."""
    if isinstance(scene, Scene):
        return _plain_traits(scene.people[index], frame)
    if index >= len(scene.people):
        thing = scene.things[index - len(scene.people)]
        return [thing.kind, thing.colour]
    actor: Actor = scene.people[index]
    found = [actor.colour, actor.garment, actor.pose_name(frame)]
    if actor.look.bag:
        found.append(actor.look.bag)
    doing = actor.doing_at(frame)
    if doing is not None:
        found.append(doing.name)
    if actor.holding(frame):
        found.append(HOLDING)
    return found


def _plain_traits(person: Person, frame: int) -> list[str]:
    """The same of a person of a plain scene."""
    act = person.act_at(frame)
    found = [person.shirt]
    if act is None or act.name != "sit":
        found.append(STANDING)
    if person.bag:
        found.append(person.bag)
    if act is not None:
        spaced = act.name.replace("_", " ")
        found.append(spaced if spaced in DOINGS else act.name)
    if person.carries(frame):
        found.append(HOLDING)
    return found
