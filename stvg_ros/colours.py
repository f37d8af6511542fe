# SPDX-License-Identifier: Apache-2.0

"""Basic colours of pixels, in the light of the scene.

Colours are the eleven basic ones (Berlin and Kay 1969) in CIELAB, as shares: a pixel near a border
counts for both sides. The light is estimated from the whole picture (shades of grey: Finlayson and
Trezzi 2004), and taken out by a part, since a picture may have a colour of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

NAMES = (
    "black", "gray", "white", "red", "orange", "brown", "yellow", "green", "blue", "purple", "pink",
)  # fmt: skip
_INDEX = {name: index for index, name in enumerate(NAMES)}
_NORM = 5  # of the Minkowski mean; 1 is the mean of all pixels, infinity the brightest ones
_TAKEN = 0.7  # share of the estimated cast of the light that is taken out
_WHITE = 0.85  # linear level of the light after correction
_MOST_GAIN = 4.0
_SAMPLES = 64  # pixels of a side of the picture by which the light is estimated

# Hues in CIELAB, degrees, from which on a colour has this name, at medium lightness.
_HUES = (
    (12, "red"), (47, "orange"), (80, "yellow"), (112, "green"), (200, "blue"), (304, "purple"),
    (338, "pink"), (372, ""),
)  # fmt: skip
_HUE_SOFT = 7.0
_GREY_CHROMA, _GREY_SOFT = 16.0, 3.5  # colours weaker than this have no hue
_BLACK_L, _WHITE_L, _LIGHT_SOFT = 27.0, 76.0, 5.0


@dataclass(frozen=True)
class Light:
    """What turns a picture's pixels into those in white light.

    Attributes:
        gains: factors of linear red, green and blue.
    """

    gains: tuple[float, float, float]

    def applied(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """`(N, 3)` RGB to `(N, 3)` L*, a*, b*."""
        linear = _linear(pixels) * np.array(self.gains, np.float32)
        # What the gain would clip keeps its hue.
        return lab(linear / np.maximum(linear.max(axis=1, keepdims=True), 1))


def light_of(image: NDArray[np.uint8]) -> Light:
    """The light of a picture `(h, w, 3)`."""
    small = cv2.resize(image, (_SAMPLES, _SAMPLES), interpolation=cv2.INTER_AREA)
    linear = _linear(small.reshape(-1, 3)).astype(np.float64)
    level = (linear**_NORM).mean(axis=0) ** (1 / _NORM)
    level = np.maximum(level, 1e-3)
    # Only the cast is corrected by a part; the brightness of a dim picture wholly.
    cast = level / level.mean()
    brightest = float(np.quantile(linear.max(axis=1), 0.97))
    gain = np.clip(_WHITE / max(brightest, 1e-3), 1.0, _MOST_GAIN)
    red, green, blue = (gain / cast**_TAKEN).tolist()
    return Light((red, green, blue))


def shares(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of each of `NAMES` a pixel has: `(N, 3)` L*, a*, b* to `(N, 11)`, rows of sum 1."""
    lightness, a, b = values.T.astype(np.float64)
    chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360
    # Near black and near white the same chroma is less of a colour's.
    reach = np.clip(np.minimum(lightness, 105 - lightness) / 30, 0.85, 1)
    coloured = _step(chroma, _GREY_CHROMA * reach, _GREY_SOFT * reach)
    result = np.zeros((len(values), len(NAMES)))
    black = 1 - _step(lightness, _BLACK_L, _LIGHT_SOFT)
    white = _step(lightness, _WHITE_L, _LIGHT_SOFT)
    result[:, _INDEX["black"]] = (1 - coloured) * black
    result[:, _INDEX["white"]] = (1 - coloured) * white
    result[:, _INDEX["gray"]] = (1 - coloured) * (1 - black) * (1 - white)
    for (start, name), (end, _) in pairwise(_HUES):
        result[:, _INDEX[name]] += coloured * _arc(hue, start, end)
    # Skin, wood, beige and tan are weak oranges and yellows.
    _split(result, "orange", "brown", 1 - _step(lightness, 50, 5) * _step(chroma, 44, 5))
    _split(result, "yellow", "brown", 1 - _step(lightness, 45, 5) * _step(chroma, 32, 5))
    _split(result, "red", "pink", _step(lightness, 62, 4) * (1 - _step(chroma, 55, 6)))
    # What is so dark that its hue is noise is black to the eye.
    dark = (1 - _step(lightness, 14, 4))[:, None] * (1 - np.eye(len(NAMES))[_INDEX["black"]])
    moved = result * dark
    result -= moved
    result[:, _INDEX["black"]] += moved.sum(axis=1)
    total = np.maximum(result.sum(axis=1, keepdims=True), 1e-9)
    return np.asarray(result / total, np.float32)


def _split(result: NDArray[np.float64], name: str, other: str, share: NDArray[np.float64]) -> None:
    """Gives a share of one name's part to another."""
    moved = result[:, _INDEX[name]] * share
    result[:, _INDEX[name]] -= moved
    result[:, _INDEX[other]] += moved


def _arc(hue: NDArray[np.float64], start: float, end: float) -> NDArray[np.float64]:
    """How far a hue lies between two others, 0 to 1."""
    middle, half = (start + end) / 2, (end - start) / 2
    away = np.abs((hue - middle + 180) % 360 - 180)
    return 1 - _step(away, half, _HUE_SOFT / 2)


def _step(
    value: NDArray[np.float64], at: NDArray[np.float64] | float, soft: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip((value - at) / soft * 1.7, -40, 40))), np.float64)


def _linear(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(_LINEAR[pixels], np.float32)


def _table() -> NDArray[np.float32]:
    """sRGB levels (IEC 61966-2-1) as linear ones."""
    level = np.arange(256) / 255
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


_LINEAR = _table()
_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
) / np.array([[0.9505], [1.0], [1.089]])  # relative to the white of D65


def lab(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear red, green and blue `(N, 3)` in 0..1 as L*, a*, b* (CIE 1976)."""
    xyz = linear @ _TO_XYZ.T
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1).astype(np.float32)
