# SPDX-License-Identifier: Apache-2.0

"""Garments that differ in shape: sleeves, necks, hems, buttons and tails.

Lengths are shares of the body height. From behind a garment has neither buttons nor lapels.
"""

from __future__ import annotations

from math import cos, radians

from stvg_lab.rendered.pose import Pose
from stvg_lab.rendered.shapes import Point, Prop, Rgb, TorsoFrame

GARMENTS = ("t-shirt", "shirt", "blouse", "sweater", "coat", "jacket")

_LINING: Rgb = (206, 196, 176)  # of what is worn under an open jacket
_BUTTON: Rgb = (232, 226, 214)
_BELT: Rgb = (58, 46, 38)
_TAIL = 0.25  # length of a coat below the hips
_UPRIGHT_DEG = 80.0  # a body that leans more lies, and its legs are along the torso
_SLEEVES = {  # radii of the upper and the fore arm
    "": (0.034, 0.026),
    "shirt": (0.034, 0.027),
    "blouse": (0.036, 0.036),
    "sweater": (0.041, 0.034),
    "coat": (0.042, 0.035),
    "jacket": (0.039, 0.032),
}


def shaded(rgb: Rgb, factor: float) -> Rgb:
    """A darker shade; one of a very dark colour is lighter, so that it can be seen."""
    if max(rgb) < 70:
        return rgb[0] + 46, rgb[1] + 46, rgb[2] + 46
    return int(rgb[0] * factor), int(rgb[1] * factor), int(rgb[2] * factor)


def sleeve(
    garment: str, body: TorsoFrame, joints: tuple[Point, Point, Point], rgb: Rgb, skin_rgb: Rgb
) -> list[Prop]:
    """The arm without its hand, from shoulder, elbow and hand."""
    shoulder, elbow, hand = joints
    if garment == "t-shirt":
        hem = _between(shoulder, elbow, 0.72)
        return [
            body.limb([shoulder, elbow], 0.027, skin_rgb),
            body.limb([elbow, hand], 0.024, skin_rgb),
            body.limb([shoulder, hem], 0.04, rgb),
        ]
    upper, fore = _SLEEVES[garment]
    parts = [body.limb([shoulder, elbow], upper, rgb), body.limb([elbow, hand], fore, rgb)]
    if garment in ("sweater", "blouse", "shirt"):
        cuff = [_between(elbow, hand, 0.74), _between(elbow, hand, 0.86)]
        wide = fore + 0.002 if garment == "sweater" else 0.026
        parts.append(body.limb(cuff, wide, shaded(rgb, 0.68)))
    return parts


def over_legs(garment: str, body: TorsoFrame, pose: Pose, rgb: Rgb) -> list[Prop]:
    """What hangs below the hips."""
    if garment == "coat":
        low = -_tail(pose)
        return [body.patch(((0.1, -0.098), (0.1, 0.098), (low, 0.135), (low, -0.135)), rgb)]
    if garment == "blouse":
        return [
            body.patch(((0.07, -0.08), (0.07, 0.08), (-0.075, 0.135), (-0.075, -0.135)), rgb),
            body.patch(((0.075, -0.082), (0.075, 0.082), (0.055, 0.085), (0.055, -0.085)),
                       shaded(rgb, 0.68)),
        ]  # fmt: skip
    if garment == "sweater":
        return [
            body.patch(((0.32, -0.118), (0.32, 0.118), (-0.03, 0.115), (-0.03, -0.115)), rgb),
            body.patch(((-0.02, -0.105), (-0.02, 0.105), (-0.055, 0.1), (-0.055, -0.1)),
                       shaded(rgb, 0.68)),
        ]  # fmt: skip
    if garment == "jacket":
        return [body.patch(((0.3, -0.108), (0.3, 0.108), (-0.06, 0.112), (-0.06, -0.112)), rgb)]
    if garment == "t-shirt":
        return [body.patch(((0.1, -0.088), (0.1, 0.088), (-0.035, 0.095), (-0.035, -0.095)), rgb)]
    return []


def over_torso(garment: str, body: TorsoFrame, rgb: Rgb, skin_rgb: Rgb) -> list[Prop]:
    """What is seen on the chest; nothing but belts and collars from behind."""
    dark = shaded(rgb, 0.62)
    if garment == "sweater":
        parts = [body.limb([body.at(0.348, -0.02), body.at(0.348, 0.02)], 0.032, dark)]
        ribs = ((0.25, 0.09), (0.17, 0.092), (0.09, 0.092))
        return parts + [_line(body, (up, -wide), (up, wide), 0.006, dark) for up, wide in ribs]
    if garment == "shirt":
        belt = body.patch(((0.005, -0.088), (0.005, 0.088), (-0.022, 0.09), (-0.022, -0.09)), _BELT)
        return [belt] if body.away else [belt, *_buttoned(body, dark)]
    if body.away:
        waist = ((0.1, -0.1), (0.1, 0.1), (0.07, 0.105), (0.07, -0.105))
        return [body.patch(waist, dark)] if garment == "coat" else []
    if garment == "t-shirt":
        return [body.limb([body.at(0.345, -0.012), body.at(0.345, 0.012)], 0.03, skin_rgb)]
    if garment == "blouse":
        return [body.patch(((0.36, -0.05), (0.36, 0.05), (0.24, 0.0)), skin_rgb)]
    if garment == "coat":
        return _coat(body, dark)
    if garment == "jacket":
        return _open_jacket(body, dark)
    return []


def _buttoned(body: TorsoFrame, dark: Rgb) -> list[Prop]:
    parts = [_line(body, (0.33, 0.0), (0.0, 0.0), 0.009, dark)]
    for up in (0.26, 0.19, 0.12, 0.05):
        parts.append(body.limb([body.at(up, 0.0)], 0.008, _BUTTON))
    for sign in (-1, 1):
        corners = ((0.365, sign * 0.05), (0.345, 0.0), (0.295, sign * 0.045))
        parts.append(body.patch(corners, _BUTTON if max(dark) < 150 else dark))
    return parts


def _coat(body: TorsoFrame, dark: Rgb) -> list[Prop]:
    parts = [
        body.patch(((0.1, -0.1), (0.1, 0.1), (0.07, 0.105), (0.07, -0.105)), dark),
        _line(body, (0.33, 0.0), (-0.17, 0.0), 0.008, dark),
    ]
    for sign in (-1, 1):
        corners = ((0.37, sign * 0.05), (0.22, sign * 0.008), (0.28, sign * 0.085))
        parts.append(body.patch(corners, dark))
        parts += [body.limb([body.at(up, sign * 0.045)], 0.009, _BUTTON) for up in (0.17, 0.02)]
    return parts


def _open_jacket(body: TorsoFrame, dark: Rgb) -> list[Prop]:
    parts = [body.patch(((0.35, -0.045), (0.35, 0.045), (-0.03, 0.05), (-0.03, -0.05)), _LINING)]
    for sign in (-1, 1):
        parts.append(_line(body, (0.33, sign * 0.047), (-0.055, sign * 0.055), 0.008, dark))
        corners = ((0.37, sign * 0.03), (0.24, sign * 0.05), (0.3, sign * 0.1))
        parts.append(body.patch(corners, dark))
        parts.append(_line(body, (0.04, sign * 0.07), (0.05, sign * 0.1), 0.007, dark))
    return parts


def _tail(pose: Pose) -> float:
    """Length of a coat below the hips; it ends above the ground and hangs less when bending."""
    if abs(pose.lean) > _UPRIGHT_DEG:
        return _TAIL
    return min(_TAIL, 0.9 * pose.hip) * max(0.25, cos(radians(pose.lean)))


def _line(
    body: TorsoFrame, first: tuple[float, float], last: tuple[float, float], wide: float, rgb: Rgb
) -> Prop:
    return body.limb([body.at(*first), body.at(*last)], wide, rgb)


def _between(first: Point, last: Point, share: float) -> Point:
    return first[0] + (last[0] - first[0]) * share, first[1] + (last[1] - first[1]) * share
