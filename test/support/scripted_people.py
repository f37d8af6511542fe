# SPDX-License-Identifier: Apache-2.0

"""A drawn scene whose people come and go by a script, and a source that knows where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from drawn_people import HEIGHT, TALL, TOP, WIDE, WIDTH, draw, room

from stvg_ros.method.base import BaseProposer
from stvg_ros.method.interfaces import TargetObservation
from stvg_ros.types import CandidateTube, Clip, Frame, SplitQuery

RED, BLUE, GREEN = (200, 30, 30), (30, 60, 210), (30, 150, 60)
STEP_NS = 100_000_000


@dataclass(frozen=True)
class Walker:
    """Somebody who stands at `x` from one frame to another, in spells of `(first, last, x)`.

    Attributes:
        rgb: colour of the coat.
        spells: frames, both included, and the left edge of the box.
    """

    rgb: tuple[int, int, int]
    spells: Sequence[tuple[int, int, float]]

    def x_at(self, index: int) -> float | None:
        return next((float(x) for a, b, x in self.spells if a <= index <= b), None)


def frame_at(index: int, walkers: Sequence[Walker], start_ns: int = 10**9) -> Frame:
    """The drawn frame of this number, 0.1 s apart."""
    image = room()
    for walker in walkers:
        if (x := walker.x_at(index)) is not None:
            draw(image, x, walker.rgb)
    return Frame(start_ns + index * STEP_NS, image, WIDTH, HEIGHT, "camera")


def box_at(x: float) -> tuple[float, float, float, float]:
    return (x, float(TOP), x + WIDE, float(TOP + TALL))


class ScriptedSource(BaseProposer):
    """Sees everybody; follows whoever stands where the target stood in the frame before.

    `cameras` are the walkers by stream. A tube ends when its walker leaves.
    """

    name = "scripted"
    can_follow = True
    proposes_anytime = True
    most_replayed = 100

    def __init__(
        self, cameras: Mapping[str, Sequence[Walker]], start_ns: int = 10**9, near_px: float = 12.0
    ) -> None:
        self._cameras = cameras
        self._start_ns = start_ns
        self._near_px = near_px
        self.proposed = 0

    def places(self, frame: Frame) -> list[float | None]:
        index = (frame.stamp_ns - self._start_ns) // STEP_NS
        return [walker.x_at(index) for walker in self._cameras[frame.stream]]

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        self.proposed += 1
        tubes = []
        rows = [self.places(frame) for frame in clip.frames]
        for who in range(len(rows[0])):
            xs = [row[who] for row in rows]
            for spell in runs(xs):
                present = np.zeros(len(clip), np.bool_)
                present[spell] = True
                boxes = np.array([box_at(x or 0.0) for x in xs], np.float32)
                nothing = np.zeros(len(clip), np.bool_)
                tubes.append(CandidateTube(len(tubes), boxes, present, nothing))
        return tuple(tubes)

    def follower(self, frame: Frame, box) -> _Nearest:  # type: ignore[no-untyped-def]
        return _Nearest(self, float(box[0]))


class _Nearest:
    most_replayed = 100

    def __init__(self, source: ScriptedSource, x: float) -> None:
        self._source, self._x = source, x

    def update(self, frame: Frame) -> TargetObservation:
        xs = [x for x in self._source.places(frame) if x is not None]
        near = min(xs, key=lambda x: abs(x - self._x), default=None)
        seen = near is not None and abs(near - self._x) <= self._source._near_px
        if seen and near is not None:
            self._x = near
        return TargetObservation(box_at(self._x), seen)


def runs(xs: Sequence[float | None]) -> list[list[int]]:
    """The frames of each unbroken spell at one place."""
    found: list[list[int]] = []
    for index, x in enumerate(xs):
        if x is None:
            continue
        if found and found[-1][-1] == index - 1 and xs[index - 1] == x:
            found[-1].append(index)
        else:
            found.append([index])
    return found
