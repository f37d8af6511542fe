# SPDX-License-Identifier: Apache-2.0

"""The true boxes of an annotation file's people as candidate tubes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stvg_lab.datasets.annotations import Track, track_tube
from stvg_ros.boxes import clipped
from stvg_ros.method.base import BaseProposer
from stvg_ros.types import CandidateTube, Clip, SplitQuery


class TrueTubes(BaseProposer):
    """Everybody whose boxes are known: measures choice and time without the source of tubes.

    One thread sets `people` before each grounding.

    Attributes:
        people: key frames by name, with the stamps of the clip's recording.
    """

    name = "true boxes"

    def __init__(self) -> None:
        self.people: Mapping[str, Track] = {}

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        """A tube for each person with a box in one of the frames, numbered in the file's order."""
        stamps_ns = clip.stamps_ns
        nothing = np.zeros(len(clip), np.bool_)
        tubes = []
        for number, track in enumerate(self.people.values()):
            tube = track_tube(track, stamps_ns)
            boxes = clipped(tube.boxes_xyxy_px, *clip.size_px)
            present = tube.present & (boxes[:, :2] < boxes[:, 2:]).all(axis=1)
            if present.any():
                tubes.append(CandidateTube(number, boxes, present, nothing))
        return tuple(tubes)
