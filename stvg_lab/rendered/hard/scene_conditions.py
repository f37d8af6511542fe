# SPDX-License-Identifier: Apache-2.0

"""The conditions of the hard splits: light, camera, and how the people are placed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stvg_lab.rendered.picture_conditions import PictureCondition
from stvg_lab.rendered.room import RoomBackdrop, varied
from stvg_lab.rendered.shapes import Rgb

CLEAR, TWINS = "clear", "twins"
DARK, BACKLIT, BLUR, NOISE, JPEG = "dark", "backlit", "motion blur", "sensor noise", "jpeg"
MOVING, HIDDEN, FAR = "moving camera", "half hidden", "far away"
ENTERING, CROWD = "entering and leaving", "six to ten people"
CONDITIONS = (CLEAR, DARK, BACKLIT, BLUR, NOISE, JPEG, MOVING, HIDDEN, FAR, ENTERING, CROWD, TWINS)
ABOUT = {
    CLEAR: "three to six people in even light",
    DARK: "3 to 10 % of the light, with the noise of a sensor that amplifies it",
    BACKLIT: "a bright wall behind people with 25 to 45 % of the light, and glare",
    BLUR: "smeared by 1.5 to 4 % of the width",
    NOISE: "noise of 12 to 28 grey levels",
    JPEG: "quality 6 to 20",
    MOVING: "pans by 6 to 13 % of the width to each side, turns by up to 5 degrees, comes nearer",
    HIDDEN: "a counter, and pillars, in front of the people",
    FAR: "everybody 75 to 110 of 480 pixels tall",
    ENTERING: "people come in and leave, cut off by the edge",
    CROWD: "six to ten people",
    TWINS: "two share colour, garment and action, one after the other",
}
# What two conditions cannot both decide.
_EXCLUDING = ({DARK, BACKLIT}, {FAR, HIDDEN}, {CROWD, FAR}, {CROWD, HIDDEN})
_SECOND = 0.3  # probability of a second condition


def drawn_conditions(rng: np.random.Generator, seed: int) -> tuple[str, ...]:
    """One condition that the seed gives in turn, and sometimes a second one at random."""
    first = CONDITIONS[seed % len(CONDITIONS)]
    chance, other = rng.random(), str(rng.choice(CONDITIONS[1:]))
    fits = other != first and not any({first, other} <= pair for pair in _EXCLUDING)
    return (first, other) if chance < _SECOND and fits else (first,)


def picture_condition(rng: np.random.Generator, names: tuple[str, ...]) -> PictureCondition:
    """How the pictures are taken; noise and light vary slightly in clear scenes as well."""
    drawn = rng.uniform(size=6)
    level = 0.8 + 0.3 * drawn[0]
    light = np.array((level, level, level)) * rng.uniform(0.93, 1.07, 3)
    found = PictureCondition(noise=float(4 * drawn[1]))
    if DARK in names:
        light *= 0.03 + 0.07 * drawn[2]
        found = replace(found, noise=float(4 + 5 * drawn[1]))
    if BACKLIT in names:
        found = replace(found, veil=float(0.04 + 0.12 * drawn[2]))
    if BLUR in names:
        found = replace(found, motion=float(0.015 + 0.025 * drawn[3]))
    if NOISE in names:
        found = replace(found, noise=float(12 + 16 * drawn[4]))
    if JPEG in names:
        found = replace(found, jpeg=int(6 + 14 * drawn[5]))
    red, green, blue = np.clip(light, 0.01, 1.2).tolist()
    return replace(found, light=(red, green, blue))


def figure_light(rng: np.random.Generator, names: tuple[str, ...]) -> float:
    """Factor of the grey levels of people and things: below 1 against a bright wall."""
    drawn = float(rng.uniform())
    return (0.25 + 0.2 * drawn) ** (1 / 2.2) if BACKLIT in names else 1.0


def fitting_room(
    rng: np.random.Generator, room: RoomBackdrop, horizon: float, names: tuple[str, ...]
) -> RoomBackdrop:
    """The room with its floor's edge there, coloured things on the wall, and a bright wall."""
    pieces = list(room.furniture)
    for _ in range(int(rng.integers(0, 4))):
        rgb = _CLUTTER[int(rng.integers(len(_CLUTTER)))]
        x, y = rng.uniform(0, 0.92), rng.uniform(0.02, horizon - 0.14)
        wide, tall = rng.uniform(0.04, 0.14), rng.uniform(0.05, 0.13)
        pieces.append((float(x), float(y), float(x + wide), float(y + tall), varied(rng, rgb, 14)))
    changed = replace(room, horizon=horizon, furniture=tuple(pieces))
    if BACKLIT not in names:
        return changed
    bright = varied(rng, (246, 246, 240), 6)
    return replace(changed, wall_top=bright, wall_bottom=bright, furniture=())


_CLUTTER: tuple[Rgb, ...] = (
    (200, 38, 40), (40, 75, 205), (38, 150, 60), (230, 210, 45), (238, 128, 30), (28, 28, 32),
)  # fmt: skip
