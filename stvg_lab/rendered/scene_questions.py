# SPDX-License-Identifier: Apache-2.0

"""Questions about rendered scenes with their true tubes, for an evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from stvg_lab.rendered.clips import scene_truth
from stvg_lab.rendered.queries import SceneQuery, scene_queries, split_scene
from stvg_lab.rendered.render import render
from stvg_lab.rendered.scene import STAND, Scene
from stvg_lab.runs.scores import FrameTube
from stvg_ros.types import CandidateTube, Clip, Frame

FRAME_STEP = 2  # every second frame of the scene is grounded and scored
TIMED = ("action", "combined", "sentence")  # kinds that name an action and therefore have a span
ASKED = (*TIMED, "attribute", "relation")


@dataclass(frozen=True, eq=False)
class SceneQuestion:
    """One question about one scene: frames, true tube, and the tubes of all people."""

    clip: Clip
    query: SceneQuery
    truth: FrameTube
    people: tuple[CandidateTube, ...]

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
        return self.query.kind in TIMED


def samples(split: str, seed: int, count: int) -> Iterator[tuple[SceneQuestion, ...]]:
    """For `count` scenes from number `seed` on, a present and an absent target of each kind.

    A kind without a question in the scene is skipped. Questions with a span never ask for
    "stands". One scene is in memory at a time.

    Raises:
        ValueError: an unknown split, or seeds outside it.
    """
    for number in range(seed, seed + count):
        scene = split_scene(split, number)
        yield scene_samples(scene, np.random.default_rng((number, 1)))


def scene_samples(scene: Scene, rng: np.random.Generator) -> tuple[SceneQuestion, ...]:
    """The questions about one scene; `rng` selects one of each kind, and the wordings."""
    kept = list(range(0, scene.frame_count, FRAME_STEP))
    # Half the size: the embedded model uses less; boxes stay in pixels of the camera.
    size = scene.width // 2, scene.height // 2
    clip = Clip(
        tuple(
            Frame(int(scene.stamps_ns[k]), render(scene, k, *size), scene.width, scene.height)
            for k in kept
        )
    )
    people = tuple(
        CandidateTube(index, boxes[kept], visible[kept], np.zeros(len(clip), np.bool_))
        for index, (boxes, visible) in enumerate(
            zip(scene.boxes_xyxy_px, scene.visible, strict=True)
        )
        if visible[kept].any()
    )
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
