# SPDX-License-Identifier: Apache-2.0

"""Appearance by a model's own visual tokens, pooled in the boxes of people; for comparison."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stvg_lab.identity.visual_layers import TOWER_OUTPUT, VisualLayers
from stvg_ros.boxes import Boxes
from stvg_ros.identity.descriptor import Vectors, probability
from stvg_ros.identity.mobilenet import cosines

POOLINGS = ("whole", "halves", "centred", "centred halves")
LAYER, POOLING = TOWER_OUTPUT, "centred halves"  # the best of the embedded model
_MIDDLE, _SPREAD = 0.7, 0.1


class TokenDescriptor:
    """Describes people by the mean of the visual tokens in their boxes; `AppearanceDescriptor`."""

    def __init__(self, layers: VisualLayers, layer: str = LAYER, pooling: str = POOLING) -> None:
        """Takes a model.

        Args:
            layers: runs it.
            layer: one of `layers.names`.
            pooling: one of `POOLINGS`; "centred" subtracts the mean of the image's tokens, and
                "halves" keeps the means of the upper and the lower half of a box.
        """
        for name, value, allowed in (
            ("layer", layer, layers.names),
            ("pooling", pooling, POOLINGS),
        ):
            if value not in allowed:
                raise ValueError(f"{name}: expected one of {allowed}, got {value!r}")
        self._layers, self.layer, self.pooling = layers, layer, pooling
        self._centred, self._halves = "centred" in pooling, "halves" in pooling
        self.name = f"tokens of {layers.name}, {layer}, {pooling}"

    def __call__(
        self,
        image: NDArray[np.uint8],
        boxes_xyxy_px: Boxes,
        keypoints: NDArray[np.float32] | None = None,
    ) -> Vectors:
        """See `AppearanceDescriptor`; D is the tokens' or twice that. Keypoints are not used."""
        tokens = self._layers(image)
        maps = tokens.maps[self.layer]
        if self._centred:
            maps = maps - maps.mean(axis=(1, 2), keepdims=True)
        crop = np.array(tokens.crop or (0, 0, 1, 1), np.float64)
        height, width = image.shape[:2]
        size = np.array([width, height] * 2)
        places = (boxes_xyxy_px / size - np.tile(crop[:2], 2)) / np.tile(crop[2:] - crop[:2], 2)
        rows = [self._pooled(maps, place) for place in places]
        count = len(maps) * (2 if self._halves else 1)
        return np.array(rows, np.float32).reshape(-1, count)

    def _pooled(self, maps: NDArray[np.float32], box: NDArray[np.float64]) -> Vectors:
        x1, y1, x2, y2 = box.tolist()
        parts = [(y1, (y1 + y2) / 2), ((y1 + y2) / 2, y2)] if self._halves else [(y1, y2)]
        vectors = []
        for top, bottom in parts:
            weights = np.outer(_cover(top, bottom, maps.shape[1]), _cover(x1, x2, maps.shape[2]))
            vectors.append((maps * weights).sum(axis=(1, 2)) / max(float(weights.sum()), 1e-6))
        return np.concatenate(vectors).astype(np.float32)

    def similarity(self, first: Vectors, second: Vectors) -> NDArray[np.float32]:
        """See `AppearanceDescriptor`."""
        return probability(cosines(first, second), _MIDDLE, _SPREAD)


def every_pooling(layers: VisualLayers) -> list[TokenDescriptor]:
    """A descriptor for each layer and pooling of a model."""
    return [TokenDescriptor(layers, layer, how) for layer in layers.names for how in POOLINGS]


def _cover(low: float, high: float, count: int) -> NDArray[np.float64]:
    """How much of each of `count` cells of 0 to 1 lies between two ends."""
    edges = np.arange(count + 1) / count
    return np.asarray(np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None))
