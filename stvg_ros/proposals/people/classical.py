# SPDX-License-Identifier: Apache-2.0

"""Candidate tubes without a neural network: background, HOG, Kalman tracks, interpolation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes
from stvg_ros.proposals.people.background import (
    BackgroundModel,
    Regions,
    moving_regions,
    people_at,
    standing_places,
)
from stvg_ros.proposals.people.byte_track import Track
from stvg_ros.proposals.people.camera_motion import Image, Offset
from stvg_ros.proposals.people.hog_detector import Detections, ShapeDetector, merged_detections
from stvg_ros.proposals.people.single_target_tracker import ClassicalFollower, FrameObservation
from stvg_ros.proposals.people.streaming import StreamingTubes
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import Frame

_SHAPE_EVERY = 4  # frames; the HOG detector costs more than all other steps
_LEAST_SEEN = 0.13  # of a track's frames; half of the maximum of the shape detector alone
_MIN_TRAVEL = 0.6  # heights; a region without a person's shape must move
_SURE = 0.5  # minimum score of a person's shape in the background


class ClassicalProposer(StreamingTubes):
    """Tubes of people, by motion and shape, for cameras that are static or turn slowly.

    The HOG detector searches every fourth image; the background is the clip's median. Thread
    contract: see `StreamingTubes`.
    """

    def __init__(self, config: ProposalConfig) -> None:
        super().__init__(config)
        self._shapes = ShapeDetector()

    @property
    def name(self) -> str:
        """Name of this source in logs and reports."""
        return "classical"

    def renewed(self) -> ClassicalProposer:
        """The same source without its observations."""
        return ClassicalProposer(self._config)

    def _people(self, image: Image, count: int) -> tuple[Boxes, NDArray[np.float32]] | None:
        return None if count % _SHAPE_EVERY else self._shapes(image)

    def _follower(
        self, past: Sequence[FrameObservation], frame: Frame, box_xyxy_px: NDArray[np.float32]
    ) -> ClassicalFollower:
        return ClassicalFollower(
            self._observation, frame, box_xyxy_px, self._config.min_height, past
        )

    def _seen(
        self, observed: Sequence[FrameObservation], images: Sequence[Image | None], origin: Offset
    ) -> list[Detections]:
        """The detections of each frame, in scene pixels relative to `origin`."""
        near = [image for image in images if image is not None]
        background = BackgroundModel.of(near)
        min_height_px = self._config.min_height * background.image.shape[0]
        regions = [
            Regions() if image is None else moving_regions(image, background, min_height_px)
            for image in images
        ]
        with self._lock:
            boxes, scores = self._shapes(background.image)
        places = standing_places(boxes[scores >= _SURE], [r.ghosts for r in regions])
        seen = []
        for item, image, changed in zip(observed, images, regions, strict=True):
            moving, numbers = changed.people, None
            if image is not None:
                moving, numbers = people_at(image, background, changed, places)
            shapes = None
            if item.shapes is not None:
                boxes = item.shapes[0] + np.tile(origin, 2)
                tall = boxes[:, 3] - boxes[:, 1] >= min_height_px
                shapes = boxes[tall], item.shapes[1][tall]
            seen.append(
                merged_detections(item.copy if image is None else image, moving, shapes, numbers)
            )
        return seen

    def _is_object(self, track: Track, frame_count: int) -> bool:
        """Whether a track is long, and moving or repeatedly person-shaped."""
        if track.last - track.first + 1 < min(self._config.min_frames, frame_count):
            return False
        wanted = 1 if frame_count <= _SHAPE_EVERY else 2
        return len(track.shapes) >= wanted or track.travel >= _MIN_TRAVEL

    @property
    def _least_seen(self) -> float:
        return _LEAST_SEEN

    @property
    def _holds(self) -> bool:
        return True  # who stands is not searched in each image, and does not differ
