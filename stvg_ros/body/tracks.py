# SPDX-License-Identifier: Apache-2.0

"""Measures people in images: keypoints and colours for boxes, stored within a bound."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stvg_ros.body.clothes import looks, nothing_seen
from stvg_ros.body.colours import light_of
from stvg_ros.body.keypoints import COUNT, KeypointEstimator
from stvg_ros.body.track import BodyTrack, Looks
from stvg_ros.boxes import Boxes, iou_matrix, scaled
from stvg_ros.types import CandidateTube, Clip, Frame

_SAME_IOU = 0.6  # a stored measurement is that of a box with at least this overlap


@dataclass(frozen=True, eq=False)
class Measurement:
    """The people who were measured in one frame.

    Attributes:
        boxes_xyxy_px: `(N, 4)` in pixels of the camera's image.
        points_px: `(N, 17, 2)`, likewise.
        visibility: `(N, 17)`.
        looks: of each person.
    """

    boxes_xyxy_px: Boxes
    points_px: NDArray[np.float32]
    visibility: NDArray[np.float32]
    looks: tuple[Looks, ...]

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        arrays = self.boxes_xyxy_px.nbytes + self.points_px.nbytes + self.visibility.nbytes
        return arrays + sum(one.nbytes for one in self.looks)

    def joined(self, other: Measurement) -> Measurement:
        """The people of both."""
        return Measurement(
            np.concatenate([self.boxes_xyxy_px, other.boxes_xyxy_px]),
            np.concatenate([self.points_px, other.points_px]),
            np.concatenate([self.visibility, other.visibility]),
            (*self.looks, *other.looks),
        )


class BodyMeter:
    """Measures boxes of frames once, and keeps the results within a bound of memory.

    Thread contract: any thread may call any method; one lock serialises the estimator.
    """

    def __init__(self, estimator: KeypointEstimator, megabytes: float) -> None:
        self._estimator = estimator
        self._most_bytes = round(megabytes * 1e6)
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int], Measurement] = OrderedDict()
        self._bytes = 0

    @property
    def name(self) -> str:
        """Name of the estimator."""
        return self._estimator.name

    @property
    def nbytes(self) -> int:
        """Memory of the stored measurements."""
        return self._bytes

    def measured(self, frame: Frame, boxes_xyxy_px: Boxes) -> tuple[Measurement, NDArray[np.int64]]:
        """The measurements of a frame with those of these boxes, computed if they are missing.

        Args:
            frame: the image.
            boxes_xyxy_px: `(N, 4)` in pixels of the camera's image.

        Returns:
            Measurements, and for each box the row of its own `(N,)`.
        """
        with self._lock:
            key = (frame.stream, frame.stamp_ns)
            known = self._kept.get(key)
            rows = _rows(known, boxes_xyxy_px)
            missing = rows < 0
            if missing.any():
                new = _measure(frame, boxes_xyxy_px[missing], self._estimator)
                start = 0 if known is None else len(known.boxes_xyxy_px)
                known = new if known is None else known.joined(new)
                rows[missing] = start + np.arange(int(missing.sum()))
                self._keep(key, known)
            if known is None:
                known = _measure(frame, boxes_xyxy_px[:0], self._estimator)
            return known, rows

    def _keep(self, key: tuple[str, int], measured: Measurement) -> None:
        old = self._kept.pop(key, None)
        self._bytes += measured.nbytes - (0 if old is None else old.nbytes)
        self._kept[key] = measured
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= gone.nbytes

    def renewed(self) -> BodyMeter:
        """The same estimator without stored measurements."""
        return BodyMeter(self._estimator, self._most_bytes / 1e6)

    def reconfigure(self, megabytes: float) -> None:
        """Keeps at most this many megabytes from the next measurement on."""
        self._most_bytes = round(megabytes * 1e6)

    def forget(self) -> None:
        """Releases all measurements."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0


def _rows(known: Measurement | None, boxes: Boxes) -> NDArray[np.int64]:
    """The row of each box among the stored ones, -1 where there is none."""
    if known is None or not len(known.boxes_xyxy_px) or not len(boxes):
        return np.full(len(boxes), -1, np.int64)
    overlap = iou_matrix(boxes, known.boxes_xyxy_px)
    best = overlap.argmax(axis=1)
    return np.where(overlap.max(axis=1) >= _SAME_IOU, best, -1).astype(np.int64)


def _measure(frame: Frame, boxes: Boxes, estimator: KeypointEstimator) -> Measurement:
    image = frame.image
    factors = image.shape[1] / frame.source_width_px, image.shape[0] / frame.source_height_px
    inside = scaled(boxes, *factors)
    found = estimator(image, inside)
    light = light_of(image) if len(boxes) else None
    seen = []
    for points, visibility, box in zip(found.points_px, found.visibility, inside, strict=True):
        assert light is not None
        seen.append(
            looks(image, points.astype(float), visibility.astype(float), box.astype(float), light)
        )
    points = found.points_px / np.array(factors, np.float32)
    return Measurement(boxes, points.astype(np.float32), found.visibility, tuple(seen))


def track_of(
    tube: CandidateTube,
    clip: Clip,
    measured: Sequence[tuple[int, Measurement, int]],
    shift_px: NDArray[np.float64],
    distance_m: NDArray[np.float64],
) -> BodyTrack:
    """A tube with its measurements; frames between measured ones have points between theirs.

    Args:
        tube: over the clip.
        clip: F frames.
        measured: frame, measurements and row of the person.
        shift_px: `(F, 2)` motion of the view.
        distance_m: `(F,)` NaN without depth.
    """
    count = len(clip)
    seconds = (clip.stamps_ns - clip.stamps_ns[0]) / 1e9
    points = np.full((count, COUNT, 2), np.nan)
    visibility = np.zeros((count, COUNT))
    seen = nothing_seen(count)
    for frame, known, row in measured:
        points[frame], visibility[frame] = known.points_px[row], known.visibility[row]
        seen.shares[frame] = known.looks[row].shares
        seen.lab[frame] = known.looks[row].lab
        seen.contrast[frame] = known.looks[row].contrast
    frames = np.array([frame for frame, _, _ in measured], np.int64)
    if len(frames) > 1:
        fill_between(points, visibility, frames, seconds)
    return BodyTrack(
        seconds,
        tube.boxes_xyxy_px.astype(np.float64),
        tube.present,
        points,
        visibility,
        clip.size_px,
        seen,
        shift_px,
        distance_m,
    )


_GAP_S = 0.6  # between measured frames, over which points are interpolated


def fill_between(
    points: NDArray[np.float64],
    visibility: NDArray[np.float64],
    frames: NDArray[np.int64],
    seconds: NDArray[np.float64],
) -> None:
    """Interpolates points and visibility, in place, in short gaps between measured frames."""
    order = np.sort(frames)
    for first, last in pairwise(order.tolist()):
        gap = seconds[last] - seconds[first]
        if last - first < 2 or gap > _GAP_S:
            continue
        for frame in range(first + 1, last):
            share = (seconds[frame] - seconds[first]) / gap
            points[frame] = (1 - share) * points[first] + share * points[last]
            visibility[frame] = np.minimum(visibility[first], visibility[last])
