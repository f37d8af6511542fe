# SPDX-License-Identifier: Apache-2.0

"""A camera that shakes, pans, turns and comes nearer, as one affine map for each frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.shapes import Prop

Views = NDArray[np.float64]  # (F, 2, 3), from pixels of the still camera to those of the image

_SHAKE = 0.002  # standard deviation of a shaking camera, image widths
_PAN = (0.06, 0.13)  # to each side, image widths
_ROLL_DEG = (1.5, 5.0)
_NEARER = (1.0, 1.22)  # factor of all sizes at the end
_QUIET_SHAKES = 0.3  # probability that a camera shakes that does not move


def camera_views(
    rng: np.random.Generator, frames: int, size_px: tuple[int, int], moving: bool
) -> Views:
    """The views of one camera; only one that is `moving` pans, turns and comes nearer."""
    middle = np.array(size_px, float) / 2
    shift = rng.normal(0, _SHAKE * size_px[0], (frames, 2))
    share = np.linspace(0, 1, frames)
    roll, scale = np.zeros(frames), np.ones(frames)
    if moving:
        half_turns, phase = rng.choice((1.0, 2.0)), rng.uniform(0, np.pi)
        reach = rng.uniform(*_PAN) * size_px[0]
        shift[:, 0] += reach * np.cos(np.pi * half_turns * share + phase)
        turns = rng.uniform(*_ROLL_DEG) * rng.choice((-1, 1))
        roll = np.radians(turns) * np.sin(np.pi * rng.choice((1.0, 2.0)) * share)
        scale = 1 + (rng.uniform(*_NEARER) - 1) * share
    elif rng.random() >= _QUIET_SHAKES:
        shift[:] = 0
    views = np.zeros((frames, 2, 3))
    views[:, 0, 0] = views[:, 1, 1] = scale * np.cos(roll)
    views[:, 1, 0] = scale * np.sin(roll)
    views[:, 0, 1] = -views[:, 1, 0]
    views[:, :, 2] = middle + shift - views[:, :, :2] @ middle
    return views


def projected(view: NDArray[np.float64], points_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points `(N, 2)` in the image of a view `(2, 3)`."""
    return np.asarray(points_px @ view[:, :2].T + view[:, 2])


def seen_prop(view: NDArray[np.float64], prop: Prop, light: float = 1.0) -> Prop:
    """A shape in the image of a view; `light` is a factor of its colour."""
    red, green, blue = (int(light * value) for value in prop.rgb)
    size = float(np.hypot(view[0, 0], view[1, 0]))
    points = projected(view, prop.points_px)
    return Prop(points, prop.radius_px * size, (red, green, blue), prop.body)
