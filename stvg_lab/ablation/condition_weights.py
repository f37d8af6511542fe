# SPDX-License-Identifier: Apache-2.0

"""Weights of negated parts and relations, from rendered scenes with true tubes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from stvg_lab.rendered.queries import scene_queries, split_seed
from stvg_lab.rendered.scene import Scene
from stvg_lab.rendered.scene_questions import samples
from stvg_ros.types import CandidateTube, Clip

KINDS = ("negation", "relation")
WEIGHTS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_MOST = 3  # questions of a kind about a scene
_NEGATED = (
    "the person who is not wearing {}",
    "somebody without a {} shirt",
    "the person who isn't in {}",
    "anyone but the person in {}",
)


@dataclass(frozen=True, eq=False)
class ConditionQuestion:
    """A sentence with a negated part or a relation, and its target.

    Attributes:
        kind: "negation" or "relation".
        text: the sentence.
        clip: the frames.
        people: the candidate tubes: two for a negation, of whom one wears the colour that the
            target must not wear; all people of the scene for a relation.
        target: track id of the person that is meant.
    """

    kind: str
    text: str
    clip: Clip
    people: tuple[CandidateTube, ...]
    target: int


def condition_questions(
    split: str, seed: int, count: int
) -> Iterator[tuple[ConditionQuestion, ...]]:
    """Questions about `count` scenes from number `seed` on, one scene after another.

    Raises:
        ValueError: an unknown split, or seeds outside it.
    """
    for number, asked in enumerate(samples(split, seed, count), seed):
        if asked:
            scene = Scene.from_seed(split_seed(split, number))
            rng = np.random.default_rng((number, 2))
            yield _questions(scene, asked[0].clip, asked[0].people, rng)


def _questions(
    scene: Scene, clip: Clip, people: tuple[CandidateTube, ...], rng: np.random.Generator
) -> tuple[ConditionQuestion, ...]:
    found = []
    pairs = [
        (mine, other)
        for mine, one in enumerate(scene.people)
        for other, two in enumerate(scene.people)
        if one.shirt != two.shirt
    ]
    for index in rng.permutation(len(pairs))[:_MOST]:
        mine, other = pairs[index]
        text = _NEGATED[int(rng.integers(len(_NEGATED)))].format(scene.people[other].shirt)
        found.append(ConditionQuestion("negation", text, clip, (people[mine], people[other]), mine))
    asked = [
        query
        for query in scene_queries(scene, seed=int(rng.integers(2**31)))
        if query.kind == "relation" and query.target is not None
    ]
    for index in rng.permutation(len(asked))[:_MOST]:
        query = asked[index]
        assert query.target is not None
        found.append(ConditionQuestion("relation", query.text, clip, people, query.target))
    return tuple(found)


def right_targets(
    ground: Callable[[ConditionQuestion, float], int], question: ConditionQuestion
) -> list[bool]:
    """For each of `WEIGHTS`, whether the target is found.

    Args:
        ground: returns the track id of the answer to a question with a weight.
        question: the question.
    """
    return [ground(question, weight) == question.target for weight in WEIGHTS]


def best_weight(right: Mapping[float, float]) -> float:
    """The weight with the highest share of right targets; the smallest of a tie."""
    return max(right, key=lambda weight: (round(right[weight], 6), -weight))
