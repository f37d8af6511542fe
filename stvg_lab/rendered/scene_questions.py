# SPDX-License-Identifier: Apache-2.0

"""Questions about rendered scenes with their true tubes, for an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.clips import scene_truth
from stvg_lab.rendered.hard.described import described_scene
from stvg_lab.rendered.hard.hard_queries import (
    HARD_KINDS,
    HardQuery,
    count_questions,
    hard_queries,
)
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.queries import (
    HARD_SPLITS,
    ROBOCUP,
    SceneQuery,
    scene_queries,
    split_scene,
    split_seed,
)
from stvg_lab.rendered.render import Drawable, render
from stvg_lab.rendered.scene import STAND, Scene
from stvg_lab.runs.scores import FrameTube
from stvg_ros.boxes import Boxes
from stvg_ros.types import CandidateTube, Clip, Frame

FRAME_STEP = 2  # every second frame of the scene is grounded and scored
TIMED = ("action", "combined", "sentence")  # kinds that name an action and therefore have a span
ASKED = (*TIMED, "attribute", "relation")
ALL_KINDS = tuple(dict.fromkeys((*ASKED, *HARD_KINDS)))  # of all splits


@dataclass(frozen=True, eq=False)
class SceneQuestion:
    """One question about one scene.

    Attributes:
        clip: the frames.
        query: the sentence.
        truth: the target's tube.
        people: the tubes of all people, or of all things where a thing is meant.
        conditions: those of a hard scene.
    """

    clip: Clip
    query: SceneQuery
    truth: FrameTube
    people: tuple[CandidateTube, ...]
    conditions: tuple[str, ...] = ()

    @property
    def present(self) -> bool:
        """Whether the target is in the scene."""
        return self.query.target is not None

    def without_images(self) -> SceneQuestion:
        """The sample with frames of one pixel each; stamps and size are kept."""
        frames = (replace(f, image=np.zeros((1, 1, 3), np.uint8)) for f in self.clip.frames)
        return replace(self, clip=Clip(tuple(frames)))

    @property
    def timed(self) -> bool:
        """Whether the true span differs from the whole scene."""
        return self.query.timed


@dataclass(frozen=True, eq=False)
class CountSample:
    """A question for a number, and the true number."""

    question: SceneQuestion
    number: int


def samples(split: str, seed: int, count: int) -> Iterator[tuple[SceneQuestion, ...]]:
    """For `count` scenes from number `seed` on, a present and an absent target of each kind.

    A kind without a question in the scene is skipped. Questions with a span never ask for
    "stands", but for those of the hard splits about who stands while others sit. One scene is in
    memory at a time.

    Raises:
        ValueError: an unknown split, or seeds outside it.
    """
    for number in range(seed, seed + count):
        yield asked_scene(split, number)[1]


def asked_scene(split: str, number: int) -> tuple[Scene | HardScene, tuple[SceneQuestion, ...]]:
    """A scene of a split with the questions about it.

    Raises:
        ValueError: an unknown split, or a number outside it.
    """
    if split == ROBOCUP:
        described, queries = described_scene(split_seed(split, number), number)
        return described, hard_samples(described, queries)
    if split in HARD_SPLITS:
        hard = HardScene.from_seed(split_seed(split, number))
        return hard, hard_samples(hard, hard_queries(hard, split, number))
    scene = split_scene(split, number)
    return scene, scene_samples(scene, np.random.default_rng((number, 1)))


def count_samples(split: str, seed: int, count: int) -> Iterator[tuple[CountSample, ...]]:
    """For `count` hard scenes from number `seed` on, how many people are or do something.

    Raises:
        ValueError: a split that is not one of `HARD_SPLITS`, or seeds outside it.
    """
    for number in range(seed, seed + count):
        scene = HardScene.from_seed(split_seed(split, number))
        asked = count_questions(scene, split, number)
        kept, people = _kept(scene.frame_count), len(scene.people)
        clip = _clip(scene, kept)
        tubes = _tubes(scene.boxes_xyxy_px[:people, kept], scene.visible[:people, kept], 0)
        found = []
        for one in asked:
            query = HardQuery(
                one.text, "", one.text, None, 0, 0, "count", one.claim.colour or None,
                one.claim.doing or None, claim=one.claim,
            )  # fmt: skip
            nothing = FrameTube.nothing(len(clip))
            question = SceneQuestion(clip, query, nothing, tubes, scene.conditions)
            found.append(CountSample(question, one.number))
        yield tuple(found)


def hard_samples(scene: HardScene, queries: Sequence[HardQuery]) -> tuple[SceneQuestion, ...]:
    """Questions about a hard scene; the candidates are the people, or the things, of the scene."""
    kept = _kept(scene.frame_count)
    clip = _clip(scene, kept)
    boxes, visible = scene.boxes_xyxy_px[:, kept], scene.visible[:, kept]
    people = len(scene.people)
    tubes = {
        False: _tubes(boxes[:people], visible[:people], 0),
        True: _tubes(boxes[people:], visible[people:], people),
    }
    found = []
    for query in queries:
        truth = FrameTube.nothing(len(clip))
        if query.target is not None:
            full = scene_truth(scene, query)
            truth = FrameTube(
                full.boxes_xyxy_px[kept], full.present[kept], (full.span & full.present)[kept]
            )
        if truth.span.any() or query.target is None:
            asked = tubes[query.of_things]
            found.append(SceneQuestion(clip, query, truth, asked, scene.conditions))
    return tuple(found)


def _kept(frames: int) -> list[int]:
    return list(range(0, frames, FRAME_STEP))


def _clip(scene: Drawable, kept: Sequence[int]) -> Clip:
    """Frames at half the size: the embedded model uses less; boxes are pixels of the camera."""
    size = scene.width // 2, scene.height // 2
    stamps_ns = scene.stamps_ns
    frames = (
        Frame(int(stamps_ns[k]), render(scene, k, *size), scene.width, scene.height) for k in kept
    )
    return Clip(tuple(frames))


def _tubes(boxes: Boxes, visible: NDArray[np.bool_], first: int) -> tuple[CandidateTube, ...]:
    """Tubes of all that are in the image at some time, numbered from `first` on."""
    none = np.zeros(boxes.shape[1], np.bool_)
    return tuple(
        CandidateTube(index, one, shown, none)
        for index, (one, shown) in enumerate(zip(boxes, visible, strict=True), first)
        if shown.any()
    )


def scene_samples(scene: Scene, rng: np.random.Generator) -> tuple[SceneQuestion, ...]:
    """The questions about one scene; `rng` selects one of each kind, and the wordings."""
    kept = _kept(scene.frame_count)
    clip = _clip(scene, kept)
    people = _tubes(scene.boxes_xyxy_px[:, kept], scene.visible[:, kept], 0)
    queries = scene_queries(scene, seed=int(rng.integers(2**31)))
    found = []
    for kind in ASKED:
        of_kind = [query for query in queries if query.kind == kind and query.act != STAND]
        for present in (True, False):
            fitting = [query for query in of_kind if (query.target is not None) == present]
            if not fitting:
                continue
            query = fitting[int(rng.integers(len(fitting)))]
            full = scene_truth(scene, query)
            truth = FrameTube(full.boxes_xyxy_px[kept], full.present[kept], full.span[kept])
            if truth.span.any() or not present:
                found.append(SceneQuestion(clip, query, truth, people))
    return tuple(found)
