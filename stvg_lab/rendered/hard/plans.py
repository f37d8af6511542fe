# SPDX-License-Identifier: Apache-2.0

"""What one person does, in order: at most two doings that the body and full hands allow."""

from __future__ import annotations

import numpy as np

from stvg_lab.rendered.hard.actor import KNEELING, LYING, SITTING, WALKS, Actor

MIRRORED = {
    "raise left arm": "raise right arm",
    "raise right arm": "raise left arm",
    "point left": "point right",
    "point right": "point left",
}
TWIN_DOINGS = ("wave", "jump", "turn", "raise left arm", "raise right arm", "raise both arms",
               "point left", "point right", "cross arms")  # fmt: skip

_ONE_ARM = (*MIRRORED, "wave")
_STANDING_ARMS = (*_ONE_ARM, "raise both arms", "cross arms")
_STANDING_BODY = ("sit down", "fall", "turn", "jump", "pick up", *WALKS)
_COUNTS = (0.2, 0.5, 0.3)  # probabilities of no, one, two doings
_ARMS = 0.6  # probability that a doing with free hands is a gesture
_LAST = ("sit down", "fall", "pick up")  # nothing follows them
_FIRST = ("stand up", "put down")


def draw_plan(rng: np.random.Generator, actor: Actor) -> tuple[str, ...]:
    """Names of what the person does."""
    count = int(rng.choice(3, p=_COUNTS))
    arms, body = _possible(actor)
    names: list[str] = []
    for _ in range(count):
        options = arms if arms and (not body or rng.random() < _ARMS) else body
        left = [name for name in options if name not in names and _goes_with(name, names)]
        if left:
            names.append(left[int(rng.integers(len(left)))])
    return tuple(sorted(names, key=lambda name: (name in _LAST) - (name in _FIRST)))


def _goes_with(name: str, names: list[str]) -> bool:
    """One last thing only, and no walk with a chair or a fall."""
    both = {name, *names}
    return len(both & {*_LAST, "put down"}) < 2 and not (
        both & {*WALKS} and both & {"sit down", "stand up", "fall"}
    )


def _possible(actor: Actor) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the arms and what the body can do."""
    pose, held = actor.first_pose, actor.holds
    if pose == LYING:
        return (), ()
    if pose == KNEELING:
        return _ONE_ARM, ()
    if pose == SITTING:
        if held:
            return (("drink",) if held == "cup" else ()), ()
        return (*_ONE_ARM, "raise both arms"), ("stand up",)
    if actor.away:
        return (*_ONE_ARM, "raise both arms"), WALKS
    if held == "box":
        return (), ("put down", *WALKS)
    if held:
        return (("drink",) if held == "cup" else ()), WALKS
    return _STANDING_ARMS, _STANDING_BODY
