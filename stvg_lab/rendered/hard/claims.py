# SPDX-License-Identifier: Apache-2.0

"""What a sentence says of a person or a thing, and for whom and when it is true.

Everything is decided twice: strictly, for the one who is meant, and loosely, for everybody whom a
reader might also take for the one who is meant. A sentence with a target is strictly true of one
and loosely of nobody else; a sentence without a target is loosely true of nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.hard.actor import CHANGES, LIFTS, POSES, STANDING, WALKS, Actor
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.hard.image_relations import ANCHORS, holds_at_all, holds_clearly

Mask = NDArray[np.bool_]  # (F,)
Span = tuple[int, int]

ENTER, LEAVE, CARRY = "enter", "leave", "carry"
_LIKE = {  # garments that may be taken for another
    "shirt": ("t-shirt", "blouse"), "blouse": ("shirt",), "jacket": ("coat",), "coat": ("jacket",),
}  # fmt: skip
_RAISED = ("raise left arm", "raise right arm")
_LEAST_SHOWN = 0.6  # of the time of what is said, in which the one who is meant is in the image
_LEAST_SEEN = 0.35  # share of the one who is meant that nothing hides then


@dataclass(frozen=True)
class Claim:
    """What is said of a person; empty parts are not said.

    Attributes:
        holds: kind of the thing in the hands.
        thing_colour: colour of the thing that is held, picked up or put down.
        doing: a pose, a doing, or `ENTER`, `LEAVE`, `CARRY`.
        rank: "first" or "last" of several of whom the rest is true, one after the other.
        relation: one of `image_relations.ANCHORS`, to `anchors`.
    """

    colour: str = ""
    garment: str = ""
    bag: str = ""
    holds: str = ""
    thing_colour: str = ""
    doing: str = ""
    rank: str = ""
    relation: str = ""
    anchors: tuple[Claim, ...] = ()

    @property
    def look(self) -> Claim:
        """What is said of clothes and bag alone."""
        return Claim(self.colour, self.garment, self.bag)


@dataclass(frozen=True)
class ThingClaim:
    """What is said of a thing.

    Attributes:
        event: "pick up" or "put down" for what happens to it, "held" for being held, or "".
        holder: who holds it, for "held".
    """

    kind: str
    colour: str = ""
    event: str = ""
    holder: Claim | None = None


class Truth:
    """Decides claims about one scene."""

    def __init__(self, scene: HardScene) -> None:
        self.scene = scene
        self._masks: dict[tuple[int, str, bool], Mask] = {}

    def target(self, claim: Claim) -> tuple[int, Span] | None:
        """The only person of whom it is true, and when; None if it is true of several or nobody.

        None as well if it is true of one who is hardly seen.
        """
        if claim.rank:
            return self._ranked(claim)
        fitting = [i for i in self._everybody if self.mask(claim, i).any()]
        if len(fitting) != 1 or self.candidates(claim) != fitting:
            return None
        span = self._when(claim, fitting[0])
        return None if span is None else (fitting[0], span)

    def candidates(self, claim: Claim) -> list[int]:
        """Everybody of whom it might be said."""
        return [i for i in self._everybody if self.mask(claim, i, loosely=True).any()]

    def anchors(self, claim: Claim) -> list[int] | None:
        """The others of a relation; None if one is not certain, or not in the image all the time.

        Nothing is asked about a relation to others who are not certain.
        """
        others = []
        for anchor in claim.anchors:
            found = self.target(anchor)
            if found is None or not self.scene.visible[found[0]].all():
                return None
            others.append(found[0])
        return others if len(set(others)) == ANCHORS[claim.relation] else None

    def count(self, claim: Claim) -> int | None:
        """Of how many it is true in the image; None if it might be said of others too."""
        fitting = [i for i in self._everybody if self.mask(claim, i).any()]
        if fitting != self.candidates(claim):
            return None
        return len(fitting) if all(self._when(claim, i) for i in fitting) else None

    def mask(self, claim: Claim, person: int, *, loosely: bool = False) -> Mask:
        """The frames in which it is true of a person; strictly, only those in the image."""
        actor = self.scene.people[person]
        mask = np.full(self.scene.frame_count, _wears(actor, claim, loosely))
        if claim.holds:
            mask &= self._holds(person, claim)
        elif claim.thing_colour:  # of what is picked up or put down
            mask &= self._thing_colour(person) == claim.thing_colour
        if claim.doing:
            mask &= self._doing(person, claim.doing, loosely)
        if claim.relation and mask.any():
            mask &= self._related(person, claim, loosely)
        return mask if loosely else mask & self.scene.visible[person]

    def thing_target(self, claim: ThingClaim) -> tuple[int, Span] | None:
        """Index behind the people of the only thing of which it is true, and when."""
        fitting = self.thing_candidates(claim)
        if len(fitting) != 1 or (claim.holder and self.target(claim.holder) is None):
            return None
        index = len(self.scene.people) + fitting[0]
        mask = self._thing_mask(claim, fitting[0])
        span = self._clear_span(mask & self.scene.visible[index], mask, index)
        return None if span is None else (index, span)

    def thing_candidates(self, claim: ThingClaim) -> list[int]:
        """Numbers of the things of which it might be said."""
        return [at for at in range(len(self.scene.things)) if self._thing_mask(claim, at).any()]

    @property
    def _everybody(self) -> range:
        return range(len(self.scene.people))

    @cached_property
    def _sampled(self) -> NDArray[np.int64]:
        count = self.scene.frame_count
        return np.asarray(np.linspace(0, count - 1, 14).round(), np.int64)

    @cached_property
    def _seen(self) -> NDArray[np.float32]:
        return self.scene.seen_shares(self._sampled)

    def _ranked(self, claim: Claim) -> tuple[int, Span] | None:
        rest = replace(claim, rank="")
        fitting = [i for i in self._everybody if self.mask(rest, i).any()]
        if len(fitting) < 2 or self.candidates(rest) != fitting:
            return None
        found = [(self._when(rest, i), i) for i in fitting]
        spans = sorted((span, i) for span, i in found if span is not None)
        apart = all(a[0][1] <= b[0][0] for a, b in pairwise(spans))
        if len(spans) != len(fitting) or not apart:
            return None
        span, person = spans[0 if claim.rank == "first" else -1]
        return person, span

    def _when(self, claim: Claim, person: int) -> Span | None:
        """The one run of frames in which it is true of a person who is seen well."""
        actor = self.scene.people[person]
        if claim.garment and actor.away:
            return None
        whole = self.mask(claim, person, loosely=True) if claim.doing else None
        return self._clear_span(self.mask(claim, person), whole, person)

    def _clear_span(self, mask: Mask, whole: Mask | None, owner: int) -> Span | None:
        runs = _runs(mask)
        if len(runs) != 1:
            return None
        start, end = runs[0]
        if whole is not None and (end - start) < _LEAST_SHOWN * whole.sum():
            return None
        inside = (self._sampled >= start) & (self._sampled < end)
        if not inside.any():
            inside[np.argmin(np.abs(self._sampled - (start + end) / 2))] = True
        return (start, end) if np.median(self._seen[owner, inside]) >= _LEAST_SEEN else None

    def _related(self, person: int, claim: Claim, loosely: bool) -> Mask:
        """All frames or none: a relation is to hold as long as everybody is in the image."""
        none = np.zeros(self.scene.frame_count, np.bool_)
        others = self.anchors(claim)
        if others is None or person in others:
            return none
        decide = holds_at_all if loosely else holds_clearly
        return ~none if decide(self.scene, claim.relation, person, others) else none

    def _thing_colour(self, person: int) -> str:
        return next((t.colour for t in self.scene.things if t.holder == person), "")

    def _holds(self, person: int, claim: Claim) -> Mask:
        mask = np.zeros(self.scene.frame_count, np.bool_)
        for thing in self.scene.things:
            fits = thing.kind == claim.holds and claim.thing_colour in ("", thing.colour)
            if thing.holder == person and fits:
                start, end = thing.held_frames(self.scene.people, self.scene.frame_count)
                mask[start:end] = True
        return mask

    def _doing(self, person: int, name: str, loosely: bool) -> Mask:
        key = (person, name, loosely)
        if key not in self._masks:
            self._masks[key] = _doing_mask(self.scene, person, name, loosely)
        return self._masks[key]

    def _thing_mask(self, claim: ThingClaim, number: int) -> Mask:
        scene = self.scene
        thing, mask = scene.things[number], np.zeros(scene.frame_count, np.bool_)
        if thing.kind != claim.kind or claim.colour not in ("", thing.colour):
            return mask
        if claim.event in LIFTS:
            lift = thing.lift(scene.people)
            if lift is not None and lift.name == claim.event:
                mask[lift.start_frame : lift.end_frame] = True
            return mask
        if claim.event == "held":
            found = self.target(claim.holder) if claim.holder else None
            if thing.holder >= 0 and (found is None or found[0] == thing.holder):
                mask[slice(*thing.held_frames(scene.people, scene.frame_count))] = True
            return mask
        return ~mask


def _wears(actor: Actor, claim: Claim, loosely: bool) -> bool:
    garments = (claim.garment, *(_LIKE.get(claim.garment, ()) if loosely else ()))
    return (
        claim.colour in ("", actor.colour)
        and (not claim.garment or actor.garment in garments)
        and (not claim.bag or actor.look.bag == claim.bag)
    )


def _doing_mask(scene: HardScene, person: int, name: str, loosely: bool) -> Mask:
    actor = scene.people[person]
    mask = np.zeros(scene.frame_count, np.bool_)
    if name in POSES:
        mask[:] = [actor.pose_name(frame) == name for frame in range(scene.frame_count)]
        for doing in actor.doings:
            part = slice(doing.start_frame, doing.end_frame)
            if loosely:
                mask[part] |= CHANGES.get(doing.name) == name
            elif name == STANDING and doing.name in (*WALKS, *LIFTS, "jump"):
                mask[part] = False
        return mask
    names = {name}
    if name in (ENTER, LEAVE, CARRY):
        names = {*WALKS}
    for doing in actor.doings:
        fits = doing.name in names
        if loosely and name in _RAISED:
            own = "raise left arm" if doing.side == actor.own_left else "raise right arm"
            fits |= doing.name == "raise both arms" or (doing.name == "wave" and own == name)
        if fits and _crosses(scene, actor, doing.start_frame, doing.end_frame, name, loosely):
            mask[doing.start_frame : doing.end_frame] = True
    if loosely and name == "turn" and actor.away:
        mask[:] = True
    if loosely and (name == CARRY or _appears(scene.visible[person], name)):
        mask[:] = True
    return mask


def _appears(shown: Mask, name: str) -> bool:
    """Whether somebody comes into the image or leaves it, be it by the camera's motion."""
    if not shown.any():
        return False
    return (name == ENTER and not shown[0]) or (name == LEAVE and not shown[-1])


def _crosses(
    scene: HardScene, actor: Actor, start: int, end: int, name: str, loosely: bool
) -> bool:
    """Whether a walk comes in or leaves, if that is asked for."""
    outside = [not 0 <= actor.x_at(frame) <= scene.width for frame in (start, end)]
    if name == ENTER:
        return outside[0] and (loosely or not outside[1])
    if name == LEAVE:
        return outside[1] and (loosely or not outside[0])
    return True


def _runs(mask: Mask) -> list[Span]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
