# SPDX-License-Identifier: Apache-2.0

"""What cameras do to a rendered picture: dim and coloured light, noise, blur, compression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

_GAMMA = 2.2


@dataclass(frozen=True)
class PictureCondition:
    """How a picture is taken.

    Attributes:
        light: factors of linear red, green and blue.
        noise: standard deviation of the sensor's noise, grey levels.
        blur: standard deviation of the lens's blur, as a share of the picture's height.
        motion: length of a horizontal motion blur, as a share of the picture's width.
        jpeg: quality of the compression, 1 to 100; 0 for none.
        veil: share of white that lies over the picture, as in the glare of a window.
    """

    light: tuple[float, float, float] = (1.0, 1.0, 1.0)
    noise: float = 0.0
    blur: float = 0.0
    motion: float = 0.0
    jpeg: int = 0
    veil: float = 0.0


CONDITIONS = {
    "clean": PictureCondition(),
    "dim": PictureCondition((0.35, 0.35, 0.35), noise=4.0),
    "warm light": PictureCondition((1.0, 0.82, 0.6), noise=1.0),
    "cold light": PictureCondition((0.7, 0.86, 1.0), noise=1.0),
    "dim and warm": PictureCondition((0.4, 0.32, 0.24), noise=4.0),
    "blurred": PictureCondition(blur=0.004, motion=0.008),
    "compressed": PictureCondition(noise=2.0, jpeg=25),
    "all together": PictureCondition((0.5, 0.42, 0.32), 3.0, blur=0.003, motion=0.005, jpeg=40),
}


def taken(
    image: NDArray[np.uint8], condition: PictureCondition, seed: int | Sequence[int] = 0
) -> NDArray[np.uint8]:
    """A picture `(h, w, 3)` as a camera takes it in this condition; `seed` is the noise's."""
    if condition == PictureCondition():
        return image
    height, width = image.shape[:2]
    # A factor of linear levels is a factor of the levels after gamma.
    factors = np.array(condition.light, np.float32) ** np.float32(1 / _GAMMA)
    length = round(condition.motion * width)
    if condition.blur or length > 1:
        linear = np.asarray(_linear_levels()[image], np.float32)
        if condition.blur:
            linear = cv2.GaussianBlur(linear, (0, 0), condition.blur * height)
        if length > 1:
            linear = cv2.blur(linear, (length, 1))
        levels = np.asarray(cv2.pow(linear, 1 / _GAMMA), np.float32) * (255 * factors)
    else:
        levels = image.astype(np.float32) * factors
    if condition.veil:
        levels = levels * (1 - condition.veil) + 255 * condition.veil
    if condition.noise:
        levels = levels + condition.noise * grain(image.shape, seed)
    shown = np.asarray(np.clip(levels, 0, 255), np.uint8)
    if not condition.jpeg:
        return shown
    _, packed = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, condition.jpeg])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def grain(shape: tuple[int, ...], seed: int | Sequence[int]) -> NDArray[np.float32]:
    """Noise of deviation 1, cut from one tile at a place that the seed determines."""
    tile = _noise_tile()
    size = int(np.prod(shape))
    start = int(np.random.default_rng(seed).integers(len(tile)))
    repeats = -(-(size + start) // len(tile))
    return np.asarray(np.tile(tile, repeats)[start : start + size].reshape(shape), np.float32)


@lru_cache(maxsize=1)
def _noise_tile() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 1, 1 << 20).astype(np.float32)


@lru_cache(maxsize=1)
def _linear_levels() -> NDArray[np.float32]:
    return ((np.arange(256) / 255.0) ** _GAMMA).astype(np.float32)
