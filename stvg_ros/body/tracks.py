# SPDX-License-Identifier: Apache-2.0

"""Measures people in images: keypoints and colours for boxes, stored within a bound."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stvg_ros.body.clothes import looks, nothing_seen
from stvg_ros.body.keypoints import COUNT, KeypointEstimator
from stvg_ros.body.track import BodyTrack, Looks
from stvg_ros.boxes import Boxes, iou_matrix, scaled
from stvg_ros.colours import light_of
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


class MeasurementStore:
    """The latest measurements by camera and stamp, within a bound of memory."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], Measurement] = OrderedDict()
        self.nbytes = 0

    def get(self, frame: Frame) -> Measurement | None:
        """The measurements of a frame; None if there are none."""
        return self._kept.get((frame.stream, frame.stamp_ns))

    def add(self, frame: Frame, new: Measurement, most_bytes: float) -> None:
        """Adds people to those of a frame; the oldest frames are removed above `most_bytes`."""
        key = (frame.stream, frame.stamp_ns)
        old = self._kept.pop(key, None)
        joined = new if old is None else old.joined(new)
        self.nbytes += joined.nbytes - (0 if old is None else old.nbytes)
        self._kept[key] = joined
        while self.nbytes > most_bytes and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self.nbytes -= gone.nbytes

    def clear(self) -> None:
        """Releases all measurements."""
        self._kept.clear()
        self.nbytes = 0


class BodyMeter:
    """Measures boxes of frames once, and keeps the results within a bound of memory.

    A box whose person was measured on the frame's arrival has that measurement; one that was
    measured for an earlier command has it only if it is the same box. So a command has the same
    evidence, whatever was asked before.

    Thread contract: any thread may call any method. One lock serialises the estimator, another
    protects the stored measurements, so that reading them does not wait for the estimator. Frames
    that arrive wait while a command is measured (`for_command`).
    """

    def __init__(self, estimator: KeypointEstimator, megabytes: float) -> None:
        self._estimator = estimator
        self._most_bytes = round(megabytes * 1e6)
        self._estimating, self._lock = threading.Lock(), threading.Lock()
        self._commands, self._turn = 0, threading.Condition()
        self._arrived, self._asked = MeasurementStore(), MeasurementStore()

    @property
    def name(self) -> str:
        """Name of the estimator."""
        return self._estimator.name

    @property
    def nbytes(self) -> int:
        """Memory of the stored measurements."""
        return self._arrived.nbytes + self._asked.nbytes

    def observe(self, frame: Frame, boxes_xyxy_px: Boxes) -> None:
        """Measures the people of a frame on its arrival."""
        if not len(boxes_xyxy_px) or self._arrived.get(frame) is not None:
            return
        with self._turn:
            self._turn.wait_for(lambda: not self._commands)
        new = self._measure(frame, boxes_xyxy_px)
        with self._lock:
            self._arrived.add(frame, new, self._most_bytes / 2)

    @contextmanager
    def for_command(self) -> Iterator[None]:
        """While it is open, `observe` waits before the next frame."""
        with self._turn:
            self._commands += 1
        try:
            yield
        finally:
            with self._turn:
                self._commands -= 1
                self._turn.notify_all()

    def ready(self, frame: Frame, boxes_xyxy_px: Boxes) -> NDArray[np.bool_]:
        """Which people were measured on the frame's arrival, by their boxes `(N, 4)`: `(N,)`."""
        with self._lock:
            arrived = self._arrived.get(frame)
        return _rows(arrived, boxes_xyxy_px) >= 0

    def measured(self, frame: Frame, boxes_xyxy_px: Boxes) -> tuple[Measurement, NDArray[np.int64]]:
        """The measurements of a frame with those of these boxes, computed if they are missing.

        Args:
            frame: the image.
            boxes_xyxy_px: `(N, 4)` in pixels of the camera's image.

        Returns:
            Measurements, and for each box the row of its own `(N,)`.
        """
        with self._lock:
            arrived, asked = self._arrived.get(frame), self._asked.get(frame)
        rows = _rows(arrived, boxes_xyxy_px)
        others = boxes_xyxy_px[rows < 0]
        missing = others[_equal_rows(asked, others) < 0]
        if len(missing):
            new = self._measure(frame, missing)
            with self._lock:
                self._asked.add(frame, new, self._most_bytes / 2)
                asked = self._asked.get(frame)
        start = 0 if arrived is None else len(arrived.boxes_xyxy_px)
        rows[rows < 0] = start + _equal_rows(asked, others)
        both = [one for one in (arrived, asked) if one is not None]
        if not both:
            return self._measure(frame, boxes_xyxy_px[:0]), rows
        return both[0] if len(both) == 1 else both[0].joined(both[1]), rows

    def _measure(self, frame: Frame, boxes_xyxy_px: Boxes) -> Measurement:
        with self._estimating:
            return _measure(frame, boxes_xyxy_px, self._estimator)

    def renewed(self) -> BodyMeter:
        """The same estimator without stored measurements."""
        return BodyMeter(self._estimator, self._most_bytes / 1e6)

    def reconfigure(self, megabytes: float) -> None:
        """Keeps at most this many megabytes from the next measurement on."""
        self._most_bytes = round(megabytes * 1e6)

    def forget(self) -> None:
        """Releases all measurements."""
        with self._lock:
            self._arrived.clear()
            self._asked.clear()


def _rows(known: Measurement | None, boxes: Boxes) -> NDArray[np.int64]:
    """The row of each box's person among the stored ones, -1 where there is none."""
    if known is None or not len(known.boxes_xyxy_px) or not len(boxes):
        return np.full(len(boxes), -1, np.int64)
    overlap = iou_matrix(boxes, known.boxes_xyxy_px)
    best = overlap.argmax(axis=1)
    return np.where(overlap.max(axis=1) >= _SAME_IOU, best, -1).astype(np.int64)


def _equal_rows(known: Measurement | None, boxes: Boxes) -> NDArray[np.int64]:
    """The row of each box itself among the stored ones, -1 where there is none."""
    if known is None or not len(known.boxes_xyxy_px) or not len(boxes):
        return np.full(len(boxes), -1, np.int64)
    equal = (boxes[:, None] == known.boxes_xyxy_px[None]).all(axis=2)
    return np.where(equal.any(axis=1), equal.argmax(axis=1), -1).astype(np.int64)


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
