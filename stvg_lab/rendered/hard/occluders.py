# SPDX-License-Identifier: Apache-2.0

"""What is in front of the people: a counter, pillars, or the usual pillar, plant or table."""

from __future__ import annotations

import numpy as np

from stvg_lab.rendered.hard.cast import HardCast
from stvg_lab.rendered.room import draw_foreground, varied
from stvg_lab.rendered.shapes import Prop, Rgb

_USUAL = 0.15  # probability of one object in front elsewhere


def draw_occluders(
    rng: np.random.Generator, size_px: tuple[int, int], cast: HardCast, hiding: bool
) -> tuple[Prop, ...]:
    """Shapes in front of everybody; if `hiding`, a counter up to the hips and two pillars."""
    width, height = size_px
    if not hiding:
        return draw_foreground(rng, width, height, _USUAL)
    hips = [actor.ground_y_px - 0.5 * actor.height_px for actor in cast.actors]
    low = float(np.median(hips)) + 0.05 * height * float(rng.uniform(-0.4, 1.0))
    left = float(rng.uniform(-0.05, 0.4)) * width
    right = left + float(rng.uniform(0.4, 0.6)) * width
    wood = varied(rng, (128, 92, 62), 22)
    top = 0.035 * height
    parts = [
        _block(left, right, low + top, 1.2 * height, wood),
        _block(left - 6, right + 6, low, low + top, varied(rng, (176, 150, 120), 18)),
    ]
    for _ in range(2):
        x, half = float(rng.uniform(0.05, 0.95)) * width, float(rng.uniform(0.016, 0.03)) * width
        rgb = varied(rng, (168, 164, 156), 30)
        parts.append(_block(x - half, x + half, -0.3 * height, 1.3 * height, rgb))
    return tuple(parts)


def _block(left: float, right: float, top: float, bottom: float, rgb: Rgb) -> Prop:
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    return Prop(corners, 0.0, rgb, body=False)
