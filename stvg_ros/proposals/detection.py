"""People in single frames: OpenCV's HOG detector, and motion against the window's background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes, iou_matrix

Image = NDArray[np.uint8]
# The detector's window leaves a margin around the person: shares of its width and height.
_MARGIN_X, _MARGIN_TOP, _MARGIN_BOTTOM = 0.22, 0.125, 0.125
_LONG_SIDE_PX = 480  # HOG needs people of 96 px; more pixels cost time and bring little
_MOTION_LONG_SIDE_PX = 320


@dataclass(frozen=True, eq=False)
class Detections:
    """What one frame shows.

    Attributes:
        boxes_xyxy_px: `(N, 4)` in pixels of the image.
        scores: `(N,)`, above 0.5 for the people detector, below for mere motion.
    """

    boxes_xyxy_px: Boxes
    scores: NDArray[np.float32]


class PeopleDetector:
    """Standing and walking people by their outline (Dalal and Triggs, CVPR 2005)."""

    def __init__(self, min_height: float) -> None:
        """`min_height` of a person is a share of the image's height."""
        self._min_height = min_height
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())

    def __call__(self, image: Image) -> Detections:
        """People in an `(h, w, 3)` RGB image."""
        height, width = image.shape[:2]
        # Small people are enlarged to the detector's window, large ones shrunk.
        share = _LONG_SIDE_PX / max(height, width)
        size = (max(64, round(width * share)), max(128, round(height * share)))
        small = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), 7)
        found, weights = self._hog.detectMultiScale(
            small, hitThreshold=-0.2, winStride=(8, 8), padding=(8, 8), scale=1.08
        )
        boxes = np.asarray(found, np.float32).reshape(-1, 4)
        x, y, w, h = boxes.T * np.tile([[width / size[0]], [height / size[1]]], (2, 1))
        boxes = np.stack(
            [
                x + _MARGIN_X * w,
                y + _MARGIN_TOP * h,
                x + (1 - _MARGIN_X) * w,
                y + (1 - _MARGIN_BOTTOM) * h,
            ],
            1,
        ).astype(np.float32)
        scores = 0.6 + 0.4 * np.clip(np.asarray(weights, np.float32).reshape(-1), 0, 1)
        tall = boxes[:, 3] - boxes[:, 1] >= self._min_height * height
        return distinct(Detections(boxes[tall], scores[tall].astype(np.float32)))


class MotionDetector:
    """Moving things of a person's shape, against the median of the window."""

    def __init__(self, images: Sequence[Image], min_height: float) -> None:
        """Learns the background from at most 25 images of the window."""
        self._min_height = min_height
        height, width = images[0].shape[:2]
        share = min(1.0, _MOTION_LONG_SIDE_PX / max(height, width))
        self._size = (max(1, round(width * share)), max(1, round(height * share)))
        step = max(1, len(images) // 25)
        self._background = np.median(
            np.stack([self._grey(image) for image in images[::step]]), axis=0
        ).astype(np.uint8)

    def _grey(self, image: Image) -> Image:
        small = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.GaussianBlur(small, (3, 3), 0), np.uint8)

    def __call__(self, image: Image) -> Detections:
        """Moving regions that are higher than wide, in pixels of the image."""
        difference = cv2.absdiff(self._grey(image), self._background).max(2)
        mask = (difference > 24).astype(np.uint8)
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 5), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        x, y, w, h, area = stats[1:].astype(np.float32).T
        person = (h >= self._min_height * self._size[1]) & (h >= 1.1 * w) & (area >= 0.3 * w * h)
        scale = np.array([image.shape[1] / self._size[0], image.shape[0] / self._size[1]] * 2)
        boxes = (np.stack([x, y, x + w, y + h], 1) * scale)[person].astype(np.float32)
        return Detections(boxes, np.full(len(boxes), 0.4, np.float32))


def distinct(found: Detections, overlap: float = 0.45) -> Detections:
    """The detections without those that a better one overlaps by more than `overlap` IoU."""
    order = np.argsort(-found.scores, kind="stable")
    overlaps = iou_matrix(found.boxes_xyxy_px, found.boxes_xyxy_px)
    kept: list[int] = []
    for index in order:
        if all(overlaps[index, other] <= overlap for other in kept):
            kept.append(int(index))
    return Detections(found.boxes_xyxy_px[kept], found.scores[kept])
