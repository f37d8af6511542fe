# SPDX-License-Identifier: Apache-2.0

"""Assigns frames to camera views, and stores the state of each view."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field

import numpy as np

from stvg_ros.boxes import Boxes
from stvg_ros.proposals.people.camera_motion import Stabilizer
from stvg_ros.types import Frame

Key = tuple[str, str, int, int]


@dataclass(eq=False)
class View:
    """One camera's view: its motion and the number of its observed frames.

    Attributes:
        key: stream, coordinate frame and size of its images.
        last_ns: stamp of its newest observed frame.
        turn: its last use, counted in observed frames of all views.
        people: boxes of the people in its newest searched frame, in scene pixels.
    """

    key: Key
    stabilizer: Stabilizer = field(default_factory=Stabilizer)
    count: int = 0
    last_ns: int = -(2**63)
    turn: int = 0
    people: Boxes = field(default_factory=lambda: np.zeros((0, 4), np.float32))


class Views:
    """The views of all cameras.

    Frames of one stream, coordinate frame and size belong to one view as long as their stamps
    increase; a stamp that does not increase starts a new view, since cameras without names that
    share a frame_id would otherwise share a state. A view is kept as long as its observations, so
    the windows that hold the frames bound the number of views.

    Thread contract: the caller holds a lock.
    """

    def __init__(self) -> None:
        self._views: list[weakref.ref[View]] = []
        self._turn = 0

    def __len__(self) -> int:
        return len(self._alive())

    def of(self, frame: Frame) -> View:
        """The view of a new frame, whose stamp becomes the view's newest."""
        key = frame.stream, frame.frame_id, frame.source_width_px, frame.source_height_px
        known = [each for each in self._alive() if each.key == key]
        earlier = [each for each in known if each.last_ns < frame.stamp_ns]
        if earlier:
            # Cameras with a common trigger have equal stamps and alternate.
            view = max(earlier, key=lambda each: (each.last_ns, -each.turn))
        else:
            view = View(key)
            self._views.append(weakref.ref(view))
        self._turn += 1
        view.last_ns, view.turn = frame.stamp_ns, self._turn
        return view

    def _alive(self) -> list[View]:
        alive = [(ref, view) for ref in self._views if (view := ref()) is not None]
        self._views = [ref for ref, _ in alive]
        return [view for _, view in alive]
