# SPDX-License-Identifier: Apache-2.0

"""Detects people in single frames: OpenCV's HOG people detector, merged with moving regions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes, area, iou_matrix, shared_with
from stvg_ros.identity.descriptor import AppearanceDescriptor, qualities
from stvg_ros.proposals.people.camera_motion import Image, resized
from stvg_ros.proposals.people.hog_pyramid import detect_multi_scale

_HOG_HEIGHT_PX = 400  # the detector's smallest person, 96 px, is then 24 % of the image
_HOG_PIXELS = 3_000_000  # maximum; images wider than 19 to 1 are searched at a lower height
_HOG_WINDOW_PX = 64, 128
_HOG_THRESHOLD = -0.4
_MARGIN_X, _MARGIN_Y = 0.22, 0.105  # of the detector's window
_PART = 0.55  # of the area of a whole person
_STRONG = 0.5  # a HOG margin of 0 as a score
NOBODY = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)  # boxes and scores


@dataclass(frozen=True, eq=False)
class Detections:
    """The detections of one frame.

    Attributes:
        boxes_xyxy_px: `(N, 4)`.
        scores: `(N,)` 0 to 1.
        is_person: `(N,)` bool, detected by shape (HOG) and not only by difference.
        colours: `(N, B)` colour histograms, each of sum 1.
        places: `(N,)` number of the person's place in the background, or -1; None if the source
            has no places.
        looks: `(N, D)` descriptors of the people; None if they are not described.
        qualities: `(N,)` of the descriptors, 0 to 1; empty without them.
    """

    boxes_xyxy_px: Boxes
    scores: NDArray[np.float32]
    is_person: NDArray[np.bool_]
    colours: NDArray[np.float32]
    places: NDArray[np.int64] | None = None
    looks: NDArray[np.float32] | None = None
    qualities: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def place(self, index: int) -> int:
        """Number of a detection's place, or -1."""
        return -1 if self.places is None else int(self.places[index])


def described(
    seen: Detections, image: Image, offset: NDArray[np.float32], descriptor: AppearanceDescriptor
) -> Detections:
    """The same detections with the appearance of their people.

    Args:
        seen: with boxes in scene pixels.
        image: the working copy.
        offset: `(2,)` from scene pixels to those of the copy.
        descriptor: describes people.
    """
    boxes = (seen.boxes_xyxy_px + np.tile(offset, 2)).astype(np.float32)
    height, width = image.shape[:2]
    return replace(seen, looks=descriptor(image, boxes), qualities=qualities(boxes, width, height))


class ShapeDetector:
    """OpenCV's HOG detector of upright people. Not thread-safe."""

    def __init__(self) -> None:
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())  # type: ignore[attr-defined,unused-ignore]

    def __call__(self, image: Image) -> tuple[Boxes, NDArray[np.float32]]:
        """Boxes `(N, 4)` in the image's pixels, margins removed, and scores `(N,)`, 0 to 1."""
        height, width = image.shape[:2]
        factor = min(_HOG_HEIGHT_PX / height, (_HOG_PIXELS / (width * height)) ** 0.5)
        rows, columns = round(height * factor), max(_HOG_WINDOW_PX[0], round(width * factor))
        if rows < _HOG_WINDOW_PX[1]:
            return NOBODY  # a person as high as the image is too small for the detector
        found, weights = detect_multi_scale(
            self._hog,
            resized(image, columns, rows),
            hit_threshold=_HOG_THRESHOLD,
            stride_px=8,
            scale=1.08,
        )
        if len(found) == 0:
            return NOBODY
        factor_x = max(factor, _HOG_WINDOW_PX[0] / width)  # very narrow images are widened
        x, y, w, h = np.asarray(found, np.float32).T / np.array(
            [[factor_x], [factor], [factor_x], [factor]], np.float32
        )
        # The detector was trained on windows of 64 x 128 px with people of 96 px in the centre;
        # arms and feet extend slightly beyond.
        left, top = _MARGIN_X * w, _MARGIN_Y * h
        boxes = np.stack([x + left, y + top, x + w - left, y + h - top], axis=1)
        scores = np.clip(_STRONG + np.asarray(weights, np.float32).ravel() / 2, 0, 1)
        return boxes.astype(np.float32), scores.astype(np.float32)


def detections(
    image: Image, boxes: Boxes, scores: NDArray[np.float32], offset: NDArray[np.float32]
) -> Detections:
    """The detections of a people detector alone.

    Args:
        image: the working copy.
        boxes: `(N, 4)` in scene pixels.
        scores: `(N,)`.
        offset: `(2,)` from scene pixels to those of the copy.
    """
    places = boxes + np.tile(offset, 2)
    colours = [colour_of(image, box) for box in places]
    return Detections(
        boxes.astype(np.float32),
        scores,
        np.ones(len(boxes), np.bool_),
        np.array(colours, np.float32).reshape(-1, 64),
    )


def merged_detections(
    image: Image,
    moving: Boxes,
    shaped: tuple[Boxes, NDArray[np.float32]] | None,
    places: NDArray[np.int64] | None = None,
) -> Detections:
    """Merges both sources, each person once; a recognised shape replaces a moving region.

    Args:
        image: stabilized working copy.
        moving: boxes `(N, 4)`.
        shaped: boxes `(K, 4)` and scores `(K,)`, None if the frame was not searched for them.
        places: `(N,)` numbers of the places of `moving`; a shape takes that of its region.
    """
    boxes, scores = shaped or NOBODY
    numbers = np.full(len(moving), -1, np.int64) if places is None else places
    if len(boxes) and (numbers >= 0).any():
        # A shape inside a person who moves at their place is a part of them.
        whole = moving[numbers >= 0]
        within = shared_with(boxes, whole) > 0.8
        small = area(boxes)[:, None] < _PART * area(whole)[None]
        alone = ~(within & small).any(axis=1)
        boxes, scores = boxes[alone], scores[alone]
    own = np.full(len(boxes), -1, np.int64)
    keep = np.ones(len(moving), bool)
    if len(boxes) and len(moving):
        overlap = iou_matrix(moving, boxes)
        keep = (overlap.max(axis=1) < 0.3) & (_inside(moving, boxes) < 0.6)
        at_place = np.where((numbers >= 0)[:, None], overlap, 0)
        best = at_place.argmax(axis=0)
        own = np.where(at_place.max(axis=0) > 0.4, numbers[best], -1)
    together = np.concatenate([boxes, moving[keep]]).astype(np.float32)
    colours = [colour_of(image, box) for box in together]
    extra = int(keep.sum())
    return Detections(
        together,
        np.concatenate([scores, np.full(extra, 0.4, np.float32)]).astype(np.float32),
        np.array([True] * len(boxes) + [False] * extra, np.bool_),
        np.array(colours, np.float32).reshape(-1, 64),
        np.concatenate([own, numbers[keep]]),
    )


def colour_of(image: Image, box_xyxy_px: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colour histogram of the clothes: the centre of the box, 4 x 4 x 4 bins of RGB, sum 1."""
    x1, y1, x2, y2 = box_xyxy_px.tolist()
    w, h = x2 - x1, y2 - y1
    left, right = int(max(0, x1 + 0.25 * w)), int(min(image.shape[1], x2 - 0.25 * w + 1))
    top, bottom = int(max(0, y1 + 0.15 * h)), int(min(image.shape[0], y1 + 0.7 * h + 1))
    if right <= left or bottom <= top:
        return np.full(64, 1 / 64, np.float32)
    bins = image[top:bottom, left:right] >> 6
    codes = (bins[..., 0] << 4) + (bins[..., 1] << 2) + bins[..., 2]
    counts = np.bincount(codes.ravel(), minlength=64).astype(np.float32)
    return np.asarray(counts / counts.sum(), np.float32)


def _inside(first: Boxes, second: Boxes) -> NDArray[np.float32]:
    """The largest share of each first box inside one of the second, `(N,)`."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.maximum(low, np.minimum(first[:, None, 2:], second[None, :, 2:]))
    shared = area(np.concatenate([low, high], axis=-1)).max(axis=1)
    return np.asarray(shared / np.maximum(area(first), 1), np.float32)
