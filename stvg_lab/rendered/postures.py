# SPDX-License-Identifier: Apache-2.0

"""Gestures and poses of the articulated figure beyond the scenes' actions.

They are for the measures on keypoints and their page, and for `hard` scenes.
"""

from __future__ import annotations

from dataclasses import fields

from stvg_lab.rendered.pose import Arms, Pose, pose_at

_HANGING: Arms = (-8.0, -4.0, 8.0, 4.0)
_ARMS: dict[str, tuple[float, float]] = {  # upper and fore arm at the image's right
    "raise arm": (160.0, 172.0),
    "point": (86.0, 88.0),
    "hand to face": (130.0, -100.0),
}
_POSES = {
    "standing": Pose(),
    "sitting": Pose(
        hip=0.27, knees=(-0.04, 0.04), knee_lifts=(0.09, 0.09), arms=(-20, 25, 20, -25)
    ),
    "crouching": Pose(
        hip=0.13, knees=(-0.1, 0.1), knee_lifts=(0.04, 0.04), arms=(-20, 30, 20, -30)
    ),
    "kneeling": Pose(hip=0.3, feet=(-0.12, 0.12), knees=(-0.0, 0.0), knee_lifts=(-0.13, -0.13)),
}
GESTURES = ("wave", "raise arm", "raise both arms", "point", "cross arms", "hand to face")
POSES = (*_POSES, "lying", "bending")
CHANGES = ("sit down", "stand up", "fall", "pick up", "turn round", "jump")


def posture_at(name: str, share: float, time_s: float, side: int) -> Pose:
    """A pose during a gesture, in a pose, or during a change.

    Args:
        name: of `GESTURES`, `POSES` or `CHANGES`.
        share: progress, 0 to 1; gestures begin and end with hanging arms.
        time_s: phase of waving and swaying.
        side: -1 or 1, the arm or direction in the image.

    Raises:
        ValueError: an unknown name.
    """
    ramp = min(1.0, share / 0.15, (1 - share) / 0.15)
    if name in _ARMS:
        upper, fore = _ARMS[name]
        return Pose(arms=_one_arm(side, ramp * upper, ramp * fore))
    if name == "raise both arms":
        upper, fore = _ARMS["raise arm"]
        return Pose(arms=(-ramp * upper, -ramp * fore, ramp * upper, ramp * fore))
    if name == "cross arms":
        return between(Pose(), Pose(arms=(6.0, 80.0, -6.0, -76.0)), ramp)
    if name in ("wave", "jump"):
        return pose_at(name, share, time_s, side)
    if name in _POSES:
        return _POSES[name]
    if name == "lying":
        return _lying(side)
    if name == "bending":
        return Pose(hip=0.48, lean=side * 68, arms=(4, 2, 4, 2))
    if name in ("sit down", "stand up"):
        done = share if name == "sit down" else 1 - share
        return between(_POSES["standing"], _POSES["sitting"], min(1.0, max(0.0, 2 * done - 0.5)))
    if name == "fall":
        return between(_POSES["standing"], _lying(side), min(1.0, max(0.0, 3 * share - 1)))
    if name in ("pick up", "turn round"):
        return pose_at(name.replace("turn round", "turn").replace(" ", "_"), share, time_s, side)
    raise ValueError(f"name: expected one of {(*GESTURES, *POSES, *CHANGES)}, got {name!r}")


def _lying(side: int) -> Pose:
    along = -side * 90.0
    return Pose(
        hip=0.1,
        lean=side * 88.0,
        feet=(-side * 0.46, -side * 0.47),
        knees=(0.0, 0.0),
        foot_lifts=(0.02, 0.1),
        arms=(along, along, along, along),
    )


def _one_arm(side: int, upper: float, fore: float) -> Arms:
    if side < 0:
        return (-upper, -fore, _HANGING[2], _HANGING[3])
    return (_HANGING[0], _HANGING[1], upper, fore)


def between(first: Pose, last: Pose, share: float) -> Pose:
    """A pose on the way from one to another."""
    mixed = {}
    for item in fields(Pose):
        one, other = getattr(first, item.name), getattr(last, item.name)
        if isinstance(one, tuple):
            pairs = zip(one, other, strict=True)
            mixed[item.name] = tuple(a + (b - a) * share for a, b in pairs)
        else:
            mixed[item.name] = one + (other - one) * share
    return Pose(**mixed)  # type: ignore[arg-type]
