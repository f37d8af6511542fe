# SPDX-License-Identifier: Apache-2.0

"""Close-ups as training clips: images cut to one person or thing, as for a second look.

The sentences whose target is shown are answered with yes, those about others with no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stvg_lab.rendered.hard.claims import Truth
from stvg_lab.rendered.hard.hard_queries import HardQuery, count_questions
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.queries import SceneQuery
from stvg_lab.rendered.render import render
from stvg_lab.rendered.scene import Scene
from stvg_lab.training.clip_pool import FRAMES, covered, sampled
from stvg_lab.training.hard_clips import OWNERS, QUESTIONS, HardClip, clip_of, fitting
from stvg_lab.training.packed_questions import COLUMNS, HEIGHT, ROWS, WIDTH
from stvg_ros.method.answering import squares
from stvg_ros.models.preprocess import letterboxed

_LEAST_SEEN = 4  # of the sampled frames show the owner
_JITTER = 0.05  # of the boxes, in shares of their height, as of a detector
_BICUBIC = 3
_SMALL = 0.5  # share of scenes that are rendered at 320 x 240


@dataclass(frozen=True, eq=False)
class CountedQuery:
    """What is asked of each person when people are counted: "people who kneel".

    Attributes:
        text: in the plural.
        spans: of the people of whom it is true, by their number.
    """

    text: str
    spans: Mapping[int, tuple[int, int]]

    def about(self, person: int) -> SceneQuery:
        """The same as a sentence about one person, or about nobody."""
        span = self.spans.get(person)
        target, (start, end) = (None, (0, 0)) if span is None else (person, span)
        return HardQuery(self.text, "", "", target, start, end, "count", None, None)


def counted_queries(scene: HardScene, split: str, seed: int, truth: Truth) -> list[CountedQuery]:
    """The questions for numbers about a scene, as what is asked of each person."""
    found = []
    for one in count_questions(scene, split, seed, truth):
        times = {
            person: np.flatnonzero(truth.mask(one.claim, person))
            for person in range(len(scene.people))
        }
        spans = {
            person: (int(frames[0]), int(frames[-1]) + 1)
            for person, frames in times.items()
            if len(frames)
        }
        found.append(CountedQuery("people" + one.text.partition("people")[2], spans))
    return found


def close_ups(
    scene: HardScene | Scene,
    queries: Sequence[SceneQuery],
    rng: np.random.Generator,
    counted: Sequence[CountedQuery] = (),
    most: int = 1,
) -> list[HardClip]:
    """At most `most` close-ups of random people or things of a scene, who are meant by a sentence.

    Args:
        scene: the scene.
        queries: sentences about it.
        rng: of frames, sizes and order.
        counted: what is asked when people are counted.
        most: of the close-ups.
    """
    asked = [one for one in fitting(queries, OWNERS) if not _needs_others(one)]
    meant = sorted({one.target for one in asked if one.target is not None})
    chosen = sampled(scene, rng)
    shown = scene.visible[:, chosen]
    meant = [owner for owner in meant if shown[owner].sum() >= _LEAST_SEEN]
    picked = [meant[i] for i in rng.permutation(len(meant))[:most]]
    if not picked:
        return []
    width, height = (320, 240) if rng.random() < _SMALL else (scene.width, scene.height)
    images = {int(i): render(scene, int(i), width, height) for i in np.unique(chosen)}
    scale = np.tile([width / scene.width, height / scene.height], 2)
    found = []
    for owner in picked:
        seen = np.flatnonzero(shown[owner])
        frames = chosen[seen[np.arange(FRAMES) * len(seen) // FRAMES]]
        boxes = scene.boxes_xyxy_px[owner, frames] * scale
        tall = np.maximum(boxes[:, 3] - boxes[:, 1], 1)[:, None]
        loose = boxes + rng.normal(0, _JITTER, 4) * tall
        pictures = squares([images[int(i)] for i in frames], loose)
        side = pictures[0].shape[0]
        middle = np.tile((loose[:, :2] + loose[:, 2:]) / 2, 2)
        inside = (boxes - middle) / side + 0.5
        small, (rows, columns) = letterboxed(pictures, (HEIGHT, WIDTH), (ROWS, COLUMNS), _BICUBIC)
        cells = np.tile([COLUMNS, ROWS], 2)
        first = np.tile([columns.start, rows.start], 2)
        part = np.tile([columns.stop - columns.start, rows.stop - rows.start], 2)
        shares = (first + np.clip(inside, 0, 1) * part) / cells
        every = [*asked, *(one.about(owner) for one in counted if owner < len(scene.people))]
        order = [every[i] for i in rng.permutation(len(every))]
        mine = [one for one in order if one.target == owner]
        people = len(scene.people)
        alike = [one for one in order if _of_things(one) == (owner >= people)]
        others = [one for one in alike if one.target != owner]
        half = QUESTIONS // 2
        texts = [*mine[:half], *others[: QUESTIONS - min(half, len(mine))]]
        tint = rng.normal(1, 0.04, 3) * rng.uniform(0.8, 1.15)
        tinted = np.clip(np.stack(small) * tint + rng.normal(0, 6), 0, 255).astype(np.uint8)
        cover = covered(shares.astype(np.float32))
        found.append(clip_of(scene, frames, tinted, cover, owner, texts))
    return found


def _of_things(query: SceneQuery) -> bool:
    return isinstance(query, HardQuery) and query.of_things


def _needs_others(query: SceneQuery) -> bool:
    """Whether a sentence cannot be decided without the other people."""
    if isinstance(query, HardQuery):
        return query.kind in ("relation", "order")
    return query.kind == "relation"
