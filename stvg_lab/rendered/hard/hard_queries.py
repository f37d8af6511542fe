# SPDX-License-Identifier: Apache-2.0

"""Sentences about a hard scene, each with its one target and span, or without a target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import permutations

import numpy as np

from stvg_lab.rendered.garments import GARMENTS
from stvg_lab.rendered.hard.actor import GESTURES, POSES, WALKS, Actor
from stvg_lab.rendered.hard.claims import CARRY, ENTER, LEAVE, Claim, ThingClaim, Truth
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.hard.image_relations import ANCHORS
from stvg_lab.rendered.hard.plans import MIRRORED
from stvg_lab.rendered.hard.speaker import Speaker
from stvg_lab.rendered.hard.templates import TEST, TRAINING, Wordings
from stvg_lab.rendered.queries import HARD_SPLITS, TEST_HARD, SceneQuery
from stvg_lab.rendered.scene_generator import COLOURS

GESTURE, POSE, CHANGE, MOVEMENT = "gesture", "pose", "change", "movement"
GARMENT, HOLDING, RELATION, ORDER = "garment", "holding", "relation", "order"
OBJECT, SENTENCE = "object", "sentence"
HARD_KINDS = (GESTURE, POSE, CHANGE, MOVEMENT, GARMENT, HOLDING, RELATION, ORDER, OBJECT, SENTENCE)
COUNTED = ("worn", "raise left arm", "raise right arm", "point left", "point right", "wave",
           "sitting", "lying", "kneeling", "drink", "jump")  # fmt: skip

_CHANGED = ("sit down", "stand up", "fall", "turn", "jump")
_MOVED = (*WALKS, ENTER, LEAVE)
_TRIES = 24  # claims of one kind that are tried


@dataclass(frozen=True)
class HardQuery(SceneQuery):
    """A sentence with its true answer.

    Attributes:
        claim: what the sentence says. The target of a `ThingClaim` is the index of a thing, behind
            those of the people.
    """

    claim: Claim | ThingClaim = field(default_factory=Claim)

    @property
    def of_things(self) -> bool:
        """Whether a thing is meant, not a person."""
        return isinstance(self.claim, ThingClaim)


@dataclass(frozen=True)
class CountQuestion:
    """How many people: the question, what it counts, and the true number."""

    text: str
    claim: Claim
    number: int


def hard_queries(
    scene: HardScene, split: str, seed: int, truth: Truth | None = None
) -> tuple[HardQuery, ...]:
    """At most one present and one absent target of each kind, drawn by the seed.

    Each claim is checked against everybody in the scene, see `claims`.

    Args:
        scene: the scene.
        split: gives the wordings.
        seed: of claims and words.
        truth: of the scene, where several draws share it.

    Raises:
        ValueError: a split that is not one of `HARD_SPLITS`.
    """
    rng = np.random.default_rng((seed, scene.seed))
    speaker = Speaker(_wordings(split), rng)
    truth, found = truth or Truth(scene), list[HardQuery]()
    for kind in HARD_KINDS:
        options = list(_CLAIMS[kind](scene, rng))
        present = [options[i] for i in rng.permutation(len(options))[:_TRIES]]
        query = next(filter(None, (_asked(truth, speaker, kind, one) for one in present)), None)
        if query is not None:
            found.append(query)
        absent = list(_swapped(scene, kind, options, rng))
        absent = [absent[i] for i in rng.permutation(len(absent))[:_TRIES]]
        nobody = next((one for one in absent if _is_absent(truth, one)), None)
        if nobody is not None:
            found.append(_query(speaker, kind, nobody, None, (0, 0)))
    return tuple(found)


def count_questions(
    scene: HardScene, split: str, seed: int, truth: Truth | None = None
) -> tuple[CountQuestion, ...]:
    """A question for each of `COUNTED` whose number is certain; at most one number is 0.

    Args:
        scene: the scene.
        split: gives the wordings.
        seed: of claims and words.
        truth: of the scene, where several draws share it.

    Raises:
        ValueError: as for `hard_queries`.
    """
    rng = np.random.default_rng((seed, scene.seed, 1))
    speaker, found = Speaker(_wordings(split), rng), list[CountQuestion]()
    truth = truth or Truth(scene)
    for what in rng.permutation(COUNTED).tolist():
        claim = Claim(doing=what)
        if what == "worn":
            colour, garment = str(rng.choice(tuple(COLOURS))), str(rng.choice(GARMENTS))
            if rng.random() < 0.75:
                worn = scene.people[int(rng.integers(len(scene.people)))]
                colour, garment = worn.colour, worn.garment
            claim = Claim(colour, garment)
        number = truth.count(claim)
        if number is not None and (number or all(one.number for one in found)):
            found.append(CountQuestion(speaker.count(claim), claim, number))
    return tuple(found)


def _wordings(split: str) -> Wordings:
    if split not in HARD_SPLITS:
        raise ValueError(f"split: expected one of {HARD_SPLITS}, got {split!r}")
    return TEST if split == TEST_HARD else TRAINING


def _asked(
    truth: Truth, speaker: Speaker, kind: str, claim: Claim | ThingClaim
) -> HardQuery | None:
    """The query of a claim with exactly one target, else None."""
    if isinstance(claim, ThingClaim):
        found = truth.thing_target(claim)
    else:
        found = truth.target(claim)
    return None if found is None else _query(speaker, kind, claim, *found)


def _is_absent(truth: Truth, claim: Claim | ThingClaim) -> bool:
    if isinstance(claim, ThingClaim):
        return not truth.thing_candidates(claim)
    if claim.relation and truth.anchors(claim) is None:
        return False
    return not truth.candidates(claim)


def _query(
    speaker: Speaker,
    kind: str,
    claim: Claim | ThingClaim,
    target: int | None,
    span: tuple[int, int],
) -> HardQuery:
    if isinstance(claim, ThingClaim):
        text, attribute, action = speaker.thing(claim)
        colour, doing = claim.colour, claim.event
    else:
        text, attribute, action = speaker.person(claim, sentence=kind == SENTENCE)
        colour, doing = claim.colour, claim.doing
    return HardQuery(
        text, attribute, action, target, *span, kind, colour or None, doing or None, claim=claim
    )


def _looks(actor: Actor, rng: np.random.Generator) -> Claim:
    """Colour alone, colour and garment, a bag, or nothing."""
    chance = rng.random()
    if chance < 0.3:
        return Claim()
    if chance < 0.6:
        return Claim(actor.colour)
    if chance < 0.9 or actor.look.bag is None:
        return Claim(actor.colour, actor.garment)
    return Claim(bag=actor.look.bag)


def _doings(names: tuple[str, ...]) -> Callable[[HardScene, np.random.Generator], Iterator[Claim]]:
    def claims(scene: HardScene, rng: np.random.Generator) -> Iterator[Claim]:
        for actor in scene.people:
            done = {doing.name for doing in actor.doings} | {name for name, _ in actor.poses}
            if done & {*WALKS}:
                done |= {ENTER, LEAVE}
            for name in sorted(done & {*names}):
                yield replace(_looks(actor, rng), doing=name)

    return claims


def _garments(scene: HardScene, rng: np.random.Generator) -> Iterator[Claim]:
    for actor in scene.people:
        yield Claim(actor.colour, actor.garment)
        yield Claim(actor.colour, actor.garment)
        yield Claim(garment=actor.garment)
        yield Claim(actor.colour)
        if actor.look.bag:
            yield Claim(bag=actor.look.bag)


def _holdings(scene: HardScene, rng: np.random.Generator) -> Iterator[Claim]:
    for thing in scene.things:
        if thing.holder < 0:
            continue
        actor = scene.people[thing.holder]
        look = _looks(actor, rng) if rng.random() < 0.5 else Claim()
        colour = thing.colour if rng.random() < 0.5 else ""
        lift = thing.lift(scene.people)
        if lift is not None:
            yield replace(look, doing=lift.name, thing_colour=colour)
        yield replace(look, holds=thing.kind, thing_colour=colour)
        if any(doing.name in WALKS for doing in actor.doings):
            yield replace(look, holds=thing.kind, thing_colour=colour, doing=CARRY)


def _relations(scene: HardScene, rng: np.random.Generator) -> Iterator[Claim]:
    looks = [Claim(a.colour, "" if rng.random() < 0.5 else a.garment) for a in scene.people]
    for kind, count in ANCHORS.items():
        for others in permutations(range(len(looks)), count):
            if count == 1 or others[0] < others[1]:
                yield Claim(relation=kind, anchors=tuple(looks[i] for i in others))


def _orders(scene: HardScene, rng: np.random.Generator) -> Iterator[Claim]:
    for actor in scene.people:
        for doing in actor.doings:
            for rank in ("first", "last"):
                yield Claim(actor.colour, doing=doing.name, rank=rank)


def _objects(scene: HardScene, rng: np.random.Generator) -> Iterator[ThingClaim]:
    for thing in scene.things:
        lift = thing.lift(scene.people)
        if lift is not None:
            yield ThingClaim(thing.kind, thing.colour, lift.name)
            yield ThingClaim(thing.kind, "", lift.name)
        elif thing.holder < 0:
            yield ThingClaim(thing.kind, thing.colour)
        if thing.holder >= 0:
            holder = scene.people[thing.holder]
            yield ThingClaim(thing.kind, "", "held", Claim(holder.colour, holder.garment))


_CLAIMS: dict[str, Callable[[HardScene, np.random.Generator], Iterator[Claim | ThingClaim]]] = {
    GESTURE: _doings(GESTURES),
    POSE: _doings(POSES),
    CHANGE: _doings(_CHANGED),
    MOVEMENT: _doings(_MOVED),
    GARMENT: _garments,
    HOLDING: _holdings,
    RELATION: _relations,
    ORDER: _orders,
    OBJECT: _objects,
    SENTENCE: _doings((*GESTURES, *_CHANGED, *_MOVED)),
}
_OTHERS = {GESTURE: GESTURES, POSE: POSES, CHANGE: _CHANGED, MOVEMENT: _MOVED}


def _swapped(
    scene: HardScene, kind: str, options: list[Claim | ThingClaim], rng: np.random.Generator
) -> Iterator[Claim | ThingClaim]:
    """Claims that are nearly true: of another person, to the other side, of another colour."""
    looks = [Claim(a.colour, "" if rng.random() < 0.5 else a.garment) for a in scene.people]
    for option in options:
        if isinstance(option, ThingClaim):
            for colour in sorted({*(t.colour for t in scene.things), str(rng.choice([*COLOURS]))}):
                if option.event != "held":
                    yield replace(option, colour=colour)
        elif option.relation:
            yield option
        elif option.rank:
            continue
        elif kind == GARMENT:
            other = looks[int(rng.integers(len(looks)))]
            if option.garment:
                yield replace(option, colour=other.colour)
            yield Claim(str(rng.choice([*COLOURS])), str(rng.choice(GARMENTS)))
        else:
            other = looks[int(rng.integers(len(looks)))]
            yield replace(option, colour=other.colour, garment=other.garment, bag="")
            if option.doing in MIRRORED:
                yield replace(option, doing=MIRRORED[option.doing])
    for name in _OTHERS.get(kind, ()):
        yield replace(looks[int(rng.integers(len(looks)))], doing=name)
        yield Claim(doing=name)
