# SPDX-License-Identifier: Apache-2.0

"""A photograph as the background of a scene, in place of a drawn room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
_LEAST_SHARE = 0.35  # of the photograph's shorter side that is seen
_LONGEST_PX = 1280  # side of a photograph in memory


@dataclass(frozen=True)
class PhotoBackdrop:
    """A part of a photograph.

    Attributes:
        path: file of the photograph.
        centre: middle of the part, as shares of what it can move.
        share: height or width of the part, as a share of the largest part of the image's shape.
        mirrored: horizontally.
    """

    path: Path
    centre: tuple[float, float]
    share: float
    mirrored: bool

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        """The part at a size, `(height, width, 3)` RGB.

        Raises:
            ValueError: the file is not an image.
        """
        whole = _photo(self.path)
        tall, wide = whole.shape[:2]
        scale = self.share * min(wide / width, tall / height)
        size = max(1, round(scale * width)), max(1, round(scale * height))
        left = round(self.centre[0] * (wide - size[0]))
        top = round(self.centre[1] * (tall - size[1]))
        part = whole[top : top + size[1], left : left + size[0]]
        part = part[:, ::-1] if self.mirrored else part
        drawn = cv2.resize(
            np.ascontiguousarray(part), (width, height), interpolation=cv2.INTER_AREA
        )
        return np.asarray(drawn, np.uint8)


def photos_in(folder: Path) -> tuple[Path, ...]:
    """The image files in a folder and its subfolders, sorted.

    Raises:
        ValueError: there are none.
    """
    found = sorted(one for one in folder.rglob("*") if one.suffix.lower() in ENDINGS)
    if not found:
        raise ValueError(f"{folder}: expected images ({', '.join(ENDINGS)}), found none")
    return tuple(found)


def draw_photo_backdrop(rng: np.random.Generator, photos: Sequence[Path]) -> PhotoBackdrop:
    """A random part of a random photograph."""
    return PhotoBackdrop(
        path=photos[int(rng.integers(len(photos)))],
        centre=(float(rng.random()), float(rng.random())),
        share=float(rng.uniform(_LEAST_SHARE, 1)),
        mirrored=bool(rng.random() < 0.5),
    )


@lru_cache(maxsize=32)
def _photo(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path}: expected an image, which OpenCV can read")
    longest = max(image.shape[:2])
    if longest > _LONGEST_PX:
        factor = _LONGEST_PX / longest
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(image[..., ::-1], np.uint8)
