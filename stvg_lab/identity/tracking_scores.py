# SPDX-License-Identifier: Apache-2.0

"""HOTA and identity switches of tracks.

HOTA: Luiten et al. 2021, "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking",
equations 1 to 8: 19 thresholds of IoU, and the matching that serves the whole track first.
Identity switches: Bernardin and Stiefelhagen 2008 (CLEAR MOT), at IoU 0.5, where a match of the
frame before is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped,unused-ignore]

from stvg_ros.boxes import Boxes, iou_matrix

THRESHOLDS = np.arange(0.05, 0.99, 0.05)  # of IoU
_SWITCH_IOU = 0.5
_TINY = np.finfo(np.float64).eps
_KEPT = 1000.0  # weight of a match of the frame before, over any IoU

# The boxes of a frame by the number of the person or track.
FrameBoxes = Mapping[int, NDArray[np.float32]]


@dataclass(frozen=True)
class TrackingScore:
    """Scores of tracks against true tracks; means over `THRESHOLDS` except for the switches.

    Attributes:
        hota: the geometric mean of detection and association, averaged over thresholds.
        detection: DetA.
        association: AssA.
        switches: number of identity switches.
    """

    hota: float
    detection: float
    association: float
    switches: int


def tracking_score(truth: Sequence[FrameBoxes], found: Sequence[FrameBoxes]) -> TrackingScore:
    """The scores of one sequence.

    Args:
        truth: true boxes of each frame.
        found: boxes of the tracks in the same frames.

    Raises:
        ValueError: another number of frames, or no true box.
    """
    if len(truth) != len(found):
        raise ValueError(f"expected tracks of {len(truth)} frames, got {len(found)}")
    if not any(truth):
        raise ValueError("expected a true box, got none")
    frames = [_Overlaps.of(*pair) for pair in zip(truth, found, strict=True)]
    people = {name: at for at, name in enumerate(sorted(set().union(*truth)))}
    tracks = {name: at for at, name in enumerate(sorted(set().union(*found)))}
    detection, association = _accuracies(frames, people, tracks)
    hota = float(np.sqrt(detection * association).mean())
    return TrackingScore(
        hota, float(detection.mean()), float(association.mean()), _switches(frames)
    )


@dataclass(frozen=True, eq=False)
class _Overlaps:
    """The names in a frame, and the IoU `(N, K)` of every person and track."""

    people: tuple[int, ...]
    tracks: tuple[int, ...]
    iou: NDArray[np.float64]

    @classmethod
    def of(cls, truth: FrameBoxes, found: FrameBoxes) -> _Overlaps:
        return cls(
            tuple(truth),
            tuple(found),
            iou_matrix(_stacked(truth), _stacked(found)).astype(np.float64),
        )


def _stacked(boxes: FrameBoxes) -> Boxes:
    return np.array(list(boxes.values()), np.float32).reshape(-1, 4)


def _accuracies(
    frames: Sequence[_Overlaps], people: Mapping[int, int], tracks: Mapping[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """DetA and AssA for each of `THRESHOLDS`."""
    potential = np.zeros((len(people), len(tracks)))
    of_people, of_tracks = np.zeros((len(people), 1)), np.zeros((1, len(tracks)))
    places = []
    for frame in frames:
        rows = np.array([people[name] for name in frame.people], np.int64)
        columns = np.array([tracks[name] for name in frame.tracks], np.int64)
        places.append((rows, columns))
        # Every pair counts by its overlap, relative to what else both overlap.
        total = frame.iou.sum(axis=0)[None] + frame.iou.sum(axis=1)[:, None] - frame.iou
        potential[rows[:, None], columns[None]] += np.where(
            total > _TINY, frame.iou / np.maximum(total, _TINY), 0
        )
        of_people[rows, 0] += 1
        of_tracks[0, columns] += 1
    alignment = potential / np.maximum(of_people + of_tracks - potential, _TINY)
    matches = np.zeros((len(THRESHOLDS), len(people), len(tracks)))
    for frame, (rows, columns) in zip(frames, places, strict=True):
        first, second = linear_sum_assignment(-alignment[rows[:, None], columns[None]] * frame.iou)
        for level, threshold in enumerate(THRESHOLDS):
            good = frame.iou[first, second] >= threshold - _TINY
            matches[level, rows[first[good]], columns[second[good]]] += 1
    hits = matches.sum(axis=(1, 2))
    detection = hits / np.maximum(of_people.sum() + of_tracks.sum() - hits, 1)
    shared = matches / np.maximum(of_people + of_tracks - matches, 1)
    association = (matches * shared).sum(axis=(1, 2)) / np.maximum(hits, 1)
    return detection, association


def _switches(frames: Sequence[_Overlaps]) -> int:
    """How often a person's track differs from the one that covered them last."""
    last: dict[int, int] = {}  # the last track of each person
    before: dict[int, int] = {}  # of the last frame
    switches = 0
    for frame in frames:
        valid = frame.iou >= _SWITCH_IOU
        kept = np.array(
            [[before.get(one) == other for other in frame.tracks] for one in frame.people],
            np.float64,
        ).reshape(frame.iou.shape)
        gain = np.where(valid, frame.iou + _KEPT * kept, 0)
        rows, columns = linear_sum_assignment(-gain)
        now = {
            frame.people[row]: frame.tracks[column]
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
            if valid[row, column]
        }
        switches += sum(last.get(one, other) != other for one, other in now.items())
        last |= now
        before = now
    return switches
