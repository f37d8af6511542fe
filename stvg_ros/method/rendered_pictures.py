# SPDX-License-Identifier: Apache-2.0

"""Tells drawn pictures (flat areas with even noise) from those of a camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 4  # pixels of a side; the mean of a block has a quarter of the noise
_FLAT_SHARE = 0.68  # rendered scenes have 0.75 and more, photographs of places 0.34 to 0.56


def looks_rendered(image: NDArray[np.uint8]) -> bool:
    """Whether most of a picture `(h, w, 3)` is flat but for even noise."""
    return flat_share(image) > _FLAT_SHARE


def flat_share(image: NDArray[np.uint8]) -> float:
    """The share of neighbouring blocks that differ by no more than noise, 0 to 1.

    The noise is estimated on the quietest quarter of the blocks, so texture does not count as
    noise.
    """
    height, width = (side // _BLOCK * _BLOCK for side in image.shape[:2])
    if min(height, width) < 8 * _BLOCK:
        return 0.0
    grey = image[:height, :width].astype(np.float32).mean(axis=2)
    blocks = grey.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    mean, inside = blocks.mean(axis=(1, 3)), blocks.std(axis=(1, 3))
    noise = float(np.quantile(inside, 0.25)) / _BLOCK
    steps = np.concatenate([np.abs(np.diff(mean, axis=axis)).ravel() for axis in (0, 1)])
    return float((steps <= 3 * 1.5 * noise + 0.9).mean())
