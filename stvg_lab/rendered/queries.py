# SPDX-License-Identifier: Apache-2.0

"""Sentences about a scene, each with its target person and time span, or without a target."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.query_templates import (
    BAGS,
    COMMANDS,
    KINDS,
    LOOKS,
    NOUNS,
    SIDES,
    VERBS,
    phrased,
    vocabulary,
)
from stvg_lab.rendered.scene import ACTIONS, SHIRTS, STAND, Person, Scene
from stvg_ros.boxes import Boxes

__all__ = [
    "BAGS",
    "COMMANDS",
    "KINDS",
    "LOOKS",
    "NOUNS",
    "SIDES",
    "VERBS",
    "SceneQuery",
    "TrueTube",
    "beside",
    "does",
    "has_bag",
    "matching",
    "phrased",
    "query_for",
    "scene_queries",
    "scene_tube",
    "spans",
    "split_scene",
    "split_seed",
    "vocabulary",
]

ENTERING = "entering"  # the split whose people enter, leave and are cut off by the edge
IDENTITY = "identity"  # the split of people who leave and come back, see `reappearances`
# The splits of `hard`: what robots meet and competitions ask for.
TRAIN_HARD, VAL_HARD, TEST_HARD = HARD_SPLITS = ("train-hard", "val-hard", "test-hard")
ROBOCUP = "robocup"  # RoboCup's descriptions of a person, see `hard.described`
SPLITS = ("train", "val", "test", ENTERING, IDENTITY, *HARD_SPLITS, ROBOCUP)
SPLIT_SEEDS = 10_000_000  # seeds in each split


@dataclass(frozen=True)
class SceneQuery:
    """A sentence with its true answer.

    Attributes:
        text: the whole query.
        attribute: its static part such as "the person in red", or "" where it has none.
        action: its dynamic part such as "the person who waves", or "" where it has none.
        target: index of the person described, or None if the scene has no such person.
        start_frame: first frame in which the description holds (0 for an absent target).
        end_frame: the frame after the last one (0 for an absent target).
        kind: one of `KINDS`.
        shirt: the colour that was named, or None; in a relation the other person's.
        act: the action that was named (a key of `VERBS`), or None.
        bag: the bag that was named (a key of `BAGS`), or None.
        side: "left" or "right" of the other person in a relation, else None.
    """

    text: str
    attribute: str
    action: str
    target: int | None
    start_frame: int
    end_frame: int
    kind: str
    shirt: str | None
    act: str | None
    bag: str | None = None
    side: str | None = None

    @property
    def timed(self) -> bool:
        """Whether it says what is done, so that the true span is not that of the presence."""
        return bool(self.action)


@dataclass(frozen=True, eq=False)
class TrueTube:
    """The true tube of a target: stamps `(N,)` ns and boxes `(N, 4)` of the frames in the span."""

    stamps_ns: NDArray[np.int64]
    boxes_xyxy_px: Boxes
    start_frame: int
    end_frame: int


def split_seed(split: str, index: int) -> int:
    """The seed of scene number `index` of a split; the splits are disjoint.

    Raises:
        ValueError: an unknown split, or an index outside the split's range.
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {SPLITS}, got {split!r}")
    if not 0 <= index < SPLIT_SEEDS:
        raise ValueError(f"index: expected 0 to {SPLIT_SEEDS - 1}, got {index}")
    return SPLITS.index(split) * SPLIT_SEEDS + index


def split_scene(split: str, index: int, duration_s: float = 8.0) -> Scene:
    """Scene number `index` of a split.

    Raises:
        ValueError: as for `split_seed`, a split of hard scenes, or the scene is too short.
    """
    if split in (*HARD_SPLITS, ROBOCUP):
        raise ValueError(f"split: {split!r} has scenes of its own, see `hard.hard_scene`")
    seed = split_seed(split, index)
    return Scene.from_seed(seed, duration_s=duration_s, entering=split == ENTERING)


def does(actions: tuple[str, ...], act: str) -> bool:
    """Whether `act` is among these actions."""
    return act in actions or (act == "walk" and any(a.startswith("walk_") for a in actions))


def has_bag(person: Person, bag: str) -> bool:
    """Whether the person has that bag; "bag" stands for either kind."""
    return person.bag is not None and bag in ("bag", person.bag)


def matching(
    scene: Scene, shirt: str | None, act: str | None, bag: str | None = None
) -> tuple[int, ...]:
    """Indices of the people with that shirt, bag and action; None fits everybody."""
    return tuple(
        index
        for index, person in enumerate(scene.people)
        if (shirt is None or person.shirt == shirt)
        and (bag is None or has_bag(person, bag))
        and (act is None or does(person.actions, act))
    )


def beside(scene: Scene, side: str, anchor: int) -> tuple[int, ...] | None:
    """People on that side of the anchor during the whole scene.

    None if somebody crosses, or the anchor is not always visible. A distance below 2 % of the
    image width counts as crossing.
    """
    if not scene.visible[anchor].all():
        return None
    away = scene.feet_px - scene.feet_px[anchor]
    if side == "left":
        away = -away
    gap = scene.width / 50
    others = [index for index in range(len(scene.people)) if index != anchor]
    if any(away[i].max() > -gap and away[i].min() < gap for i in others):
        return None
    return tuple(index for index in others if away[index].min() > 0)


def spans(scene: Scene, person: int, act: str | None) -> tuple[tuple[int, int], ...]:
    """Frame ranges in which the person is visible and does `act`; None and standing are always."""
    shown = np.flatnonzero(scene.visible[person])
    if not len(shown):
        return ()
    first, end = int(shown[0]), int(shown[-1]) + 1
    if act is None or act == STAND:
        return ((first, end),)
    acts = [a for a in scene.people[person].acts if does((a.name,), act)]
    cut = ((max(a.start_frame, first), min(a.end_frame, end)) for a in acts)
    return tuple((start, stop) for start, stop in cut if start < stop)


def query_for(
    scene: Scene,
    kind: str,
    shirt: str | None,
    act: str | None,
    rng: np.random.Generator | None = None,
    *,
    bag: str | None = None,
    side: str | None = None,
) -> SceneQuery | None:
    """The query with these properties, or None if its answer is not unique (see `phrased`)."""
    text, attribute, action = phrased(rng, kind, shirt, act, bag=bag, side=side)
    people: tuple[int, ...] | None = matching(scene, shirt, act, bag)
    if side is not None and people is not None:
        people = beside(scene, side, people[0]) if len(people) == 1 else None
    if people is None or len(people) > 1:
        return None
    if not people:
        return SceneQuery(text, attribute, action, None, 0, 0, kind, shirt, act, bag, side)
    found = spans(scene, people[0], act)
    if len(found) != 1:
        return None
    return SceneQuery(text, attribute, action, people[0], *found[0], kind, shirt, act, bag, side)


def scene_queries(scene: Scene, seed: int | None = None) -> tuple[SceneQuery, ...]:
    """All queries with one target in the scene, and as many with an absent target.

    Absent targets combine attributes of two people if possible: one wears the shirt, another does
    the action; or somebody is on the other side of the person that a relation names.

    Args:
        scene: the scene.
        seed: selects the wordings; None takes the simplest ones.
    """
    rng = None if seed is None else np.random.default_rng((seed, scene.seed))
    shirts = {person.shirt for person in scene.people}
    acts = {act for person in scene.people for act in person.actions}
    bags = [bag for bag in BAGS if any(has_bag(person, bag) for person in scene.people)]
    queries = [query_for(scene, "attribute", shirt, None, rng) for shirt in SHIRTS]
    queries += [query_for(scene, "attribute", None, None, rng, bag=bag) for bag in BAGS]
    for act in (*ACTIONS, STAND, "walk"):
        queries.append(query_for(scene, "action", None, act, rng))
    for kind, act in product(("combined", "command", "sentence"), (*ACTIONS, STAND)):
        if act in acts:
            worn = [shirt for shirt in SHIRTS if shirt in shirts]
            queries += [query_for(scene, kind, shirt, act, rng) for shirt in worn]
            queries += [query_for(scene, kind, None, act, rng, bag=bag) for bag in bags]
    for side, shirt in product(SIDES, SHIRTS):
        queries.append(query_for(scene, "relation", shirt, None, rng, side=side))
    return tuple(query for query in queries if query is not None)


def scene_tube(scene: Scene, query: SceneQuery) -> TrueTube:
    """Stamps and boxes of the target inside the query's span; empty for an absent target."""
    span = slice(query.start_frame, query.end_frame)
    boxes = np.zeros((0, 4), np.float32)
    if query.target is not None:
        boxes = scene.boxes_xyxy_px[query.target, span]
    return TrueTube(scene.stamps_ns[span], boxes, query.start_frame, query.end_frame)
