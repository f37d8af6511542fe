# SPDX-License-Identifier: Apache-2.0

"""Tracks of one scene from the same detections: by this package, and by ByteTrack.

ByteTrack is that of the library `trackers`, which is optional.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from stvg_lab.identity.tracking_scores import FrameBoxes
from stvg_lab.rendered.reappearances import ReappearanceScene
from stvg_ros.boxes import Boxes
from stvg_ros.types import CandidateTube

LIBRARY = "trackers"
MISSING = (
    f"ByteTrack is not compared: the library {LIBRARY!r} is not installed; "
    "pip install --no-deps -r requirements/trackers.txt"
)


def library_installed() -> bool:
    """Whether ByteTrack can be compared with."""
    return find_spec(LIBRARY) is not None and find_spec("supervision") is not None


def true_rows(made: ReappearanceScene) -> list[FrameBoxes]:
    """The true boxes of everybody who is seen, by frame and person."""
    return [
        {
            int(person): made.scene.boxes_xyxy_px[person, frame]
            for person in np.flatnonzero(made.shown[:, frame])
        }
        for frame in range(made.scene.frame_count)
    ]


def tube_rows(tubes: Sequence[CandidateTube], count: int) -> list[FrameBoxes]:
    """The boxes of candidate tubes by frame and track id."""
    return [
        {tube.track_id: tube.boxes_xyxy_px[frame] for tube in tubes if tube.present[frame]}
        for frame in range(count)
    ]


def byte_track_rows(
    detected: Sequence[tuple[Boxes, NDArray[np.float32]]], fps: float, new_track_score: float
) -> list[FrameBoxes]:
    """The tracks of the library's ByteTrack.

    Args:
        detected: boxes `(N, 4)` and scores `(N,)` of each frame.
        fps: frames a second.
        new_track_score: score from which on a box begins a track; weaker ones extend tracks.

    Raises:
        ModuleNotFoundError: the library is not installed.
    """
    from supervision import Detections
    from trackers import ByteTrackTracker

    # The time without detections is that of the other tracker; everything else is its default.
    tracker = ByteTrackTracker(
        lost_track_buffer=90,  # of 30 a second: 3 s
        frame_rate=fps,
        track_activation_threshold=new_track_score,
        high_conf_det_threshold=new_track_score,
    )
    rows: list[FrameBoxes] = []
    for boxes, scores in detected:
        seen = Detections(
            xyxy=boxes.astype(np.float32), confidence=scores, class_id=np.zeros(len(boxes), int)
        )
        tracked = tracker.update(seen)
        numbers = np.zeros(0, int) if tracked.tracker_id is None else tracked.tracker_id
        rows.append(
            {
                int(number): np.asarray(box, np.float32)
                for number, box in zip(numbers, tracked.xyxy, strict=True)
                if number >= 0
            }
        )
    return rows
