# SPDX-License-Identifier: Apache-2.0

"""Follows one person from frame to frame among all others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes, clipped, iou_matrix
from stvg_ros.method.interfaces import TargetObservation
from stvg_ros.proposals.people.background import BackgroundModel, moving_regions
from stvg_ros.proposals.people.byte_track import HIGH_SCORE, Track, Tracker
from stvg_ros.proposals.people.camera_motion import Image, Offset, stabilized
from stvg_ros.proposals.people.hog_detector import (
    NOBODY,
    Detections,
    colour_of,
    detections,
    merged_detections,
)
from stvg_ros.proposals.people.kalman import started
from stvg_ros.proposals.people.views import View
from stvg_ros.types import Frame

MOST_SAMPLES = 31
_SAMPLE_EVERY = 5  # frames
_RENEW_EVERY = 15  # frames; the background
_REMEMBERED = 50  # frames
_MAX_LOST = 30  # frames


@dataclass(frozen=True, eq=False)
class FrameObservation:
    """The results of one frame that do not depend on other frames, computed on arrival.

    Attributes:
        view: the camera's view; kept as long as its observations.
        copy: the working copy.
        offset: of the camera's view, `(2,)`, in the copy's pixels.
        shapes: boxes `(N, 4)` in scene pixels and scores `(N,)` of people detected by shape;
            None in frames that were not searched.
    """

    view: View
    copy: Image
    offset: Offset
    shapes: tuple[Boxes, NDArray[np.float32]] | None


class TrackFollower(ABC):
    """Follows the person at a box and all others, so that identities are kept when people cross.

    Memory is bounded by a few seconds of each track.
    """

    most_replayed = 1000  # stored observations cost little

    def __init__(
        self,
        observe: Callable[[Frame], FrameObservation],
        frame: Frame,
        box_xyxy_px: NDArray[np.float32],
        high_score: float = HIGH_SCORE,
    ) -> None:
        """Starts at a box.

        Args:
            observe: observes a frame.
            frame: the frame of the box.
            box_xyxy_px: `(4,)` in pixels of the camera's image.
            high_score: minimum score of a detection that starts another person's track.
        """
        self._observe = observe
        self._tracker = Tracker(_MAX_LOST, high_score)
        observed = observe(frame)
        step = self._tracker.step(self._seen(observed, 0))
        height, width = observed.copy.shape[:2]
        factor = np.array([width / frame.source_width_px, height / frame.source_height_px] * 2)
        pixels = (box_xyxy_px * factor).astype(np.float32)
        box = pixels - np.tile(observed.offset, 2)
        track = Track(started(box), colour_of(observed.copy, pixels), {step: box}, {step: 1.0})
        # A detection at the box is the target itself, not a second object.
        others = self._tracker.tracks
        self._tracker.tracks = [
            other for other in others if iou_matrix(other.boxes[step][None], box[None])[0, 0] < 0.3
        ]
        self._tracker.tracks.append(track)
        self._target = track

    @abstractmethod
    def _seen(self, observed: FrameObservation, step: int) -> Detections:
        """The detections of the `step`-th frame, in scene pixels."""

    def update(self, frame: Frame) -> TargetObservation:
        """Position of the person in the next frame; see `Follower.update`."""
        observed = self._observe(frame)
        step = self._tracker.step(self._seen(observed, self._tracker.frame + 1))
        target = self._target
        alive = self._tracker.alive()
        self._tracker.tracks = alive if target in alive else [*alive, target]
        for track in self._tracker.tracks:
            track.forget(step - _REMEMBERED)
        height, width = observed.copy.shape[:2]
        box = target.state.box_xyxy_px + np.tile(observed.offset, 2)
        factor = np.array([frame.source_width_px / width, frame.source_height_px / height] * 2)
        limit = frame.source_width_px, frame.source_height_px
        inside = clipped((box * factor).astype(np.float32), *limit)
        x_min, y_min, x_max, y_max = map(float, inside)
        visible = x_max > x_min and y_max > y_min
        return TargetObservation((x_min, y_min, x_max, y_max), target.last == step and visible)


class PeopleFollower(TrackFollower):
    """Follows a person among the detections of a people detector."""

    def _seen(self, observed: FrameObservation, step: int) -> Detections:
        return detections(observed.copy, *(observed.shapes or NOBODY), observed.offset)


class ClassicalFollower(TrackFollower):
    """Follows a person among detected shapes and differences from the background.

    Memory is bounded by the background's samples as well.
    """

    def __init__(
        self,
        observe: Callable[[Frame], FrameObservation],
        frame: Frame,
        box_xyxy_px: NDArray[np.float32],
        min_height: float,
        past: Sequence[FrameObservation],
    ) -> None:
        """Starts at a box.

        Args:
            observe: observes a frame.
            frame: the frame of the box.
            box_xyxy_px: `(4,)` in pixels of the camera's image.
            min_height: minimum height of a person, as a share of the image.
            past: observations of this camera, for the background.
        """
        self._min_height = min_height
        self._samples = deque(past, MOST_SAMPLES)
        self._background: BackgroundModel | None = None
        self._origin: Offset = np.zeros(2, np.float32)
        super().__init__(observe, frame, box_xyxy_px)

    def _seen(self, observed: FrameObservation, step: int) -> Detections:
        if step % _SAMPLE_EVERY == 0:
            self._samples.append(observed)
        if self._background is None or step % _RENEW_EVERY == 0:
            self._origin = observed.offset
            images = [stabilized(s.copy, s.offset - self._origin) for s in self._samples]
            self._background = BackgroundModel.of([image for image in images if image is not None])
        image = stabilized(observed.copy, observed.offset - self._origin)
        moving = np.zeros((0, 4), np.float32)
        if image is not None:
            least_px = self._min_height * image.shape[0]
            moving = moving_regions(image, self._background, least_px).people
        shapes = observed.shapes
        origin = np.tile(self._origin, 2)
        if shapes is not None:
            shapes = shapes[0] + origin, shapes[1]
        seen = merged_detections(observed.copy if image is None else image, moving, shapes)
        return replace(seen, boxes_xyxy_px=seen.boxes_xyxy_px - origin)
