# SPDX-License-Identifier: Apache-2.0

"""Training clips of hard and plain scenes: frames, what each person and thing is, and sentences.

In some clips numbers are drawn on candidates and in corners, as for a question for a number
(`stvg_ros.method.marked_video`).

At most O owners (people, then things), T frames per clip, h x w visual tokens per frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_lab.rendered.garments import GARMENTS
from stvg_lab.rendered.hard.actor import DOINGS, POSES, STANDING, Actor
from stvg_lab.rendered.hard.claims import Truth
from stvg_lab.rendered.hard.hard_queries import hard_queries
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.hard.things import KINDS
from stvg_lab.rendered.person import Person
from stvg_lab.rendered.photo_backdrop import draw_photo_backdrop
from stvg_lab.rendered.queries import (
    SPLIT_SEEDS,
    TRAIN_HARD,
    SceneQuery,
    scene_queries,
    split_seed,
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
_FPS = 5.0  # fewer frames than a test scene has cost half the time
_WORDINGS = 2  # times the sentences are drawn about one scene
_PLAIN, _ENTERING, _MARKED = 0.35, 0.3, 0.25  # shares of clips: plain, of these entering; marked
_PHOTOS = 0.3  # share with a photograph as background, where there are any
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


def draw_hard_clip(rng: np.random.Generator, photos: Sequence[Path] = ()) -> HardClip:
    """A clip of a random scene of `train-hard` or `train`, with its sentences in random order.

    Args:
        rng: of the scene and what is drawn.
        photos: files of photographs, which are the background of some clips.
    """
    number = int(rng.integers(SPLIT_SEEDS))
    scene, queries = _drawn_plain(rng, number) if rng.random() < _PLAIN else _drawn_hard(number)
    if photos and rng.random() < _PHOTOS:
        scene = replace(scene, background=draw_photo_backdrop(rng, photos))
    return make_hard_clip(scene, [queries[i] for i in rng.permutation(len(queries))], rng)


def _drawn_plain(rng: np.random.Generator, number: int) -> tuple[Scene, Sequence[SceneQuery]]:
    scene = Scene.from_seed(
        split_seed("train", number),
        difficulty=float(rng.uniform(0, 1)), entering=bool(rng.random() < _ENTERING),
    )  # fmt: skip
    return scene, scene_queries(scene, number)


def _drawn_hard(number: int) -> tuple[HardScene, Sequence[SceneQuery]]:
    scene = HardScene.from_seed(split_seed(TRAIN_HARD, number), fps=_FPS)
    truth = Truth(scene)
    queries = [
        query
        for wording in range(_WORDINGS)
        for query in hard_queries(scene, TRAIN_HARD, number + wording, truth)
    ]
    return scene, queries


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
    for place, query in enumerate(_fitting(queries, owners)):
        line = query.text.rstrip(".").encode("ascii")
        texts[place, : len(line)] = np.frombuffer(line, np.uint8)
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


def _fitting(queries: Sequence[SceneQuery], owners: int) -> list[SceneQuery]:
    kept = [
        query
        for query in queries
        if len(query.text) <= TEXT_BYTES
        and len(query.text.replace("-", " - ").split()) <= _MOST_WORDS
        and (query.target is None or query.target < owners)
    ]
    return kept[:QUESTIONS]


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
