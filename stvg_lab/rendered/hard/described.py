# SPDX-License-Identifier: Apache-2.0

"""RoboCup@Home's 50 descriptions of a person, each among four people of a hard scene.

The lists are those of the league's generator of commands. Who is described by a gesture makes it
nearly all the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from stvg_lab.rendered.character import Appearance
from stvg_lab.rendered.hard.actor import LYING, SITTING, STANDING, Actor, Doing
from stvg_lab.rendered.hard.claims import Claim, Truth
from stvg_lab.rendered.hard.hard_queries import GARMENT, GESTURE, POSE, HardQuery
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.hard.scene_conditions import CONDITIONS, CROWD, ENTERING, TWINS
from stvg_lab.rendered.hard.things import Thing
from stvg_lab.rendered.scene_generator import draw_look

PEOPLE = 4
_GESTURES = {
    "waving person": "wave",
    "person raising their left arm": "raise left arm",
    "person raising their right arm": "raise right arm",
    "person pointing to the left": "point left",
    "person pointing to the right": "point right",
}
_POSES = {"sitting person": SITTING, "standing person": STANDING, "lying person": LYING}
_COLOURS = ("blue", "yellow", "black", "white", "red", "orange", "gray")
_WORN = {"t shirt": "t-shirt", "shirt": "shirt", "blouse": "blouse", "sweater": "sweater",
         "coat": "coat", "jacket": "jacket"}  # fmt: skip
_USED = tuple(name for name in CONDITIONS if name not in (ENTERING, CROWD, TWINS))
_SHARE = (0.06, 0.94)  # of the video in which a gesture is made
_TRIES = 60


@dataclass(frozen=True)
class PersonDescription:
    """A description: the words after "find the", the kind of sentence, and what it says."""

    words: str
    kind: str
    claim: Claim


def descriptions() -> tuple[PersonDescription, ...]:
    """The 50 descriptions in order: gestures, poses, colours and garments."""
    made = [
        PersonDescription(words, GESTURE, Claim(doing=name)) for words, name in _GESTURES.items()
    ]
    made += [PersonDescription(words, POSE, Claim(doing=name)) for words, name in _POSES.items()]
    for colour, (word, garment) in product(_COLOURS, _WORN.items()):
        article = "an" if colour == "orange" else "a"
        words = f"person wearing {article} {colour} {word}"
        made.append(PersonDescription(words, GARMENT, Claim(colour, garment)))
    return tuple(made)


def described_scene(seed: int, number: int) -> tuple[HardScene, tuple[HardQuery, ...]]:
    """A scene of four people, one of whom description `number` (modulo 50) is about.

    Returns:
        The scene, and a query with the target and one that is about nobody.

    Raises:
        RuntimeError: no such scene was found, which is a fault of this module.
    """
    rng = np.random.default_rng((seed, 22))
    every = descriptions()
    wanted = every[number % len(every)]
    for _ in range(_TRIES):
        names = (_USED[int(rng.integers(len(_USED)))],)
        drawn = HardScene.from_seed(int(rng.integers(1 << 40)), conditions=names, people=PEOPLE)
        index = int(rng.integers(PEOPLE))
        people = list(drawn.people)
        if wanted.claim.doing == STANDING:  # who waves or walks stands as well
            people = [_not_standing(rng, actor) for actor in people]
        people[index] = _as_described(rng, people[index], wanted.claim, drawn.frame_count)
        things = tuple(one for one in drawn.things if _is_kept(one, people))
        scene = replace(drawn, people=tuple(people), things=things)
        truth = Truth(scene)
        found = truth.target(wanted.claim)
        absent = [one for one in every if not truth.candidates(one.claim)]
        if found is not None and absent and scene.shows_everybody():
            other = absent[int(rng.integers(len(absent)))]
            return scene, (_query(wanted, *found), _query(other, None, (0, 0)))
    raise RuntimeError(f"no scene of {wanted.words!r} in {_TRIES} tries; raise _TRIES")


def _is_kept(thing: Thing, people: Sequence[Actor]) -> bool:
    """Whether nobody is to hold it, or its holder still does."""
    return thing.holder < 0 or bool(people[thing.holder].holds or people[thing.holder].takes)


def _as_described(rng: np.random.Generator, actor: Actor, claim: Claim, frames: int) -> Actor:
    """The person with what the claim says, facing the camera with free hands."""
    free = replace(actor, holds="", takes="", away=False)
    if claim.garment:
        look: Appearance = draw_look(rng, claim.colour)
        look = replace(look, hat_rgb=None, bag=actor.look.bag, garment=claim.garment)
        if actor.holds or actor.takes:
            free = replace(free, doings=())
        return replace(free, colour=claim.colour, look=look)
    if claim.doing in _POSES.values():
        look = actor.look if claim.doing == STANDING else replace(actor.look, bag=None)
        return replace(free, first_pose=claim.doing, doings=(), look=look)
    start, end = (round(share * frames) for share in _SHARE)
    side = {"raise left arm": 1, "raise right arm": -1, "point left": -1}.get(claim.doing, 1)
    doing = Doing(claim.doing, start, end, side, actor.x_px)
    pose = actor.first_pose if actor.first_pose in (STANDING, SITTING) else STANDING
    return replace(free, first_pose=pose, doings=(doing,))


def _not_standing(rng: np.random.Generator, actor: Actor) -> Actor:
    pose = SITTING if rng.random() < 0.6 else LYING
    look = replace(actor.look, bag=None)
    return replace(actor, first_pose=pose, doings=(), holds="", takes="", away=False, look=look)


def _query(one: PersonDescription, target: int | None, span: tuple[int, int]) -> HardQuery:
    text, claim = f"find the {one.words}", one.claim
    attribute, action = (text, "") if one.kind == GARMENT else ("", text)
    return HardQuery(
        text, attribute, action, target, *span, one.kind, claim.colour or None,
        claim.doing or None, claim=claim,
    )  # fmt: skip
