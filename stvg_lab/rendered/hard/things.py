# SPDX-License-Identifier: Apache-2.0

"""Boxes, cups and balls: on the floor, in somebody's hands, picked up and put down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stvg_lab.rendered.character import CARTON_REACH
from stvg_lab.rendered.garments import shaded
from stvg_lab.rendered.hard.actor import Actor, Doing
from stvg_lab.rendered.shapes import Prop, Rgb

KINDS = ("box", "cup", "ball")
_HALF = {"box": 0.085, "cup": 0.034, "ball": 0.062}  # size, body heights


@dataclass(frozen=True)
class Thing:
    """A thing.

    Attributes:
        kind: one of `KINDS`.
        colour: name of its colour.
        height_px: of a person who stands where it is.
        place_px: the point on the floor below it while nobody holds it.
        holder: index of the person who holds, takes or puts it down; -1 for nobody.
    """

    kind: str
    colour: str
    rgb: Rgb
    height_px: float
    place_px: tuple[float, float]
    holder: int = -1

    def held_frames(self, actors: Sequence[Actor], frames: int) -> tuple[int, int]:
        """The frames `[start, end)` in which somebody holds it; (0, 0) for never."""
        if self.holder < 0:
            return 0, 0
        lift = self.lift(actors)
        if lift is None:
            return 0, frames
        change = int(np.ceil(lift.middle))
        return (change, frames) if lift.name == "pick up" else (0, change)

    def lift(self, actors: Sequence[Actor]) -> Doing | None:
        """How it is picked up or put down, if it is."""
        if self.holder < 0:
            return None
        doings = actors[self.holder].doings
        return next((doing for doing in doings if doing.name in ("pick up", "put down")), None)

    def shapes(
        self, actors: Sequence[Actor], frame: int, fps: float, frames: int
    ) -> tuple[Prop, ...]:
        """The shapes in a frame; a box has a lid, so that it is not a poster."""
        start, end = self.held_frames(actors, frames)
        half = _HALF[self.kind] * self.height_px
        if start <= frame < end:
            middle = actors[self.holder].grip_px(frame, fps)
        else:
            middle = np.array([self.place_px[0], self.place_px[1] - half])
        if self.kind == "ball":
            return (Prop(middle[None], half, self.rgb),)
        sides = (1.0, 1.0) if self.kind == "box" else (0.75, 1.25)
        square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
        if self.kind == "cup":
            square[2:, 0] *= 0.75  # narrower at the bottom
        body = Prop(middle + half * square * sides, 0.0, self.rgb)
        if self.kind == "cup":
            return (body,)
        lid = np.array([(-1, -1), (1, -1), (1, -0.55), (-1, -0.55)], float)
        return body, Prop(middle + half * lid, 0.0, shaded(self.rgb, 0.62))


def reached_place(actor: Actor, lift: Doing) -> tuple[float, float]:
    """Where the thing is on the floor before it is picked up, or after it was put down."""
    x = actor.x_at(lift.start_frame) + lift.side * CARTON_REACH * actor.height_px
    return x, actor.ground_y_px
