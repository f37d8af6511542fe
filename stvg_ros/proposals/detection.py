"""People in single frames: what differs from the background, and OpenCV's HOG people detector.

Images here are the working copies, `WORK_WIDTH_PX` wide, uint8 and shifted back by the camera's
shake; boxes leave this module in pixels of those copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes, area, iou_matrix

Image = NDArray[np.uint8]

WORK_WIDTH_PX = 320
_HOG_HEIGHT_PX = 400  # the detector's smallest person, 96 px, is then 24 % of the image
_HOG_THRESHOLD = -0.4
_BACKGROUND_SAMPLES = 31
_STRONG = 0.5  # a HOG margin of 0 as a score
_GHOST_FRAMES = 5
_SAME_LEVEL = 14.0  # grey levels of mean difference up to which a place looks the same


@dataclass(frozen=True, eq=False)
class Detections:
    """What was seen in one frame.

    Attributes:
        boxes_xyxy_px: `(N, 4)`.
        scores: `(N,)` 0 to 1.
        is_person: `(N,)` bool, found by its shape (HOG) and not only by difference.
        colours: `(N, B)` colour histograms, each of sum 1.
    """

    boxes_xyxy_px: Boxes
    scores: NDArray[np.float32]
    is_person: NDArray[np.bool_]
    colours: NDArray[np.float32]


def working_copies(images: Sequence[Image]) -> tuple[list[Image], NDArray[np.float32]]:
    """Small copies without the camera's shake, and the shake itself, `(F, 2)` working pixels.

    The shake is measured against the middle frame by phase correlation. More than 3 % of the
    width is a moving camera or a changed scene, and is left as it is.
    """
    width = WORK_WIDTH_PX
    height = max(8, round(images[0].shape[0] * width / images[0].shape[1]))
    small = [_resized(image, width, height) for image in images]
    reference = _edges(small[len(small) // 2])
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    shifts = np.zeros((len(small), 2), np.float32)
    for index, image in enumerate(small):
        shift, response = cv2.phaseCorrelate(reference, _edges(image), window)
        if response > 0.15 and 0.15 < float(np.hypot(shift[0], shift[1])) < 0.03 * width:
            shifts[index] = shift
            move = np.array([[1, 0, -shift[0]], [0, 1, -shift[1]]], np.float64)
            small[index] = np.asarray(
                cv2.warpAffine(image, move, (width, height), borderMode=cv2.BORDER_REPLICATE),
                np.uint8,
            )
    return small, shifts


def background_of(images: Sequence[Image]) -> Image:
    """The median over up to `_BACKGROUND_SAMPLES` frames spread over the clip, `(h, w, 3)`."""
    picks = np.unique(np.linspace(0, len(images) - 1, _BACKGROUND_SAMPLES).round().astype(int))
    stack = np.stack([images[i] for i in picks])
    stack.sort(axis=0)  # in bytes; np.median would work on a copy in floats
    return np.asarray(stack[len(stack) // 2], np.uint8)


def moving_regions(image: Image, background: Image, min_height_px: float) -> tuple[Boxes, Boxes]:
    """Boxes `(N, 4)` of upright regions that differ from the background, then the ghosts.

    A person who leaves a place that belongs to the median leaves a ghost: its outline is an edge
    of the background and none of the frame. No one is there now, but someone stood there.
    """
    difference = cv2.absdiff(
        cv2.GaussianBlur(image, (3, 3), 0), cv2.GaussianBlur(background, (3, 3), 0)
    )
    strength = difference.max(axis=2)
    level = max(16.0, float(np.median(strength)) * 4)
    mask = (strength > level).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    here, empty = _gradient(image), _gradient(background)
    boxes: list[tuple[int, ...]] = []
    ghosts: list[tuple[int, ...]] = []
    for index in range(1, count):
        x, y, w, h, pixels = (int(value) for value in stats[index])
        if h < min_height_px or w > 1.1 * h or h > 6 * w or pixels < 0.25 * w * h:
            continue
        rows, columns = slice(max(0, y - 1), y + h + 1), slice(max(0, x - 1), x + w + 1)
        region = (labels[rows, columns] == index).astype(np.uint8)
        outline = cv2.morphologyEx(region, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        is_ghost = here[rows, columns][outline].mean() < empty[rows, columns][outline].mean()
        (ghosts if is_ghost else boxes).append((x, y, x + w, y + h))
    found, left = (np.array(rows, np.float32).reshape(-1, 4) for rows in (boxes, ghosts))
    return found, left


def standing_places(ghosts: Sequence[Boxes]) -> Boxes:
    """Boxes `(N, 4)` of people who are part of the background, from the ghosts of all frames.

    A place counts when `_GHOST_FRAMES` frames agree on it; the shapes of a moment do not.
    """
    every = np.concatenate([np.zeros((0, 4), np.float32), *ghosts])
    alike = iou_matrix(every, every) > 0.7
    places: list[NDArray[np.float32]] = []
    while alike.any() and (votes := alike.sum(axis=1)).max() >= _GHOST_FRAMES:
        group = alike[int(votes.argmax())].copy()
        box = np.median(every[group], axis=0).astype(np.float32)
        if not places or iou_matrix(box[None], np.stack(places)).max() < 0.3:
            places.append(box)
        alike[group] = False
        alike[:, group] = False
    return np.array(places, np.float32).reshape(-1, 4)


def standing(image: Image, background: Image, places: Boxes) -> Boxes:
    """Those of the places `(N, 4)` where the frame looks like the background."""
    same = [looks_equal(image, background, place) for place in places]
    return places[np.array(same, np.bool_)]


def looks_equal(first: Image, second: Image, box_xyxy_px: NDArray[np.floating[Any]]) -> bool:
    """Whether the inside of a box is about the same in two working images."""
    height, width = first.shape[:2]
    x1, x2 = np.clip(box_xyxy_px[[0, 2]], 0, width).astype(int).tolist()
    y1, y2 = np.clip(box_xyxy_px[[1, 3]], 0, height).astype(int).tolist()
    if x2 <= x1 or y2 <= y1:
        return False
    difference = cv2.absdiff(
        np.ascontiguousarray(first[y1:y2, x1:x2]), np.ascontiguousarray(second[y1:y2, x1:x2])
    )
    return float(difference.max(axis=2).mean()) < _SAME_LEVEL


class ShapeDetector:
    """OpenCV's HOG detector of upright people. Not for several threads at once."""

    def __init__(self) -> None:
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())  # type: ignore[attr-defined,unused-ignore]

    def __call__(self, image: Image) -> tuple[Boxes, NDArray[np.float32]]:
        """Boxes `(N, 4)` in the image's pixels, margins removed, and scores `(N,)`, 0 to 1."""
        factor = _HOG_HEIGHT_PX / image.shape[0]
        found, weights = self._hog.detectMultiScale(
            _resized(image, max(64, round(image.shape[1] * factor)), _HOG_HEIGHT_PX),
            hitThreshold=_HOG_THRESHOLD,
            winStride=(8, 8),
            scale=1.08,
        )
        if len(found) == 0:
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        x, y, w, h = np.asarray(found, np.float32).T / np.float32(factor)
        # The detector was trained on windows with people of 96 px in the middle of 64 x 128 px.
        boxes = np.stack([x + 0.25 * w, y + 0.125 * h, x + 0.75 * w, y + 0.875 * h], axis=1)
        scores = np.clip(_STRONG + np.asarray(weights, np.float32).ravel() / 2, 0, 1)
        return boxes.astype(np.float32), scores.astype(np.float32)


def merged(
    image: Image, moving: Boxes, shaped: tuple[Boxes, NDArray[np.float32]] | None
) -> Detections:
    """Both sources in one list, each person once; the recognised shape wins over the difference."""
    boxes, scores = shaped or (np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    keep = np.ones(len(moving), bool)
    if len(boxes) and len(moving):
        keep = (iou_matrix(moving, boxes).max(axis=1) < 0.3) & (_inside(moving, boxes) < 0.6)
    together = np.concatenate([boxes, moving[keep]]).astype(np.float32)
    colours = [colour_of(image, box) for box in together]
    extra = int(keep.sum())
    return Detections(
        together,
        np.concatenate([scores, np.full(extra, 0.4, np.float32)]).astype(np.float32),
        np.array([True] * len(boxes) + [False] * extra, np.bool_),
        np.array(colours, np.float32).reshape(-1, 64),
    )


def colour_of(image: Image, box_xyxy_px: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colour histogram of the clothes: the middle of the box, 4 x 4 x 4 bins of RGB, sum 1."""
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
    """The largest share of each first box that lies in one of the second, `(N,)`."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.maximum(low, np.minimum(first[:, None, 2:], second[None, :, 2:]))
    shared = area(np.concatenate([low, high], axis=-1)).max(axis=1)
    return np.asarray(shared / np.maximum(area(first), 1), np.float32)


def _resized(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _edges(image: Image) -> NDArray[np.float32]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.GaussianBlur(grey, (3, 3), 0), np.float32)


def _gradient(image: Image) -> NDArray[np.float32]:
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (3, 3), 0)
    x, y = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.magnitude(x, y), np.float32)
