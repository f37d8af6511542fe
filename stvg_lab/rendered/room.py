# SPDX-License-Identifier: Apache-2.0

"""The room around the people: wall, floor, furniture, and objects in the foreground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stvg_lab.rendered.character import Prop, Rgb


@dataclass(frozen=True)
class RoomBackdrop:
    """A wall with a vertical gradient, a floor, and furniture-like rectangles.

    Attributes:
        horizon: height of the floor's edge, as a share of the image.
        furniture: `(x1, y1, x2, y2, rgb)` with the corners as shares of the image.
    """

    wall_top: Rgb
    wall_bottom: Rgb
    floor_far: Rgb
    floor_near: Rgb
    horizon: float
    furniture: tuple[tuple[float, float, float, float, Rgb], ...]


def varied(rng: np.random.Generator, rgb: Rgb, spread: float) -> Rgb:
    """A colour near `rgb`: a common change of brightness, and a small one of each channel."""
    values = np.array(rgb) + rng.normal(0, spread * 0.6) + rng.normal(0, spread * 0.5, 3)
    red, green, blue = np.clip(values, 0, 255).astype(int).tolist()
    return red, green, blue


def draw_background(rng: np.random.Generator) -> RoomBackdrop:
    """Draws a wall, a floor and up to five pieces of furniture."""

    def muted(low: float, high: float) -> Rgb:
        red, green, blue = np.clip(rng.uniform(low, high) + rng.normal(0, 14, 3), 8, 247).tolist()
        return int(red), int(green), int(blue)

    wall, floor = muted(70, 210), muted(60, 190)
    pieces = []
    horizon = float(rng.uniform(0.5, 0.68))
    for _ in range(int(rng.integers(0, 6))):
        x, w, h = rng.uniform(-0.1, 0.95), rng.uniform(0.06, 0.3), rng.uniform(0.06, 0.32)
        on_wall = rng.random() < 0.5
        bottom = rng.uniform(0.15, horizon) if on_wall else horizon + rng.uniform(0, 0.05)
        pieces.append((float(x), float(bottom - h), float(x + w), float(bottom), muted(40, 220)))
    return RoomBackdrop(
        wall_top=varied(rng, wall, 16),
        wall_bottom=varied(rng, wall, 16),
        floor_far=varied(rng, floor, 16),
        floor_near=varied(rng, floor, 16),
        horizon=horizon,
        furniture=tuple(pieces),
    )


def draw_foreground(
    rng: np.random.Generator, width: int, height: int, chance: float
) -> tuple[Prop, ...]:
    """A pillar, a plant or a table in the foreground with this probability, else nothing."""
    if rng.random() >= chance:
        return ()
    kind = str(rng.choice(("pillar", "plant", "table")))
    x = float(rng.uniform(0.05, 0.95))
    size = np.array((width, height), float)

    def block(x1: float, y1: float, x2: float, y2: float, rgb: Rgb) -> Prop:
        corners = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])
        return Prop(corners * size, 0.0, rgb, body=False)

    if kind == "pillar":
        half = float(rng.uniform(0.018, 0.034))
        rgb = varied(rng, (168, 164, 156), 30)
        darker = (int(0.75 * rgb[0]), int(0.75 * rgb[1]), int(0.75 * rgb[2]))
        sides = (x - half, x + 0.5 * half, x + half)
        return (
            block(sides[0], -0.1, sides[1], 1.1, rgb),
            block(sides[1], -0.1, sides[2], 1.1, darker),
        )
    if kind == "table":
        half, top = float(rng.uniform(0.1, 0.17)), float(rng.uniform(0.82, 0.88))
        rgb = varied(rng, (122, 84, 54), 24)
        return (
            block(x - half, top, x + half, top + 0.035, rgb),
            block(x - 0.9 * half, top, x - 0.8 * half, 1.1, rgb),
            block(x + 0.8 * half, top, x + 0.9 * half, 1.1, rgb),
        )
    leaf = varied(rng, (60, 104, 62), 20)
    pot = block(x - 0.035, 0.9, x + 0.035, 1.05, varied(rng, (150, 92, 66), 16))
    stems = [
        Prop(np.array([(x, 0.92), tip]) * size, 0.012 * width, leaf, body=False)
        for tip in zip(
            x + rng.uniform(-0.07, 0.07, 6), 0.9 - rng.uniform(0.08, 0.24, 6), strict=True
        )
    ]
    return (*stems, pot)
