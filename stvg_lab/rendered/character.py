# SPDX-License-Identifier: Apache-2.0

"""The articulated figure: a person's pose and looks as plain shapes."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, radians, sin

import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.garments import over_legs, over_torso, sleeve
from stvg_lab.rendered.pose import Pose
from stvg_lab.rendered.shapes import Point, Prop, Rgb, TorsoFrame

__all__ = [
    "CARTON_REACH",
    "Appearance",
    "Point",
    "Prop",
    "Rgb",
    "figure_at",
    "figure_box",
    "figure_joints",
]

CARTON_REACH = 0.34  # from the feet to the middle of a carton on the floor, body heights
_CARTON_HALF = 0.08  # body heights
_CARTON_RGB = (176, 132, 84)


@dataclass(frozen=True)
class Appearance:
    """The appearance of a person.

    Attributes:
        long_hair: whether the hair falls to the shoulders.
        hat_rgb: colour of the hat, or None without one.
        bag: "backpack", "handbag" (hung over the shoulder) or None.
        bag_rgb: colour of the bag, if there is one.
        garment: one of `garments.GARMENTS`, or "" for a plain shirt without details.
    """

    shirt_rgb: Rgb
    trousers_rgb: Rgb
    skin_rgb: Rgb
    hair_rgb: Rgb
    long_hair: bool = False
    hat_rgb: Rgb | None = None
    bag: str | None = None
    bag_rgb: Rgb = (96, 62, 40)
    garment: str = ""


def figure_at(
    pose: Pose,
    look: Appearance,
    *,
    time_s: float,
    foot_px: Point,
    height_px: float,
    bag_side: int = 1,
    carton_px: float | None = None,
    carries: bool = False,
) -> tuple[Prop, ...]:
    """The shapes of a person, back to front.

    Args:
        pose: the pose of the body.
        look: the appearance of the person.
        time_s: phase of the sway of the whole body.
        foot_px: the point on the ground between the feet.
        height_px: of the standing person.
        bag_side: -1 or 1, the hip at which a handbag hangs.
        carton_px: x of the middle of a carton on the floor, or None without one.
        carries: whether the person holds a carton.
    """
    body = _body(pose, time_s, foot_px, height_px)
    left, right, hands = _arms(body, pose, look)
    props = _legs(body, pose, look)
    pack = look.bag == "backpack"
    corners = ((0.35, -0.1), (0.35, 0.1), (0.0, 0.085), (-0.02, -0.085))
    if pack and not body.away:
        wide = ((0.34, -0.15), (0.34, 0.15), (0.06, 0.15), (0.06, -0.15))
        props.append(body.patch(wide, look.bag_rgb))
    arms = left + right if body.away else left
    props += arms
    if look.long_hair and not body.away:
        props.append(body.limb([body.at(0.46, 0), body.at(0.36, 0)], 0.07, look.hair_rgb))
    props.append(body.limb([body.at(0.34, 0), body.at(0.38, 0)], 0.03, look.skin_rgb))
    props.append(body.patch(corners, look.shirt_rgb))
    props.append(body.limb([body.at(0.31, -0.085), body.at(0.31, 0.085)], 0.045, look.shirt_rgb))
    props += over_legs(look.garment, body, pose, look.shirt_rgb)
    props += over_torso(look.garment, body, look.shirt_rgb, look.skin_rgb)
    props += _bag(body, look, bag_side)
    props += _head(body, look)
    if not body.away:
        props += right
    if carries:
        middle = (hands[0][0] + hands[1][0]) / 2, (hands[0][1] + hands[1][1]) / 2
        props.append(_carton(middle, height_px))
    elif carton_px is not None:
        props.append(_carton((carton_px, foot_px[1] - _CARTON_HALF * height_px), height_px))
    return tuple(props)


def _body(pose: Pose, time_s: float, foot_px: Point, height_px: float) -> TorsoFrame:
    still = pose.lift == 0 and pose.foot_lifts == (0.0, 0.0)
    sway = 0.008 * sin(2 * pi * 0.3 * time_s) if still else 0.0
    return TorsoFrame(pose, (foot_px[0] + sway * height_px, foot_px[1]), height_px)


def figure_joints(
    pose: Pose, *, time_s: float, foot_px: Point, height_px: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The true keypoints of `figure_at`, in COCO's order: the person's own left comes first.

    Returns:
        Points `(17, 2)` and visibility `(17,)`: from behind, nose and eyes are hidden.
    """
    body = _body(pose, time_s, foot_px, height_px)
    # Who faces the camera has the own left at the image's right.
    left = 0 if body.away else 1
    order, sign = (left, 1 - left), 2 * left - 1
    arms, legs = ([part(body, pose, k) for k in order] for part in (_arm_points, _leg_points))
    face = ((0.435, 0.0), (0.455, 0.022), (0.455, -0.022), (0.44, 0.055), (0.44, -0.055))
    points = [body.at(along, sign * sideways) for along, sideways in face]
    for limbs in (arms, legs):
        points += [limb[joint] for joint in range(3) for limb in limbs]
    visibility = np.ones(len(points))
    visibility[:3] = 0.0 if body.away else 1.0
    return np.array(points), visibility


def _leg_points(body: TorsoFrame, pose: Pose, k: int) -> tuple[Point, Point, Point]:
    """Hip, knee and foot of the leg at the image's left (0) or right (1)."""
    sign, tall, ground, hip = 2 * k - 1, body.tall, body.ground, body.hip
    top = (hip[0] + sign * 0.05 * body.breadth * tall, hip[1])
    foot = (
        ground[0] + pose.feet[k] * body.breadth * tall,
        ground[1] - (pose.lift + pose.foot_lifts[k] + 0.02) * tall,
    )
    knee = (
        (top[0] + foot[0]) / 2 + pose.knees[k] * tall,
        (top[1] + foot[1]) / 2 - pose.knee_lifts[k] * tall,
    )
    return top, knee, foot


def _legs(body: TorsoFrame, pose: Pose, look: Appearance) -> list[Prop]:
    props: list[Prop] = []
    for k, sign in ((0, -1), (1, 1)):
        top, knee, foot = _leg_points(body, pose, k)
        props.append(body.limb([top, knee], 0.046, look.trousers_rgb))
        props.append(body.limb([knee, foot], 0.037, look.trousers_rgb))
        shoe = (foot[0] + sign * 0.025 * body.tall, foot[1])
        props.append(body.limb([foot, shoe], 0.024, (40, 36, 34)))
    return props


def _arm_points(body: TorsoFrame, pose: Pose, k: int) -> tuple[Point, Point, Point]:
    """Shoulder, elbow and hand of the arm at the image's left (0) or right (1)."""
    shoulder = body.at(0.315, (2 * k - 1) * 0.105)
    upper, fore = radians(pose.arms[2 * k]), radians(pose.arms[2 * k + 1])
    elbow = _reached(shoulder, 0.165 * body.tall, upper)
    return shoulder, elbow, _reached(elbow, 0.15 * body.tall, fore)


def _arms(
    body: TorsoFrame, pose: Pose, look: Appearance
) -> tuple[list[Prop], list[Prop], list[Point]]:
    """Both arms with sleeves and hands, and the positions of the hands."""
    hands: list[Point] = []
    arms: list[list[Prop]] = []
    for k in (0, 1):
        shoulder, elbow, hand = _arm_points(body, pose, k)
        joints = (shoulder, elbow, hand)
        arms.append(
            [
                *sleeve(look.garment, body, joints, look.shirt_rgb, look.skin_rgb),
                body.limb([hand], 0.03, look.skin_rgb),
            ]
        )
        hands.append(hand)
    return arms[0], arms[1], hands


def _reached(start: Point, length_px: float, angle: float) -> Point:
    return start[0] + length_px * sin(angle), start[1] + length_px * cos(angle)


def _head(body: TorsoFrame, look: Appearance) -> list[Prop]:
    """Face and hair; from behind hair only, with long hair over the back."""
    props = [body.limb([body.at(0.462, 0)], 0.062, look.hair_rgb)]
    if not body.away:
        props.append(body.limb([body.at(0.44, 0)], 0.056, look.skin_rgb))
    else:
        low = 0.3 if look.long_hair else 0.43
        props.append(body.limb([body.at(0.44, 0), body.at(low, 0)], 0.06, look.hair_rgb))
    if look.hat_rgb is not None:
        dome = ((0.47, -0.06), (0.53, -0.05), (0.545, 0), (0.53, 0.05), (0.47, 0.06))
        props.append(body.patch(dome, look.hat_rgb))
        props.append(
            body.limb([body.at(0.475, -0.085), body.at(0.475, 0.085)], 0.016, look.hat_rgb)
        )
    return props


def _bag(body: TorsoFrame, look: Appearance, side: int) -> list[Prop]:
    """Straps and the parts of the bag in front of the torso."""
    rgb = look.bag_rgb
    if look.bag == "backpack" and body.away:
        whole = ((0.34, -0.11), (0.34, 0.11), (0.05, 0.12), (0.05, -0.12))
        return [body.patch(whole, rgb)]
    if look.bag == "backpack":
        return [
            body.limb([body.at(0.34, sign * 0.07), body.at(0.1, sign * 0.085)], 0.022, rgb)
            for sign in (-1, 1)
        ]
    if look.bag == "handbag":
        x = side * (-1 if body.away else 1) * 0.12
        corners = ((0.06, x - 0.085), (0.06, x + 0.085), (-0.1, x + 0.1), (-0.1, x - 0.1))
        strap = body.limb([body.at(0.35, -x * 0.6), body.at(0.04, x)], 0.02, rgb)
        return [strap, body.patch(corners, rgb)]
    return []


def _carton(middle: Point, tall: float) -> Prop:
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    return Prop(middle + _CARTON_HALF * tall * square, 0.0, _CARTON_RGB, body=False)


def figure_box(props: tuple[Prop, ...]) -> NDArray[np.float64]:
    """The box `(x1, y1, x2, y2)` around the body, without cartons."""
    body = [prop for prop in props if prop.body]
    low = np.min([prop.points_px.min(0) - prop.radius_px for prop in body], axis=0)
    high = np.max([prop.points_px.max(0) + prop.radius_px for prop in body], axis=0)
    return np.concatenate([low, high])
