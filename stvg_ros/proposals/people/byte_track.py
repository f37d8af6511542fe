# SPDX-License-Identifier: Apache-2.0

"""Links detections to tracks: ByteTrack's two rounds, then linking across gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped,unused-ignore]

from stvg_ros.boxes import area, iou_matrix
from stvg_ros.proposals.people.hog_detector import Detections
from stvg_ros.proposals.people.kalman import BoxState, corrected, predicted, started

HIGH_SCORE = 0.35
_COLOUR_WEIGHT = 0.8
_PLACE_WEIGHT = 0.3
_MAX_COST = 1.0
_NEVER = 1e6
Value = TypeVar("Value")
Look = tuple[NDArray[np.float32], float]  # descriptor and quality
_LEAST_SIZE = 0.35  # area of a smaller box over a larger one of the same person, a frame later


@dataclass(eq=False)
class Track:
    """The track of one object.

    Attributes:
        boxes: detected boxes `(4,)` by frame.
        scores: scores of the detections by frame.
        shapes: frames in which it was recognised as a person.
        looks: descriptor `(D,)` and quality of the detections by frame, if they are described.
        absences: last frame before and first frame after each time out of sight.
        colour: running mean of the colour histograms.
        place: number of the object's current place in the background, or -1.
        begin_place: the same for its first frame.
    """

    state: BoxState
    colour: NDArray[np.float32]
    boxes: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)
    shapes: set[int] = field(default_factory=set)
    looks: dict[int, Look] = field(default_factory=dict)
    absences: list[tuple[int, int]] = field(default_factory=list)
    place: int = -1
    begin_place: int = -1
    _place_box: NDArray[np.float32] | None = None

    @property
    def first(self) -> int:
        """The first frame with a detection."""
        return min(self.boxes)

    @property
    def last(self) -> int:
        """The last frame with a detection."""
        return max(self.boxes)

    @property
    def score(self) -> float:
        """Mean score of the detections."""
        return float(np.mean(list(self.scores.values())))

    @property
    def travel(self) -> float:
        """Largest distance between positions of the centre, in heights of the box.

        A person who comes nearer moves towards the camera: growth counts like a way in the image,
        without the tenths of the smallest and the largest boxes.
        """
        boxes = np.array([self.boxes[i] for i in sorted(self.boxes)])
        centres, heights = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 3] - boxes[:, 1]
        growth = np.ptp(np.percentile(heights, (10, 90)))
        height = max(float(np.median(heights)), 1.0)
        return float(np.linalg.norm([*np.ptp(centres, axis=0), growth]) / height)

    def forget(self, before: int) -> None:
        """Drops the detections before a frame, except the last one."""
        first = min(before, self.last)
        tail = self.split(first)
        self.boxes, self.scores, self.looks = tail.boxes, tail.scores, tail.looks
        self.place, self._place_box = tail.place, tail._place_box
        self.shapes = tail.shapes

    def take(self, other: Track) -> None:
        """Adds the detections of another track, which go on after this one."""
        self.boxes |= other.boxes
        self.scores |= other.scores
        self.shapes |= other.shapes
        self.looks |= other.looks
        self.state, self.place = other.state, other.place

    def split(self, frame: int) -> Track:
        """Removes the detections from a frame on; returns them as a track."""
        tail = Track(self.state, self.colour, place=self.place)
        tail._place_box = self._place_box
        tail.boxes, tail.scores = _taken(self.boxes, frame), _taken(self.scores, frame)
        tail.looks = _taken(self.looks, frame)
        tail.shapes = {at for at in self.shapes if at >= frame}
        self.shapes -= tail.shapes
        self.place, self._place_box = -1, None
        return tail

    def add(self, frame: int, seen: Detections, index: int) -> None:
        """Adds one detection of a frame."""
        box = seen.boxes_xyxy_px[index]
        place = seen.place(index)
        if not self.boxes:
            self.begin_place = place
        if place >= 0:
            self.place, self._place_box = place, box
        elif self._place_box is not None and iou_matrix(box[None], self._place_box[None]) < 0.5:
            self.place, self._place_box = -1, None  # it has left
        self.state = corrected(self.state, box)
        self.colour = np.asarray(0.9 * self.colour + 0.1 * seen.colours[index], np.float32)
        self.boxes[frame] = box
        self.scores[frame] = float(seen.scores[index])
        if seen.is_person[index]:
            self.shapes.add(frame)
        if seen.looks is not None:
            self.looks[frame] = seen.looks[index], float(seen.qualities[index])


class Tracker:
    """Tracks every object through the frames, step by step.

    Strong detections, with at least `high_score`, are assigned first; weak ones are assigned to the
    remaining tracks and never start one (as in ByteTrack). A track ends after `max_lost` frames
    without a detection.

    Attributes:
        frame: the number of the last frame, -1 before the first.
        tracks: all of them, in order of their first detection.
    """

    def __init__(self, max_lost: int, high_score: float = HIGH_SCORE) -> None:
        self._max_lost = max_lost
        self._high_score = high_score
        self.frame = -1
        self.tracks: list[Track] = []

    def step(self, seen: Detections) -> int:
        """Adds the next frame's detections and returns the number of that frame, from 0 on."""
        self.frame += 1
        frame = self.frame
        alive = self.alive()
        for track in alive:
            track.state = predicted(track.state)
            if frame - track.last > 5:  # damps the velocity of a person unseen for long
                track.state.mean[4:] *= 0.8
        strong = np.flatnonzero(seen.scores >= self._high_score)
        weak = np.flatnonzero(seen.scores < self._high_score)
        free, alive = _matched(alive, seen, strong, frame)
        _matched(alive, seen, weak, frame)
        for index in free:
            track = Track(started(seen.boxes_xyxy_px[index]), seen.colours[index])
            track.add(frame, seen, int(index))
            self.tracks.append(track)
        return frame

    def alive(self) -> list[Track]:
        """The tracks that have not ended."""
        return [track for track in self.tracks if self.frame - track.last <= self._max_lost]


def tracked(
    frames: Sequence[Detections], max_lost: int, high_score: float = HIGH_SCORE
) -> list[Track]:
    """The tracks through all frames; see `Tracker`."""
    tracker = Tracker(max_lost, high_score)
    for seen in frames:
        tracker.step(seen)
    return tracker.tracks


def linked(tracks: Sequence[Track], max_gap: int) -> list[Track]:
    """Joins a track that ends with one that starts later, if place, size and colour agree."""
    result = sorted(tracks, key=lambda track: (track.first, track.last))
    while True:
        costs = {
            (i, j): cost
            for i, first in enumerate(result)
            for j, second in enumerate(result)
            if i != j and (cost := _link_cost(first, second, max_gap)) < 1
        }
        if not costs:
            return result
        i, j = min(costs, key=lambda pair: (costs[pair], pair))
        first, second = result[i], result[j]
        first.take(second)
        del result[j]


def _taken(values: dict[int, Value], frame: int) -> dict[int, Value]:
    """Removes the values from a frame on, and returns them."""
    return {at: values.pop(at) for at in [at for at in values if at >= frame]}


def _matched(
    tracks: list[Track], seen: Detections, chosen: NDArray[np.intp], frame: int
) -> tuple[list[int], list[Track]]:
    """Assigns the chosen detections; returns the remaining detections and tracks."""
    if not tracks or not len(chosen):
        return chosen.tolist(), tracks
    places = np.stack([track.state.box_xyxy_px for track in tracks])
    overlap = iou_matrix(places, seen.boxes_xyxy_px[chosen])
    colours = np.stack([track.colour for track in tracks])
    alike = np.sqrt(colours[:, None] * seen.colours[chosen][None]).sum(axis=-1)
    cost = 1 - overlap + _COLOUR_WEIGHT * (1 - alike)
    if seen.places is not None:
        # A detection at a place belongs to the track that was there, not to one that passes.
        own, asked = np.array([t.place for t in tracks])[:, None], seen.places[chosen][None]
        cost += _PLACE_WEIGHT * np.where((own < 0) | (asked < 0), 0, np.where(own == asked, -1, 1))
    sizes, wanted = area(places)[:, None], area(seen.boxes_xyxy_px[chosen])[None]
    sized = np.minimum(sizes, wanted) > _LEAST_SIZE * np.maximum(sizes, wanted)
    cost = np.where((overlap > 0.15) & sized & (cost < _MAX_COST), cost, _NEVER)
    rows, columns = linear_sum_assignment(cost)
    taken_rows, taken = set(), set()
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if cost[row, column] < _NEVER:
            tracks[row].add(frame, seen, int(chosen[column]))
            taken_rows.add(row)
            taken.add(column)
    free = [int(index) for at, index in enumerate(chosen) if at not in taken]
    return free, [track for row, track in enumerate(tracks) if row not in taken_rows]


def _link_cost(first: Track, second: Track, max_gap: int) -> float:
    """Cost of a join: 0 for a certain continuation, 1 or more for none."""
    gap = second.first - first.last
    if 0 < gap <= 2 * max_gap and first.place == second.begin_place >= 0:
        return 0.1
    if not 0 < gap <= max_gap:
        return _NEVER
    end, start = first.boxes[first.last], second.boxes[second.first]
    heights = float(end[3] - end[1]), float(start[3] - start[1])
    tall = max(*heights, 1.0)
    if min(heights) < 0.6 * tall:
        return _NEVER
    way = float(np.hypot(*((start[:2] + start[2:] - end[:2] - end[2:]) / 2))) / tall
    alike = float(np.sqrt(first.colour * second.colour).sum())
    return way / (0.5 + 0.12 * gap) + 1.2 * (1 - alike)
