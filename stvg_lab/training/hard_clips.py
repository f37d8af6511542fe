# SPDX-License-Identifier: Apache-2.0

"""Training clips of hard scenes: frames, what each person and thing is, and asked sentences.

At most O owners (people, then things), T frames per clip, h x w visual tokens per frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_lab.rendered.garments import GARMENTS
from stvg_lab.rendered.hard.actor import DOINGS, POSES, Actor
from stvg_lab.rendered.hard.claims import Truth
from stvg_lab.rendered.hard.hard_queries import HardQuery, hard_queries
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.hard.things import KINDS
from stvg_lab.rendered.queries import SPLIT_SEEDS, TRAIN_HARD, split_seed
from stvg_lab.rendered.scene_generator import COLOURS
from stvg_lab.training.clip_pool import FRAMES, covered, drawn_frames, sampled
from stvg_lab.training.packed_questions import COLUMNS, HEIGHT, ROWS, WIDTH

OWNERS, QUESTIONS, TEXT_BYTES = 20, 24, 160
NOBODY, UNUSED = -1, -2  # owner of an absent target, and of a place without a sentence
BAGS = ("backpack", "handbag")
HOLDING = "holding"
TRAITS = (*COLOURS, *GARMENTS, *BAGS, *KINDS, *POSES, *DOINGS, HOLDING)
_FPS = 5.0  # fewer frames than a test scene has cost half the time
_WORDINGS = 2  # times the sentences are drawn about one scene
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
    """

    frames: NDArray[np.uint8]
    cover: NDArray[np.float32]
    traits: NDArray[np.bool_]
    texts: NDArray[np.uint8]
    owners: NDArray[np.int64]
    inside: NDArray[np.bool_]


HARD_ARRAYS = {  # shape and type of each array of the pool
    "frames": ((FRAMES, HEIGHT, WIDTH, 3), torch.uint8),
    "cover": ((OWNERS, FRAMES, ROWS * COLUMNS), torch.float16),
    "traits": ((OWNERS, FRAMES, len(TRAITS)), torch.bool),
    "texts": ((QUESTIONS, TEXT_BYTES), torch.uint8),
    "owners": ((QUESTIONS,), torch.int64),
    "inside": ((QUESTIONS, FRAMES), torch.bool),
}


def draw_hard_clip(rng: np.random.Generator) -> HardClip:
    """A clip of a random scene of `train-hard`, with its sentences in random order."""
    number = int(rng.integers(SPLIT_SEEDS))
    scene = HardScene.from_seed(split_seed(TRAIN_HARD, number), fps=_FPS)
    truth = Truth(scene)
    queries = [
        query
        for wording in range(_WORDINGS)
        for query in hard_queries(scene, TRAIN_HARD, number + wording, truth)
    ]
    return make_hard_clip(scene, [queries[i] for i in rng.permutation(len(queries))], rng)


def make_hard_clip(
    scene: HardScene, queries: list[HardQuery], rng: np.random.Generator | None = None
) -> HardClip:
    """Renders a clip. Without `rng`: uniform samples of full-size images, no augmentation."""
    chosen = sampled(scene, rng)
    owners = min(OWNERS, len(scene.people) + len(scene.things))
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
    return HardClip(drawn_frames(scene, chosen, rng), cover, traits, texts, targets, inside)


def _fitting(queries: list[HardQuery], owners: int) -> list[HardQuery]:
    kept = [
        query
        for query in queries
        if len(query.text) <= TEXT_BYTES
        and len(query.text.replace("-", " - ").split()) <= _MOST_WORDS
        and (query.target is None or query.target < owners)
    ]
    return kept[:QUESTIONS]


def _traits_of(scene: HardScene, index: int, frame: int) -> list[str]:
    """What is true of an owner in a frame."""
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
