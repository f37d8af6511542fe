# SPDX-License-Identifier: Apache-2.0

"""A person of the hard splits: a pose that lasts, gestures, changes of pose, and things in hands.

Left and right of an arm are the person's own; pointing and walking are to a side of the image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.character import Appearance, figure_at, figure_joints
from stvg_lab.rendered.pose import Arms, Pose, pose_at
from stvg_lab.rendered.postures import posture_at
from stvg_lab.rendered.shapes import Point, Prop

STANDING, SITTING, LYING, KNEELING = "standing", "sitting", "lying", "kneeling"
POSES = (STANDING, SITTING, LYING, KNEELING)
ARM_GESTURES = ("raise left arm", "raise right arm", "raise both arms", "point left", "point right",
                "wave", "cross arms")  # fmt: skip
GESTURES = (*ARM_GESTURES, "drink")
CHANGES = {"sit down": SITTING, "stand up": STANDING, "fall": LYING}  # and the pose that follows
LIFTS = ("pick up", "put down")
WALKS = ("walk left", "walk right")
MOTIONS = (*CHANGES, *LIFTS, *WALKS, "turn", "jump")
DOINGS = (*GESTURES, *MOTIONS)

_POSTURES = {"raise left arm": "raise arm", "raise right arm": "raise arm", "point left": "point",
             "point right": "point", "drink": "hand to face"}  # fmt: skip
_SHARED_NAMES = {"turn": "turn", "jump": "jump", "pick up": "pick_up", "put down": "put_down",
                 "walk left": "walk_left", "walk right": "walk_right", "wave": "wave"}  # fmt: skip
_BOTH_HANDS: Arms = (-12.0, 40.0, 12.0, -40.0)
_ONE_HAND = (14.0, 128.0)  # upper and fore arm that hold a cup or a ball
_WRISTS = (9, 10)  # in COCO's order
_SEAT = 0.27  # height of the hips of somebody who sits, body heights
_CHAIR_RGB = (112, 84, 62)


@dataclass(frozen=True)
class Doing:
    """What a person does in the frames `[start_frame, end_frame)`.

    Attributes:
        name: one of `DOINGS`.
        side: -1 or 1, the arm or direction in the image.
        to_x_px: position of the feet at the end.
    """

    name: str
    start_frame: int
    end_frame: int
    side: int
    to_x_px: float

    def __post_init__(self) -> None:
        if self.name not in DOINGS:
            raise ValueError(f"Doing.name: expected one of {DOINGS}, got {self.name!r}")
        if not 0 <= self.start_frame < self.end_frame:
            raise ValueError(
                f"Doing: expected 0 <= start < end, got [{self.start_frame}, {self.end_frame})"
            )

    @property
    def middle(self) -> float:
        """The frame at which a pose has changed, or a thing is taken or released."""
        return (self.start_frame + self.end_frame) / 2

    def share(self, frame: int) -> float:
        """Progress in a frame, 0 to 1."""
        done = (frame - self.start_frame) / (self.end_frame - self.start_frame)
        return min(1.0, max(0.0, done))


@dataclass(frozen=True)
class Actor:
    """A person: looks, place, the pose at first, and what is done one after another.

    Attributes:
        colour: name of the upper garment's colour.
        first_pose: one of `POSES`.
        away: whether the back is turned to the camera all the time.
        lying_side: -1 or 1, where the head of somebody lying is in the image.
        holds: kind of the thing in the hands at first, or "".
        hand: -1 or 1, the hand in the image that holds a cup or a ball.
        takes: kind of the thing that is picked up, or "".
    """

    colour: str
    look: Appearance
    height_px: float
    x_px: float
    ground_y_px: float
    phase: float
    first_pose: str = STANDING
    doings: tuple[Doing, ...] = ()
    away: bool = False
    lying_side: int = 1
    holds: str = ""
    hand: int = 1
    takes: str = ""

    @property
    def garment(self) -> str:
        """One of `garments.GARMENTS`."""
        return self.look.garment

    @property
    def own_left(self) -> int:
        """Side of the image at which the person's own left arm is."""
        return -1 if self.away else 1

    def doing_at(self, frame: int) -> Doing | None:
        """What is being done in a frame."""
        return next((d for d in self.doings if d.start_frame <= frame < d.end_frame), None)

    @cached_property
    def poses(self) -> tuple[tuple[str, float], ...]:
        """The poses in order, each with the frame at which it begins."""
        changed = [(CHANGES[d.name], d.middle) for d in self.doings if d.name in CHANGES]
        return ((self.first_pose, 0.0), *changed)

    def pose_name(self, frame: int) -> str:
        """The pose in a frame, one of `POSES`."""
        return next(name for name, start in reversed(self.poses) if frame >= start)

    def x_at(self, frame: int) -> float:
        """Position of the feet in a frame."""
        x = self.x_px
        for doing in self.doings:
            share = doing.share(frame)
            x = (1 - share) * x + share * doing.to_x_px
        return x

    def holding(self, frame: int) -> str:
        """Kind of the thing in the hands in a frame, or ""."""
        for doing in self.doings:
            if doing.name == "pick up":
                return self.takes if frame >= doing.middle else self.holds
            if doing.name == "put down":
                return self.holds if frame < doing.middle else ""
        return self.holds

    def figure(self, frame: int, fps: float) -> tuple[Prop, ...]:
        """The shapes of chair and body in a frame, back to front, without things in the hands."""
        time_s, foot = self._moment(frame, fps)
        body = figure_at(
            self._pose(frame, fps), self.look, time_s=time_s, foot_px=foot, height_px=self.height_px
        )
        return (*self._chair(), *body)

    def joints(self, frame: int, fps: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """True keypoints `(17, 2)` and their visibility `(17,)`, own left first."""
        time_s, foot = self._moment(frame, fps)
        pose = self._pose(frame, fps)
        return figure_joints(pose, time_s=time_s, foot_px=foot, height_px=self.height_px)

    def grip_px(self, frame: int, fps: float) -> NDArray[np.float64]:
        """The point between both hands, or that of the hand that holds, `(2,)`."""
        wrists = self.joints(frame, fps)[0][list(_WRISTS)]
        if self.holding(frame) == "box":
            return np.asarray(wrists.mean(axis=0))
        return np.asarray(wrists[0 if self.hand == self.own_left else 1])

    def _moment(self, frame: int, fps: float) -> tuple[float, Point]:
        """Phase of motion, seconds, and the point between the feet."""
        return frame / fps + self.phase, (self.x_at(frame), self.ground_y_px)

    def _chair(self) -> tuple[Prop, ...]:
        if SITTING not in [name for name, _ in self.poses]:
            return ()
        seated = next((d.start_frame for d in self.doings if d.name == "sit down"), 0)
        x, y, tall = self.x_at(seated), self.ground_y_px, self.height_px

        def block(left: float, right: float, low: float, high: float) -> Prop:
            corners = [(left, low), (right, low), (right, high), (left, high)]
            points = np.array([(x + tall * a, y - tall * b) for a, b in corners])
            return Prop(points, 0.0, _CHAIR_RGB, body=False)

        return (
            block(-0.13, 0.13, _SEAT - 0.07, _SEAT + 0.2),
            block(-0.14, 0.14, _SEAT - 0.09, _SEAT - 0.03),
            block(-0.14, -0.115, 0.0, _SEAT - 0.05),
            block(0.115, 0.14, 0.0, _SEAT - 0.05),
        )

    def _pose(self, frame: int, fps: float) -> Pose:
        pose = self._facing_pose(frame, frame / fps + self.phase)
        return replace(pose, turn=1.0) if self.away else pose

    def _facing_pose(self, frame: int, time_s: float) -> Pose:
        doing = self.doing_at(frame)
        if doing is None:
            return self._resting(frame, time_s)
        share, name = doing.share(frame), doing.name
        if name in GESTURES:
            posture = _POSTURES.get(name, name)
            arms = posture_at(posture, share, time_s, doing.side).arms
            return replace(self._resting(frame, time_s), arms=arms)
        if name in CHANGES:
            return self._changing(name, share, time_s)
        moving = pose_at(_SHARED_NAMES[name], share, time_s, doing.side)
        return self._with_full_hands(moving, frame) if name in WALKS else moving

    def _changing(self, name: str, share: float, time_s: float) -> Pose:
        if name == "fall":
            return posture_at("fall", share, time_s, self.lying_side)
        return posture_at(name, share, time_s, 1)

    def _resting(self, frame: int, time_s: float) -> Pose:
        name = self.pose_name(frame)
        if name == STANDING:
            pose = pose_at("stand", 0.0, time_s, 1)
        else:
            pose = posture_at(name, 0.5, time_s, self.lying_side)
        return self._with_full_hands(pose, frame)

    def _with_full_hands(self, pose: Pose, frame: int) -> Pose:
        held = self.holding(frame)
        if not held:
            return pose
        if held == "box":
            return replace(pose, arms=_BOTH_HANDS)
        upper, fore = _ONE_HAND
        left, right = pose.arms[:2], (self.hand * upper, self.hand * fore)
        arms = (*right, *pose.arms[2:]) if self.hand < 0 else (*left, *right)
        return replace(pose, arms=arms)
