# SPDX-License-Identifier: Apache-2.0

"""Appearance without a model: the colours of head, upper and lower garment.

Each region is a histogram over CIELAB. Its square root is kept, so that a dot product is the
Bhattacharyya coefficient (Kailath 1967). The axes of hue are compressed: trousers and hair are
nearly grey, and differ by little. Two cameras see a person before other walls, in other light:

- A pixel with a colour that is beside the box as well hardly counts.
- The light of the scene (`stvg_ros.colours`) is taken out by a part. Its estimate is as much of the
  walls and the clothes as of the light.
- Both may be brighter or darker as a whole: the best of some shifts of the lightness counts.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes
from stvg_ros.colours import Light, light_of
from stvg_ros.identity.descriptor import Vectors, probability

HEAD, UPPER, LOWER = range(3)
# Top, bottom, left, right as shares of a box.
_PARTS = ((0.0, 0.16, 0.25, 0.75), (0.19, 0.5, 0.15, 0.85), (0.54, 0.94, 0.15, 0.85))
_WEIGHTS = np.array([0.2, 0.45, 0.35])  # of the regions in the similarity
_ROWS, _COLUMNS = 12, 10  # samples of a region
_BINS = (8, 11, 11)  # of L*, a*, b*
_LIGHTNESS = (10.0, 95.0)  # middles of the first and the last bin
_HUE, _HUE_ENDS = 10.0, 25.0  # a* and b* as 10 asinh(a* / 10), of the outer bins
_BRIGHTNESS, _CAST = 0.5, 0.25  # powers of the gains of the estimated light, as a whole and apart
_BESIDE = (0.04, 0.3)  # widths from the box where the colours of the background are taken
_BESIDE_COLUMNS = 4  # samples of them, on each side
_UNLIKE = 40.0  # distance in RGB levels of a pixel that is certainly not background
_LEAST = 0.03  # weight of one that looks like it
_SHIFTS = (0.0, -0.5, 0.5, -1.0, 1.0)  # of the lightness of all regions, in bins
_SHIFT_COST = 0.04  # of the similarity, for a bin
_ACROSS = 0.35  # standard deviation of the weight of a pixel, in widths from the middle
_SEEN = 0.3  # visibility of a keypoint
_SHOULDERS, _HIPS, _KNEES, _ANKLES, _FACE = (5, 6), (11, 12), (13, 14), (15, 16), (0, 1, 2, 3, 4)
_LEAST_WIDTH = 0.3  # of a trunk seen from the side, in its length
_MIDDLE, _SPREAD = 0.77, 0.05  # calibrated, see docs/identity.md
_FEW = 1e-6

COUNT = int(np.prod(_BINS))  # values of a region


class GarmentColours:
    """Describes people by the colours of head, upper and lower garment; `AppearanceDescriptor`."""

    name = "garments"

    def __call__(
        self,
        image: NDArray[np.uint8],
        boxes_xyxy_px: Boxes,
        keypoints: NDArray[np.float32] | None = None,
    ) -> Vectors:
        """See `AppearanceDescriptor`; D is 3 regions of `COUNT` bins."""
        count = len(boxes_xyxy_px)
        pixels, weights, places = [], [], []
        for index, box in enumerate(boxes_xyxy_px):
            quads = {} if keypoints is None else _quads(keypoints[index])
            for region, part in enumerate(_PARTS):
                found = _warped(image, quads[region]) if region in quads else _cut(image, box, part)
                pixels.append(found[0])
                weights.append(found[1])
                places.append(np.full(len(found[0]), 3 * index + region))
        if not sum(map(len, pixels)):
            return np.zeros((count, 3 * COUNT), np.float32)
        lab = _light(image).applied(np.concatenate(pixels))
        shares = _histograms(lab, np.concatenate(weights), np.concatenate(places), 3 * count)
        return np.asarray(np.sqrt(shares / 3).reshape(count, 3 * COUNT), np.float32)

    def similarity(self, first: Vectors, second: Vectors) -> NDArray[np.float32]:
        """See `AppearanceDescriptor`; regions that one of both does not show do not count."""
        return probability(coefficients(first, second), _MIDDLE, _SPREAD)


def _light(image: NDArray[np.uint8]) -> Light:
    """The part of the estimated light that is taken out."""
    gains = light_of(image).gains
    whole = float(np.prod(gains)) ** (1 / 3)
    red, green, blue = (whole**_BRIGHTNESS * (gain / whole) ** _CAST for gain in gains)
    return Light((red, green, blue))


def coefficients(first: Vectors, second: Vectors) -> NDArray[np.float32]:
    """The regions' weighted mean Bhattacharyya coefficients, `(N, K)`, for the best shift."""
    shares = first.reshape(len(first), 3, _BINS[0], COUNT // _BINS[0]).astype(np.float64) ** 2
    moved = np.einsum("slm,nrlc->snrmc", _MOVES, shares)
    rows = np.sqrt(moved).reshape(-1, 3 * COUNT).astype(np.float32)
    alike = _coefficients(rows, second).reshape(len(_SHIFTS), len(first), len(second))
    cost = _SHIFT_COST * np.abs(np.array(_SHIFTS, np.float32))
    return np.asarray((alike - cost[:, None, None]).max(axis=0), np.float32)


def _moves() -> NDArray[np.float64]:
    """For each of `_SHIFTS`, the share of a bin of lightness that goes to each bin."""
    moves = np.zeros((len(_SHIFTS), _BINS[0], _BINS[0]))
    for number, shift in enumerate(_SHIFTS):
        for start in range(_BINS[0]):
            at = min(max(start + shift, 0.0), _BINS[0] - 1.0)
            low = int(at)
            moves[number, start, low] += 1 - (at - low)
            moves[number, start, min(low + 1, _BINS[0] - 1)] += at - low
    return moves


_MOVES = _moves()


def _coefficients(first: Vectors, second: Vectors) -> NDArray[np.float32]:
    """The same as they are."""
    parts = []
    for vectors in (first, second):
        regions = vectors.reshape(len(vectors), 3, COUNT).transpose(1, 0, 2)
        norms = np.linalg.norm(regions, axis=2, keepdims=True)
        parts.append((regions / np.maximum(norms, _FEW), norms[..., 0] > _FEW))
    (one, seen), (other, shown) = parts
    alike = one @ other.transpose(0, 2, 1)  # (3, N, K)
    weights = _WEIGHTS[:, None, None] * (seen[:, :, None] & shown[:, None, :])
    total = weights.sum(axis=0)
    return np.asarray((weights * alike).sum(axis=0) / np.maximum(total, _FEW), np.float32)


def _cut(
    image: NDArray[np.uint8], box: NDArray[np.float32], part: tuple[float, float, float, float]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Pixels `(P, 3)` of a part of a box inside the image, and their weights `(P,)`."""
    height, width = image.shape[:2]
    x, y, w, h = float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])
    top, bottom, left, right = part
    x1, x2 = (round(min(max(x + share * w, 0), width)) for share in (left, right))
    y1, y2 = (round(min(max(y + share * h, 0), height)) for share in (top, bottom))
    if x2 <= x1 or y2 <= y1:
        return np.zeros((0, 3), np.uint8), np.zeros(0)
    size = min(_COLUMNS, x2 - x1), min(_ROWS, y2 - y1)
    small = cv2.resize(image[y1:y2, x1:x2], size, interpolation=cv2.INTER_AREA)
    centres = (x1 + (np.arange(size[0]) + 0.5) * (x2 - x1) / size[0] - x) / max(w, _FEW) - 0.5
    weights = np.tile(np.exp(-((centres / _ACROSS) ** 2) / 2), (size[1], 1))
    weights *= _unlike_beside(image[y1:y2], small, (x, x + w))
    return np.asarray(small.reshape(-1, 3), np.uint8), weights.ravel()


def _unlike_beside(
    rows: NDArray[np.uint8], samples: NDArray[np.uint8], sides: tuple[float, float]
) -> NDArray[np.float64]:
    """Weights `(h, w)` of samples by their distance from the colours beside the box.

    Args:
        rows: the rows of the image from which the samples are, `(H, W, 3)`.
        samples: `(h, w, 3)`.
        sides: left and right edge of the box.
    """
    left, right = sides
    near, far = (share * (right - left) for share in _BESIDE)
    beside = []
    for low, high in ((left - far, left - near), (right + near, right + far)):
        x1, x2 = (round(min(max(x, 0), rows.shape[1])) for x in (low, high))
        if x2 > x1:
            size = min(_BESIDE_COLUMNS, x2 - x1), len(samples)
            beside.append(cv2.resize(rows[:, x1:x2], size, interpolation=cv2.INTER_AREA))
    if not beside:
        return np.ones(samples.shape[:2])
    colours = np.concatenate(beside, axis=1).astype(np.float64)
    away = samples.astype(np.float64)[:, :, None] - colours[:, None]  # (h, w, K, 3)
    nearest = np.linalg.norm(away, axis=3).min(axis=2)
    return np.asarray(np.maximum(_LEAST, 1 - np.exp(-((nearest / _UNLIKE) ** 2))), np.float64)


def _warped(
    image: NDArray[np.uint8], quad: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Pixels inside the image on a grid between four corners `(2, 2, 2)`, and their weights."""
    v, u = np.meshgrid(np.linspace(0.08, 0.92, _ROWS), np.linspace(0.12, 0.88, _COLUMNS))
    v, u = v.reshape(-1, 1), u.reshape(-1, 1)
    upper, lower = (edge[0] + u * (edge[1] - edge[0]) for edge in quad)
    x, y = np.floor(upper + v * (lower - upper)).astype(np.int64).T
    inside = (x >= 0) & (x < image.shape[1]) & (y >= 0) & (y < image.shape[0])
    return np.asarray(image[y[inside], x[inside]], np.uint8), np.ones(int(inside.sum()))


def _quads(points: NDArray[np.float32]) -> dict[int, NDArray[np.float64]]:
    """Corners (top, bottom) x (left, right) x (x, y) of the regions whose keypoints are seen."""
    places, seen = points[:, :2].astype(np.float64), points[:, 2] >= _SEEN  # NaN is not seen

    def pair(which: tuple[int, int]) -> NDArray[np.float64] | None:
        return places[list(which)] if seen[list(which)].all() else None

    found = {}
    shoulders, hips, knees, ankles = map(pair, (_SHOULDERS, _HIPS, _KNEES, _ANKLES))
    if shoulders is not None and hips is not None:
        torso = float(np.hypot(*(shoulders.mean(axis=0) - hips.mean(axis=0))))
        top, bottom = _widened(shoulders, torso), _widened(hips, torso)
        found[UPPER] = np.stack([top, bottom])
        legs = ankles if ankles is not None else knees
        if legs is not None:
            found[LOWER] = np.stack([bottom, _widened(legs, torso)])
        if seen[list(_FACE)].sum() >= 2:
            face = places[list(_FACE)][seen[list(_FACE)]].mean(axis=0)
            half = 0.22 * torso
            corners = [[(-half, -1.5 * half), (half, -1.5 * half)], [(-half, half), (half, half)]]
            found[HEAD] = face + np.array(corners)
    return found


def _widened(pair: NDArray[np.float64], torso: float) -> NDArray[np.float64]:
    """Two points, the one further left in the image first, at least a trunk's side apart."""
    left, right = pair[np.argsort(pair[:, 0])]
    half = max(float(right[0] - left[0]), _LEAST_WIDTH * torso) / 2
    middle = (left + right) / 2
    return np.array([middle - (half, 0), middle + (half, 0)])


def _histograms(
    lab: NDArray[np.float32],
    weights: NDArray[np.float64],
    places: NDArray[np.int64],
    count: int,
) -> NDArray[np.float64]:
    """Shares of the bins, `(count, COUNT)`, rows of sum 1, or 0 without pixels.

    A colour between bins counts for all of them.

    Args:
        lab: `(P, 3)` pixels.
        weights: `(P,)`.
        places: `(P,)` the row of each pixel.
        count: number of rows.
    """
    low, high = _LIGHTNESS
    hue = _HUE * np.arcsinh(lab[:, 1:] / _HUE)
    steps = (_BINS[0] - 1) / (high - low), (_BINS[1] - 1) / (2 * _HUE_ENDS)
    at = np.concatenate([(lab[:, :1] - low) * steps[0], (hue + _HUE_ENDS) * steps[1]], axis=1)
    at = np.clip(at.astype(np.float64), 0, np.array(_BINS) - 1 - _FEW)
    first = np.floor(at).astype(np.int64)
    share = at - first
    codes = ((places * _BINS[0] + first[:, 0]) * _BINS[1] + first[:, 1]) * _BINS[2] + first[:, 2]
    jumps = _BINS[1] * _BINS[2], _BINS[2], 1
    counts = np.zeros(count * COUNT)
    for corner in np.ndindex(2, 2, 2):
        part = weights.copy()
        for axis in range(3):
            part *= share[:, axis] if corner[axis] else 1 - share[:, axis]
        counts += np.bincount(codes + np.dot(corner, jumps), part, count * COUNT)
    rows = counts.reshape(count, COUNT)
    return np.asarray(rows / np.maximum(rows.sum(axis=1, keepdims=True), _FEW), np.float64)
