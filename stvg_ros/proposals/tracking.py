"""Detections linked over time: high scores first, then low ones (ByteTrack, ECCV 2022)."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stvg_ros.boxes import Boxes, area, iou_matrix
from stvg_ros.proposals.detection import Detections, Image

HIGH_SCORE = 0.5
_NO_MATCH = 1e3
_BINS = (8, 8)


def appearance(image: Image, box_xyxy_px: NDArray[np.float32]) -> NDArray[np.float32]:
    """Hue and saturation histogram of the upper body, `(64,)`, L1-normalised."""
    x1, y1, x2, y2 = box_xyxy_px
    height, width = y2 - y1, x2 - x1
    top, bottom = int(max(y1 + 0.15 * height, 0)), int(y1 + 0.55 * height) + 1
    left, right = int(max(x1 + 0.25 * width, 0)), int(x1 + 0.75 * width) + 1
    part = image[top:bottom, left:right]
    if part.size == 0:
        return np.full(_BINS[0] * _BINS[1], 1 / 64, np.float32)
    hsv = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1], None, list(_BINS), [0, 180, 0, 256]).ravel()
    return np.asarray(counts / max(counts.sum(), 1), np.float32)


@dataclass(eq=False)
class Track:
    """One object so far: boxes of the frames in which it was detected."""

    frames: list[int]
    boxes: list[NDArray[np.float32]]
    scores: list[float]
    looks: NDArray[np.float32]
    velocity: NDArray[np.float32] = field(default_factory=lambda: np.zeros(4, np.float32))

    def predicted(self, frame: int) -> NDArray[np.float32]:
        """The box at constant velocity; a lost object stops after a while."""
        gap = frame - self.frames[-1]
        return self.boxes[-1] + self.velocity * min(gap, 10)

    def extend(
        self, frame: int, box: NDArray[np.float32], score: float, looks: NDArray[np.float32]
    ) -> None:
        """Adds a detection."""
        gap = frame - self.frames[-1]
        moved = (box - self.boxes[-1]) / gap
        moved[:] = np.tile((moved[:2] + moved[2:]) / 2, 2)  # the size does not predict
        self.velocity = (0.6 * self.velocity + 0.4 * moved).astype(np.float32)
        self.looks = 0.8 * self.looks + 0.2 * looks
        self.frames.append(frame)
        self.boxes.append(box)
        self.scores.append(score)

    @property
    def moved_px(self) -> float:
        """How far the centre came from its first place, at most."""
        centres = np.array([(b[:2] + b[2:]) / 2 for b in self.boxes])
        return float(np.abs(centres - centres[0]).max())


class Tracker:
    """Links the detections of successive frames."""

    def __init__(self, max_gap_frames: int) -> None:
        """An object unseen for more than `max_gap_frames` is another one when it comes back."""
        self._max_gap = max_gap_frames
        self.tracks: list[Track] = []

    def update(self, frame: int, image: Image, found: Detections) -> None:
        """Takes the detections of the next frame."""
        looks = [appearance(image, box) for box in found.boxes_xyxy_px]
        open_tracks = [t for t in self.tracks if frame - t.frames[-1] <= self._max_gap]
        free = list(range(len(found.scores)))
        for high in (True, False):
            chosen = [i for i in free if (found.scores[i] > HIGH_SCORE) == high]
            for track, index in self._matches(open_tracks, chosen, frame, found, looks):
                box = found.boxes_xyxy_px[index]
                track.extend(frame, box, float(found.scores[index]), looks[index])
                open_tracks.remove(track)
                free.remove(index)
        taken = [t.predicted(frame) for t in self.tracks if frame - t.frames[-1] <= self._max_gap]
        for index in free:
            box = found.boxes_xyxy_px[index]
            if found.scores[index] <= HIGH_SCORE and _mostly_inside(box, taken):
                continue  # an arm or a leg of somebody who is tracked already
            self.tracks.append(Track([frame], [box], [float(found.scores[index])], looks[index]))

    def _matches(
        self,
        tracks: list[Track],
        chosen: list[int],
        frame: int,
        found: Detections,
        looks: list[NDArray[np.float32]],
    ) -> list[tuple[Track, int]]:
        if not tracks or not chosen:
            return []
        predicted: Boxes = np.array([t.predicted(frame) for t in tracks], np.float32)
        boxes = found.boxes_xyxy_px[chosen]
        overlap = iou_matrix(predicted, boxes)
        centres = (
            predicted[:, None, :2] + predicted[:, None, 2:] - boxes[:, :2] - boxes[:, 2:]
        ) / 2
        height = (predicted[:, 3] - predicted[:, 1])[:, None]
        distance = np.linalg.norm(centres, axis=-1) / np.maximum(height, 1)
        alike = np.array([[np.minimum(t.looks, looks[i]).sum() for i in chosen] for t in tracks])
        cost = (1 - overlap) + distance + 1.2 * (1 - alike)
        low = found.scores[chosen] <= HIGH_SCORE
        far = (overlap < 0.1) & (distance > 0.35)
        cost[np.where(low, overlap < 0.4, far)] = _NO_MATCH
        rows, columns = linear_sum_assignment(cost)
        return [
            (tracks[r], chosen[c])
            for r, c in zip(rows, columns, strict=True)
            if cost[r, c] < _NO_MATCH
        ]


def _mostly_inside(box: NDArray[np.float32], others: list[NDArray[np.float32]]) -> bool:
    """Whether another box covers more than half of `box`."""
    if not others:
        return False
    both = np.array(others, np.float32)
    both[:, :2] = np.maximum(both[:, :2], box[:2])
    both[:, 2:] = np.maximum(np.minimum(both[:, 2:], box[2:]), both[:, :2])
    return bool((area(both) > 0.5 * area(box[None])).any())
