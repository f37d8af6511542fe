# SPDX-License-Identifier: Apache-2.0

"""People of a scene: appearance, position over time, and actions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.character import (
    CARTON_REACH,
    Appearance,
    Prop,
    figure_at,
    figure_joints,
)
from stvg_lab.rendered.pose import Pose, pose_at

ACTIONS = (
    "walk_left",
    "walk_right",
    "wave",
    "jump",
    "sit",
    "pick_up",
    "put_down",
    "turn",
    "meet",
)
STAND = "stand"
LIFTS = ("pick_up", "put_down")  # the carton moves between floor and hands half way


@dataclass(frozen=True)
class Act:
    """One action of a person in the frames `[start_frame, end_frame)`.

    Attributes:
        name: one of `ACTIONS`.
        to_x_px: position of the feet at the end; only a walk changes it.
        side: -1 or 1, the arm that waves or greets, or the side of the carton.
    """

    name: str
    start_frame: int
    end_frame: int
    to_x_px: float
    side: int

    def __post_init__(self) -> None:
        if self.name not in ACTIONS:
            raise ValueError(f"Act.name: expected one of {ACTIONS}, got {self.name!r}")
        if not 0 <= self.start_frame < self.end_frame:
            raise ValueError(
                f"Act: expected 0 <= start < end, got [{self.start_frame}, {self.end_frame})"
            )

    def share(self, frame: int) -> float:
        """Progress of the action in a frame, 0 to 1."""
        done = (frame - self.start_frame) / (self.end_frame - self.start_frame)
        return min(1.0, max(0.0, done))


@dataclass(frozen=True)
class Person:
    """A person: appearance, position of the feet in the first frame, and up to two actions.

    Attributes:
        shirt: name of the shirt's colour.
        bag_side: -1 or 1, the hip at which a handbag hangs.
        box_side: -1 or 1 for a carton on that side, 0 for none. After lifting it the person
            carries it to the end; before putting it down, from the start.
    """

    shirt: str
    look: Appearance
    height_px: float
    x_px: float
    ground_y_px: float
    phase: float
    acts: tuple[Act, ...] = ()
    bag_side: int = 1
    box_side: int = 0

    @property
    def bag(self) -> str | None:
        """The kind of the person's bag."""
        return self.look.bag

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the person's actions, `("stand",)` if there are none."""
        return tuple(act.name for act in self.acts) or (STAND,)

    def act_at(self, frame: int) -> Act | None:
        """The current action in a frame."""
        return next((a for a in self.acts if a.start_frame <= frame < a.end_frame), None)

    def x_at(self, frame: int) -> float:
        """Position of the feet in a frame."""
        x = self.x_px
        for act in self.acts:
            share = act.share(frame)
            x = (1 - share) * x + share * act.to_x_px
        return x

    def carries(self, frame: int) -> bool:
        """Whether the person holds a carton in a frame."""
        lift = self._lift
        if lift is None:
            return False
        return (lift.share(frame) >= 0.5) == (lift.name == "pick_up")

    def figure(self, frame: int, fps: float) -> tuple[Prop, ...]:
        """The shapes of the body in a frame, back to front (see `character.figure_at`)."""
        time_s = frame / fps + self.phase
        carries = self.carries(frame)
        return figure_at(
            self._pose(frame, time_s),
            self.look,
            time_s=time_s,
            foot_px=(self.x_at(frame), self.ground_y_px),
            height_px=self.height_px,
            bag_side=self.bag_side,
            carton_px=self._carton_px,
            carries=carries,
        )

    def joints(self, frame: int, fps: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """True keypoints `(17, 2)` and their visibility `(17,)` (see `character.figure_joints`)."""
        time_s = frame / fps + self.phase
        return figure_joints(
            self._pose(frame, time_s),
            time_s=time_s,
            foot_px=(self.x_at(frame), self.ground_y_px),
            height_px=self.height_px,
        )

    def _pose(self, frame: int, time_s: float) -> Pose:
        act = self.act_at(frame)
        if act is None:
            return pose_at(STAND, 0.0, time_s, 1, self.carries(frame))
        return pose_at(act.name, act.share(frame), time_s, act.side, self.carries(frame))

    @property
    def _lift(self) -> Act | None:
        return next((act for act in self.acts if act.name in LIFTS), None)

    @property
    def _carton_px(self) -> float | None:
        """Position of the carton while it is on the floor."""
        if not self.box_side:
            return None
        x = self.x_px if self._lift is None else self.x_at(self._lift.start_frame)
        return x + self.box_side * CARTON_REACH * self.height_px
