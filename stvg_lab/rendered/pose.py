# SPDX-License-Identifier: Apache-2.0

"""Poses of the articulated figure for each action, as angles and lengths."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

Arms = tuple[float, float, float, float]

_HANGING: Arms = (-8.0, -4.0, 8.0, 4.0)
_CARRYING: Arms = (-12.0, 40.0, 12.0, -40.0)
ON_HIPS: Arms = (-58.0, 42.0, 58.0, -42.0)


@dataclass(frozen=True)
class Pose:
    """Angles in degrees from hanging straight down, positive towards +x; lengths in body heights.

    Attributes:
        lift: height of the feet above the ground.
        hip: height of the hips above the feet.
        lean: of the torso from upright, positive towards +x.
        arms: (upper, fore) of the left arm, then of the right one.
        knees: sideways shift of the knees, left and right, from the line hip to foot.
        feet: sideways shift of the feet.
        foot_lifts: of the left and right foot.
        knee_lifts: of the left and right knee, above half way between hip and foot.
        turn: 0 faces the camera, 1 shows the back; the figure is narrow in between.
    """

    lift: float = 0.0
    hip: float = 0.5
    lean: float = 0.0
    arms: Arms = _HANGING
    knees: tuple[float, float] = (-0.01, 0.01)
    feet: tuple[float, float] = (-0.06, 0.06)
    foot_lifts: tuple[float, float] = (0.0, 0.0)
    knee_lifts: tuple[float, float] = (0.0, 0.0)
    turn: float = 0.0


def pose_at(action: str, share: float, time_s: float, side: int, carries: bool = False) -> Pose:
    """The pose during an action.

    Args:
        action: one of the scene's actions, or "stand".
        share: progress of the action, 0 to 1.
        time_s: phase of swinging and swaying.
        side: -1 or 1, the arm that waves or greets, or the side of the carton.
        carries: whether the hands hold a carton; only for "stand".
    """
    ramp = min(1.0, share / 0.15, (1 - share) / 0.15)
    sway = sin(2 * pi * 0.35 * time_s)
    if action in ("walk_left", "walk_right"):
        return _walking(-1 if action == "walk_left" else 1, time_s)
    if action == "wave":
        flap = 28 * sin(2 * pi * 1.6 * time_s)
        return Pose(lean=sway, arms=_one_arm(side, ramp * 140.0, ramp * (165.0 + flap)))
    if action == "meet":
        # Both lean forward slightly and shake hands.
        shake = 9 * sin(2 * pi * 1.4 * time_s)
        arms = _one_arm(side, 8 + ramp * (64 + shake), 4 + ramp * (84 + shake))
        return Pose(lean=side * 5 * ramp, arms=arms)
    if action == "turn":
        turn = min(1.0, share / 0.2, (1 - share) / 0.2)
        arms = _between(_HANGING, ON_HIPS, turn)
        return Pose(lean=1.6 * sway, arms=arms, turn=turn)
    if action == "jump":
        hop = abs(sin(2 * pi * 0.75 * time_s)) * ramp
        arm = 10 + 95 * hop
        return Pose(
            lift=0.2 * hop,
            hip=0.5 - 0.04 * (1 - hop) * ramp,
            arms=(-arm, -arm - 8, arm, arm + 8),
            feet=(-0.06 - 0.08 * hop, 0.06 + 0.08 * hop),
        )
    if action == "sit":
        return Pose(
            hip=0.5 - 0.3 * ramp,
            lean=side * 8.0 * ramp,
            arms=(-8 - 25 * ramp, 20 * ramp, 8 + 25 * ramp, -20 * ramp),
            knees=(-0.01 - 0.13 * ramp, 0.01 + 0.13 * ramp),
            feet=(-0.06 - 0.03 * ramp, 0.06 + 0.03 * ramp),
        )
    if action == "pick_up":
        return _bending(share, side)
    if action == "put_down":
        return _bending(1 - share, side)
    if carries:
        return Pose(lean=1.6 * sway, arms=_CARRYING)
    return Pose(lean=1.6 * sway, arms=(-8 + 3 * sway, -4 + 4 * sway, 8 + 3 * sway, 4 + 4 * sway))


def _one_arm(side: int, upper: float, fore: float) -> Arms:
    if side < 0:
        return (-upper, -fore, _HANGING[2], _HANGING[3])
    return (_HANGING[0], _HANGING[1], upper, fore)


def _between(first: Arms, last: Arms, share: float) -> Arms:
    a, b, c, d = (x + (y - x) * share for x, y in zip(first, last, strict=True))
    return a, b, c, d


def _walking(way: int, time_s: float) -> Pose:
    swing = sin(2 * pi * 1.3 * time_s)
    step = 0.05 * cos(2 * pi * 1.3 * time_s)
    return Pose(
        hip=0.49,
        lean=way * 6.0,
        arms=(-32 * swing, -32 * swing + way * 18, 32 * swing, 32 * swing + way * 18),
        knees=(way * 0.03, way * 0.03),
        feet=(0.15 * swing, -0.15 * swing),
        foot_lifts=(max(0.0, step), max(0.0, -step)),
    )


def _bending(share: float, side: int) -> Pose:
    """Lifting: down with empty hands, up with the carton. Putting down is the reverse."""
    bend = float(np.interp(share, (0, 0.22, 0.55, 1), (0, 1, 1, 0)))
    reach = side * 28.0
    down = (reach, reach, reach + side * 12, reach + side * 12)
    arms = _between(_HANGING if share < 0.5 else _CARRYING, down, min(1.0, 1.4 * bend))
    return Pose(
        hip=0.5 - 0.1 * bend,
        lean=side * 78 * bend,
        arms=arms,
        knees=(side * 0.05 * bend, side * 0.06 * bend),
    )
