# SPDX-License-Identifier: Apache-2.0

"""Clips of noise, and rectangles as masks of objects in them."""

from __future__ import annotations

import numpy as np

from stvg_ros.types import Clip, Frame, SplitQuery

QUERY = SplitQuery("the red dog barks", "the red dog", "the dog barks", "rules")
SIDE = 40  # of the rectangles' masks


def clip_of(count: int, size_px: tuple[int, int] = (80, 48)) -> Clip:
    draw = np.random.default_rng(5)
    width, height = size_px
    return Clip(
        tuple(
            Frame(
                index * 100_000_000,
                draw.integers(0, 255, (height, width, 3), dtype=np.uint8),
                2 * width,
                2 * height,
            )
            for index in range(count)
        )
    )


def mask_at(x: int, width: int = 10) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[10:30, x : x + width] = True
    return mask
