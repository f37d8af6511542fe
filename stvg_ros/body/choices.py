# SPDX-License-Identifier: Apache-2.0

"""What a person can be described as: lists of words with the feature that measures each."""

from __future__ import annotations

from stvg_ros.body.poses import POSES
from stvg_ros.colours import NAMES
from stvg_ros.commands.command import Feature


def _of(kind: str, name: str, side: str = "") -> Feature:
    return Feature(kind, name, name, side=side)  # type: ignore[arg-type]


_POSES = {name: _of("pose", name) for name in POSES}
_GESTURES = {
    "waving": _of("gesture", "wave"),
    "raising the left arm": _of("gesture", "raise arm", "left"),
    "raising the right arm": _of("gesture", "raise arm", "right"),
    "raising both arms": _of("gesture", "raise arm", "both"),
    "pointing to the left": _of("gesture", "point", "left"),
    "pointing to the right": _of("gesture", "point", "right"),
    "arms crossed": _of("gesture", "cross arms"),
    "a hand at the face": _of("gesture", "hand to face"),
}
_MOVEMENTS = {
    "walking to the left": _of("movement", "walk", "left"),
    "walking to the right": _of("movement", "walk", "right"),
    "walking towards the camera": _of("movement", "walk", "towards"),
    "walking away": _of("movement", "walk", "away"),
    "jumping": _of("change", "jump"),
    "picking something up": _of("change", "pick up"),
    "falling": _of("change", "fall"),
    "turning round": _of("change", "turn round"),
    "sitting down": _of("change", "sit down"),
    "standing up": _of("change", "stand up"),
}
_UPPER = {
    f"{colour} top": Feature("garment", "shirt", colour, (colour,), part="upper")
    for colour in NAMES
}
_LOWER = {
    f"{colour} bottom": Feature("garment", "trousers", colour, (colour,), part="lower")
    for colour in NAMES
}
CHOICES = {
    "pose": _POSES,
    "gesture": _GESTURES,
    "movement": _MOVEMENTS,
    "upper": _UPPER,
    "lower": _LOWER,
}
# The lists that answer a question, by its topic (`Command.asked`).
TOPICS = {
    "pose": ("pose",),
    "gesture": ("gesture",),
    "clothes": ("upper", "lower"),
    "action": ("movement", "gesture", "pose"),
    "description": ("pose", "gesture", "upper", "lower"),
}
