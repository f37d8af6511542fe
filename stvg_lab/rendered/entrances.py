# SPDX-License-Identifier: Apache-2.0

"""Changes a cast so that people enter, leave, and are cut off by the edge of the image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stvg_lab.rendered.person import Person

_OUTSIDE = 0.4  # heights from the edge to the feet of a person of whom nothing is seen
_CUT = (-0.05, 0.1)  # heights from the edge to the feet of a person who is cut off by it
_NEAR_EDGE = 0.25  # of the image's width; people who stand nearer may be cut off
_ENTERS, _LEAVES, _CUT_OFF = 0.6, 0.6, 0.5  # probabilities, for those who can


def with_entrances(
    rng: np.random.Generator, people: tuple[Person, ...], width: int
) -> tuple[Person, ...]:
    """The same people, some of whom enter at their first walk, leave at their last, or stand at
    the edge; nobody if the cast has nobody who can.
    """
    return tuple(_changed(rng, person, width) for person in people)


def _changed(rng: np.random.Generator, person: Person, width: int) -> Person:
    enters, leaves, cut = rng.random(3) < (_ENTERS, _LEAVES, _CUT_OFF)
    acts = list(person.acts)
    names = [act.name for act in acts]
    away = _OUTSIDE * person.height_px
    if leaves and names and names[-1].startswith("walk"):
        beyond = -away if names[-1] == "walk_left" else width + away
        acts[-1] = replace(acts[-1], to_x_px=beyond)
        if len(acts) == 1 and enters:  # some only pass
            return replace(person, acts=tuple(acts), x_px=width - beyond)
        return replace(person, acts=tuple(acts))
    if enters and names and names[0].startswith("walk"):
        return replace(person, x_px=width + away if names[0] == "walk_left" else -away)
    stays = not any(name.startswith("walk") or name == "meet" for name in names)
    nearer = min(person.x_px, width - person.x_px)
    if cut and stays and not person.box_side and nearer < _NEAR_EDGE * width:
        x_px = float(rng.uniform(*_CUT)) * person.height_px
        if person.x_px > width / 2:
            x_px = width - x_px
        acts = [replace(act, to_x_px=x_px) for act in acts]
        return replace(person, x_px=x_px, acts=tuple(acts))
    return person
