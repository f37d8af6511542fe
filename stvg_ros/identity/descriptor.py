# SPDX-License-Identifier: Apache-2.0

"""What a person looks like, as a vector; the mean over a tube, and whether two are one person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes

# Similarities are calibrated: from here on two descriptors are of one person rather than of two.
SAME_PERSON = 0.5

Vectors = NDArray[np.float32]

_GOOD_HEIGHT = 0.25  # of the image; a taller person is not described better
_CUT_OFF = 0.3  # quality of a person whom the edge of the image cuts off
_EDGE = 0.004  # of the image's side; boxes that end nearer are cut off
_HIDDEN = 0.6  # share of a box behind a nearer person from which on it describes that person
_FEW = 1e-6
_MOST_NATS = 6.0


class AppearanceDescriptor(Protocol):
    """Describes the appearance of people in one image. One thread uses it at a time."""

    @property
    def name(self) -> str:
        """The name in logs and answers."""
        ...

    def __call__(
        self,
        image: NDArray[np.uint8],
        boxes_xyxy_px: Boxes,
        keypoints: NDArray[np.float32] | None = None,
    ) -> Vectors:
        """The descriptors of the people in an image, `(N, D)`.

        A row is 0 where nothing can be described, such as in a box without pixels.

        Args:
            image: `(h, w, 3)` RGB.
            boxes_xyxy_px: `(N, 4)` in the image's pixels.
            keypoints: `(N, 17, 3)` x, y and visibility of COCO's keypoints in the image's pixels,
                NaN where they are unknown; None without keypoints.
        """
        ...

    def similarity(self, first: Vectors, second: Vectors) -> NDArray[np.float32]:
        """How alike every row of `(N, D)` and every row of `(K, D)` are, `(N, K)`, 0 to 1.

        From `SAME_PERSON` on they are one person rather than two. The vectors may be weighted
        means. A row of 0 is as alike as unknown: 0 to everybody.
        """
        ...


class TubeDescriptor:
    """The appearance in one tube: the mean over its frames, weighted by their quality.

    Not thread-safe.

    Attributes:
        weight: sum of the qualities of its frames.
        frames: number of the frames that were described.
    """

    def __init__(self, descriptor: AppearanceDescriptor) -> None:
        self._descriptor = descriptor
        self._sum: NDArray[np.float64] | None = None
        self.weight = 0.0
        self.frames = 0

    @property
    def vector(self) -> Vectors | None:
        """The weighted mean `(D,)`; None before the first frame that could be described."""
        if self._sum is None:
            return None
        return np.asarray(self._sum / self.weight, np.float32)

    def add(self, vector: Vectors, quality: float = 1.0) -> None:
        """Adds one frame: its descriptor `(D,)` and its quality, see `qualities`."""
        if quality <= 0 or not vector.any():
            return
        weighted = quality * vector.astype(np.float64)
        self._sum = weighted if self._sum is None else self._sum + weighted
        self.weight += quality
        self.frames += 1

    def join(self, other: TubeDescriptor) -> None:
        """Adds the frames of another tube of the same person."""
        if other._sum is None:
            return
        self._sum = other._sum.copy() if self._sum is None else self._sum + other._sum
        self.weight += other.weight
        self.frames += other.frames

    def similarity(self, other: TubeDescriptor) -> float:
        """How alike both are, 0 to 1, from `SAME_PERSON` on one person; 0 if one is unknown."""
        return float(self.similarities([other])[0])

    def similarities(self, others: Sequence[TubeDescriptor]) -> NDArray[np.float32]:
        """How alike this one is to each of the others, `(K,)`; see `similarity`."""
        found = np.zeros(len(others), np.float32)
        own = self.vector
        known = [(at, one.vector) for at, one in enumerate(others) if one.vector is not None]
        if own is None or not known:
            return found
        rows = np.stack([vector for _, vector in known])
        found[[at for at, _ in known]] = self._descriptor.similarity(own[None], rows)[0]
        return found


def qualities(boxes_xyxy_px: Boxes, width: int, height: int) -> NDArray[np.float32]:
    """How well each person of an image can be described, `(N,)`, 0 to 1.

    Large people are described better than small ones, and those in front better than those whom
    they hide: a box that ends lower in the image is nearer. The edge of the image cuts people off.

    Args:
        boxes_xyxy_px: `(N, 4)`, everybody in the image.
        width: of the image, in the same pixels.
        height: of the image.
    """
    if not len(boxes_xyxy_px):
        return np.zeros(0, np.float32)
    boxes = boxes_xyxy_px.astype(np.float64)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    size = np.clip(sides[:, 1] / (_GOOD_HEIGHT * height), 0, 1)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    nearer = boxes[None, :, 3] > boxes[:, None, 3]
    hidden = np.where(nearer, shared, 0).max(axis=1) / np.maximum(sides.prod(axis=1), _FEW)
    margin = _EDGE * np.array([width, height])
    cut = (boxes[:, 0] < margin[0]) | (boxes[:, 2] > width - margin[0])
    cut |= (boxes[:, 1] < margin[1]) | (boxes[:, 3] > height - margin[1])
    free = np.clip(1 - hidden / _HIDDEN, 0, 1)
    return np.asarray(size * free**2 * np.where(cut, _CUT_OFF, 1.0), np.float32)


def probability(raw: NDArray[np.float32], middle: float, spread: float) -> NDArray[np.float32]:
    """Raw similarities as calibrated ones: `SAME_PERSON` at `middle`, 0.73 one `spread` above."""
    steps = np.clip((raw - middle) / spread, -40, 40)
    return np.asarray(1 / (1 + np.exp(-steps)), np.float32)


def log_odds(similarity: NDArray[np.float32]) -> NDArray[np.float64]:
    """Calibrated similarities as log-odds that both are one person, in nats, at most 6."""
    share = np.clip(np.asarray(similarity, np.float64), 1e-9, 1 - 1e-9)
    return np.clip(np.log(share / (1 - share)), -_MOST_NATS, _MOST_NATS)
