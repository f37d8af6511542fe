# SPDX-License-Identifier: Apache-2.0

"""Draws training clips of hard and plain scenes: whole pictures, and close-ups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from stvg_lab.rendered.hard.claims import Truth
from stvg_lab.rendered.hard.hard_queries import hard_queries
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.photo_backdrop import draw_photo_backdrop
from stvg_lab.rendered.queries import (
    SPLIT_SEEDS,
    TRAIN_HARD,
    SceneQuery,
    scene_queries,
    split_seed,
)
from stvg_lab.rendered.scene import Scene
from stvg_lab.training.close_ups import CountedQuery, close_ups, counted_queries
from stvg_lab.training.hard_clips import HardClip, make_hard_clip

_FPS = 5.0  # fewer frames than a test scene has cost half the time
_WORDINGS, _CLOSE_WORDINGS = 2, 5  # times the sentences are drawn about one scene
_CLOSE_UPS = 0.45  # share of close-ups
_PLAIN, _ENTERING = 0.35, 0.3  # shares of plain scenes, and of these of the split entering
_PHOTOS = 0.3  # share with a photograph as background, where there are any


def draw_hard_clip(rng: np.random.Generator, photos: Sequence[Path] = ()) -> HardClip:
    """A clip of a random scene of `train-hard` or `train`, with its sentences in random order.

    Args:
        rng: of the scene and what is drawn.
        photos: files of photographs, which are the background of some clips.
    """
    while True:
        number, close = int(rng.integers(SPLIT_SEEDS)), rng.random() < _CLOSE_UPS
        wordings = _CLOSE_WORDINGS if close else _WORDINGS
        drawn = _drawn_plain if rng.random() < _PLAIN else _drawn_hard
        scene, queries, counted = drawn(rng, number, wordings)
        if photos and rng.random() < _PHOTOS:
            scene = replace(scene, background=draw_photo_backdrop(rng, photos))
        if not close:
            shuffled = [queries[i] for i in rng.permutation(len(queries))]
            return make_hard_clip(scene, shuffled, rng)
        for clip in close_ups(scene, queries, rng, counted):
            return clip


def _drawn_plain(
    rng: np.random.Generator, number: int, wordings: int
) -> tuple[Scene | HardScene, Sequence[SceneQuery], Sequence[CountedQuery]]:
    scene = Scene.from_seed(
        split_seed("train", number),
        difficulty=float(rng.uniform(0, 1)), entering=bool(rng.random() < _ENTERING),
    )  # fmt: skip
    queries = [one for more in range(max(1, wordings // 2))
               for one in scene_queries(scene, number + more)]  # fmt: skip
    return scene, queries, ()


def _drawn_hard(
    rng: np.random.Generator, number: int, wordings: int
) -> tuple[Scene | HardScene, Sequence[SceneQuery], Sequence[CountedQuery]]:
    scene = HardScene.from_seed(split_seed(TRAIN_HARD, number), fps=_FPS)
    truth, seeds = Truth(scene), range(number, number + wordings)
    queries = [one for seed in seeds for one in hard_queries(scene, TRAIN_HARD, seed, truth)]
    counted = [one for seed in seeds for one in counted_queries(scene, TRAIN_HARD, seed, truth)]
    return scene, queries, counted
