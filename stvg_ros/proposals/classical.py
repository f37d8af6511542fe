"""Candidate tubes without a learned detector: motion and OpenCV's people detector, linked."""

from __future__ import annotations

import numpy as np

from stvg_ros.boxes import clipped, scaled
from stvg_ros.config import ProposalConfig
from stvg_ros.errors import ProposalError
from stvg_ros.proposals.detection import Detections, MotionDetector, PeopleDetector, distinct
from stvg_ros.proposals.tracking import HIGH_SCORE, Track, Tracker
from stvg_ros.types import CandidateTube, Clip, SplitQuery

_EVERY_S = 0.2  # between detections; the boxes between them are interpolated
_MAX_GAP_S = 2.0
_HOLD_S = 1.0  # how long a person is held before the first and after the last detection


class ClassicalProposer:
    """People and moving things of the whole window, for machines without a GPU."""

    name = "classical"

    def __init__(self, config: ProposalConfig) -> None:
        self._config = config
        self._people = PeopleDetector(config.min_height)

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        """Tubes over every frame of the clip; the query does not matter here.

        Raises:
            ProposalError: OpenCV failed.
        """
        try:
            tracks = self._tracks(clip)
        except Exception as error:
            raise ProposalError(
                f"the classical source failed ({type(error).__name__}: {error}); "
                "the images of the window may be damaged"
            ) from error
        tubes = [self._tube(number, track, clip) for number, track in enumerate(tracks)]
        return tuple(tubes)

    def _tracks(self, clip: Clip) -> list[Track]:
        images = [frame.image for frame in clip.frames]
        stamps_s = clip.stamps_ns / 1e9
        period_s = float(np.median(np.diff(stamps_s))) if len(clip) > 1 else 1.0
        tracker = Tracker(max(1, round(_MAX_GAP_S / period_s)))
        motion = MotionDetector(images, self._config.min_height)
        due_s = -np.inf
        for index, (image, now_s) in enumerate(zip(images, stamps_s, strict=True)):
            if now_s < due_s - 0.5 * period_s:
                continue
            due_s = now_s + _EVERY_S
            people, moving = self._people(image), motion(image)
            both = Detections(
                np.concatenate([people.boxes_xyxy_px, moving.boxes_xyxy_px]),
                np.concatenate([people.scores, moving.scores]),
            )
            tracker.update(index, image, distinct(both))
        return [track for track in tracker.tracks if self._is_person(track)]

    def _is_person(self, track: Track) -> bool:
        """Seen by the people detector more than once, or it moved for long enough."""
        people = sum(score > HIGH_SCORE for score in track.scores)
        width = float(np.median([box[2] - box[0] for box in track.boxes]))
        long_enough = track.frames[-1] - track.frames[0] + 1 >= self._config.min_frames
        moved = len(track.frames) >= 5 and track.moved_px > width
        return (long_enough or len(track.frames) == 1) and (people >= 2 or moved or _only(track))

    def _tube(self, number: int, track: Track, clip: Clip) -> CandidateTube:
        """Boxes for every frame: interpolated between detections, held a little at the ends."""
        count, stamps_ns = len(clip), clip.stamps_ns
        at = np.arange(count)
        boxes = np.stack(
            [np.interp(at, track.frames, edge) for edge in _smooth(track).T], axis=1
        ).astype(np.float32)
        hold_ns = int(_HOLD_S * 1e9)
        present = (stamps_ns >= stamps_ns[track.frames[0]] - hold_ns) & (
            stamps_ns <= stamps_ns[track.frames[-1]] + hold_ns
        )
        interpolated = np.ones(count, np.bool_)
        interpolated[track.frames] = False
        frame = clip.frames[0]
        boxes = scaled(
            boxes,
            frame.source_width_px / frame.image.shape[1],
            frame.source_height_px / frame.image.shape[0],
        )
        return CandidateTube(
            track_id=number,
            boxes_xyxy_px=clipped(boxes, *clip.size_px),
            present=present,
            interpolated=interpolated,
            score=float(np.mean(track.scores)),
        )


def _only(track: Track) -> bool:
    """A single frame, as in a clip of one image, counts when the people detector saw it."""
    return len(track.frames) == 1 and track.frames[0] == 0 and track.scores[0] > HIGH_SCORE


def _smooth(track: Track) -> np.ndarray:
    """The detected boxes `(K, 4)` with the jitter of their size averaged over neighbours."""
    boxes = np.array(track.boxes, np.float32)
    if len(boxes) < 3:
        return boxes
    padded = np.concatenate([boxes[:1], boxes, boxes[-1:]])
    return np.asarray((padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4, np.float32)
