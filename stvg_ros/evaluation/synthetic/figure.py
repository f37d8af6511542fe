"""The articulated figure: joints of a person from an action and its progress, as plain shapes."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, radians, sin

import numpy as np
from numpy.typing import NDArray

Rgb = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Prop:
    """One filled shape.

    Attributes:
        points_px: `(N, 2)`; one point is a disc, two a limb with round ends, more a polygon.
        radius_px: of the disc, or half the limb's thickness; 0 for a polygon.
        rgb: colour.
        body: whether it belongs to the person's box (a carton does not).
    """

    points_px: NDArray[np.float64]
    radius_px: float
    rgb: Rgb
    body: bool = True


@dataclass(frozen=True)
class Pose:
    """Angles in degrees from hanging straight down, positive towards +x; lengths in body heights.

    Attributes:
        lift: how far the feet are above the ground.
        hip: height of the hips above the feet.
        lean: of the torso from upright, positive towards +x.
        arms: (upper, fore) of the left arm, then of the right one.
        knees: sideways shift of the knees, left and right, from the line hip to foot.
        feet: sideways shift of the feet.
        foot_lifts: of the left and right foot.
        carries: whether the carton is in the hands.
    """

    lift: float = 0.0
    hip: float = 0.5
    lean: float = 0.0
    arms: tuple[float, float, float, float] = (-8.0, -4.0, 8.0, 4.0)
    knees: Point = (-0.01, 0.01)
    feet: Point = (-0.06, 0.06)
    foot_lifts: Point = (0.0, 0.0)
    carries: bool = False


def pose_at(action: str, share: float, time_s: float, side: int) -> Pose:
    """The pose in an action, `share` (0 to 1) of the way through it."""
    sway = sin(2 * pi * 0.35 * time_s)
    ramp = min(1.0, share / 0.15, (1 - share) / 0.15) if action != "stand" else 0.0
    if action in ("walk_left", "walk_right"):
        way = -1 if action == "walk_left" else 1
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
    if action == "wave":
        flap = 28 * sin(2 * pi * 1.6 * time_s)
        upper, fore = ramp * 140.0, ramp * (165.0 + flap)
        rest = Pose().arms
        if side < 0:
            return Pose(lean=sway, arms=(-upper, -fore, rest[2], rest[3]))
        return Pose(lean=sway, arms=(rest[0], rest[1], upper, fore))
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
        # Down, up with the carton, hold, down again, up without it.
        bend = float(np.interp(share, (0, 0.22, 0.42, 0.6, 0.8, 1), (0, 1, 0.1, 0.1, 1, 0)))
        lean = side * 78 * bend
        reach = side * (20 + 8 * bend)
        carries = 0.22 <= share < 0.8
        arms = (reach, reach, reach + side * 12, reach + side * 12)
        if carries:
            raised = reach + side * 30 * (1 - bend)
            arms = (raised, raised + side * 22, raised + side * 6, raised + side * 28)
        knees = (side * 0.05 * bend, side * 0.06 * bend)
        return Pose(hip=0.5 - 0.1 * bend, lean=lean, arms=arms, knees=knees, carries=carries)
    return Pose(lean=1.6 * sway, arms=(-8 + 3 * sway, -4 + 4 * sway, 8 + 3 * sway, 4 + 4 * sway))


def figure_at(
    action: str,
    share: float,
    *,
    time_s: float,
    side: int,
    foot_px: Point,
    height_px: float,
    colours: tuple[Rgb, Rgb, Rgb, Rgb],
    box_side: int = 0,
) -> tuple[Prop, ...]:
    """The shapes of a person, back to front.

    Args:
        action: one of the scene's actions, or "stand".
        share: how much of the action is done, 0 to 1.
        time_s: drives swinging and swaying.
        side: -1 or 1, the arm that waves or the side of the carton.
        foot_px: the point on the ground between the feet.
        height_px: of the standing person.
        colours: shirt, trousers, skin, hair.
        box_side: -1 or 1 to lay a carton on that side of the feet, 0 for none.
    """
    pose = pose_at(action, share, time_s, side)
    shirt, trousers, skin, hair = colours
    tall = height_px
    sway = 0.008 * sin(2 * pi * 0.3 * time_s) if action == "stand" else 0.0
    ground = (foot_px[0] + sway * tall, foot_px[1])
    hip = (ground[0], ground[1] - (pose.hip + pose.lift) * tall)
    lean = radians(pose.lean)
    up, across = (sin(lean), -cos(lean)), (cos(lean), sin(lean))

    def on_torso(along: float, sideways: float) -> Point:
        return (
            hip[0] + tall * (along * up[0] + sideways * across[0]),
            hip[1] + tall * (along * up[1] + sideways * across[1]),
        )

    def limb(points: list[Point], radius: float, rgb: Rgb) -> Prop:
        return Prop(np.array(points), radius * tall, rgb)

    props: list[Prop] = []
    for k, sign in ((0, -1), (1, 1)):
        top = (hip[0] + sign * 0.05 * tall, hip[1])
        foot = (
            ground[0] + pose.feet[k] * tall,
            ground[1] - (pose.lift + pose.foot_lifts[k] + 0.02) * tall,
        )
        knee = ((top[0] + foot[0]) / 2 + pose.knees[k] * tall, (top[1] + foot[1]) / 2)
        props += [limb([top, knee], 0.046, trousers), limb([knee, foot], 0.037, trousers)]
        shoe = (foot[0] + sign * 0.025 * tall, foot[1])
        props.append(limb([foot, shoe], 0.024, (40, 36, 34)))

    hands: list[Point] = []
    arms: list[Prop] = []
    for k, sign in ((0, -1), (1, 1)):
        shoulder = on_torso(0.315, sign * 0.105)
        upper, fore = radians(pose.arms[2 * k]), radians(pose.arms[2 * k + 1])
        elbow = (shoulder[0] + 0.165 * tall * sin(upper), shoulder[1] + 0.165 * tall * cos(upper))
        hand = (elbow[0] + 0.15 * tall * sin(fore), elbow[1] + 0.15 * tall * cos(fore))
        arms += [limb([shoulder, elbow], 0.034, shirt), limb([elbow, hand], 0.026, shirt)]
        arms.append(limb([hand], 0.03, skin))
        hands.append(hand)

    corners = ((0.35, -0.1), (0.35, 0.1), (0.0, 0.085), (-0.02, -0.085))
    torso = [on_torso(along, sideways) for along, sideways in corners]
    neck, head = on_torso(0.38, 0), on_torso(0.44, 0)
    crown = on_torso(0.462, 0)
    props += arms[:3]
    props += [limb([on_torso(0.34, 0), neck], 0.03, skin), Prop(np.array(torso), 0.0, shirt)]
    props += [limb([on_torso(0.31, -0.085), on_torso(0.31, 0.085)], 0.045, shirt)]
    props += [limb([crown], 0.062, hair), limb([head], 0.056, skin)]
    props += arms[3:]
    if box_side:
        props.append(_carton(pose, foot_px, hands, side if pose.carries else box_side, tall))
    return tuple(props)


def _carton(pose: Pose, foot_px: Point, hands: list[Point], side: int, tall: float) -> Prop:
    """The carton: in the hands while carried, else on the floor beside the feet."""
    half = 0.085 * tall
    x, y = foot_px[0] + side * 0.34 * tall, foot_px[1] - half
    if pose.carries:
        x, y = (hands[0][0] + hands[1][0]) / 2, (hands[0][1] + hands[1][1]) / 2
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    return Prop((x, y) + half * square, 0.0, (176, 132, 84), body=False)


def figure_box(props: tuple[Prop, ...]) -> NDArray[np.float64]:
    """The box `(x1, y1, x2, y2)` around the body, cartons left out."""
    body = [prop for prop in props if prop.body]
    low = np.min([prop.points_px.min(0) - prop.radius_px for prop in body], axis=0)
    high = np.max([prop.points_px.max(0) + prop.radius_px for prop in body], axis=0)
    return np.concatenate([low, high])
