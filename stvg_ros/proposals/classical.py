# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""Candidate tubes without a learned network: difference, HOG, Kalman tracks, then filling in."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_ros.config import ProposalConfig
from stvg_ros.errors import ProposalError
from stvg_ros.proposals.association import Track, linked, tracked
from stvg_ros.proposals.background import (
    Background,
    Regions,
    moving_regions,
    people_at,
    standing_places,
)
from stvg_ros.proposals.detection import Detections, ShapeDetector, merged
from stvg_ros.proposals.filling import Filled, filled, held, tubes_of
from stvg_ros.proposals.following import MOST_SAMPLES, ClassicalFollower, Observed
from stvg_ros.proposals.keeping import ByImage
from stvg_ros.proposals.stabilizing import (
    WORK_WIDTH_PX,
    Image,
    Offset,
    Stabilizer,
    looks_equal,
    stabilized,
    working_copy,
)
from stvg_ros.types import CandidateTube, Clip, Frame, SplitQuery

_SHAPE_EVERY = 4  # frames; the HOG detector costs more than all the rest
_SHAPE_MARGIN_S = 1.5  # a track may be unseen for so long
_LINK_S = 3.0
_LEAST_SEEN = 0.13  # of a track's frames; half of what the shape detector alone can reach
_MIN_TRAVEL = 0.6  # heights; what is not shaped like a person has to move
_SURE = 0.5  # score from which a shape in the background is a person


@dataclass
class _View:
    """One camera's view: how it moves, and how many of its frames were observed."""

    stabilizer: Stabilizer = field(default_factory=Stabilizer)
    count: int = 0


class ClassicalProposer:
    """People who move or are shaped like people, for cameras that stand or turn slowly.

    `observe` does the costly part as frames arrive and keeps it as long as the frame itself lives,
    so memory is bounded by the window that holds the frames. `propose` observes what is left, then
    works on the clip as a whole: the background is its median, and tracks are filled in both
    directions of time. The query is not used.

    Thread contract: any thread may call any method; one lock makes them wait for one another.
    """

    def __init__(self, config: ProposalConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._shapes = ShapeDetector()
        self._views: dict[str, _View] = {}
        self._observed: ByImage[Observed] = ByImage()

    @property
    def name(self) -> str:
        """What logs and reports call this source."""
        return "classical"

    @property
    def fill(self) -> tuple[int, int]:
        """Frames that are kept as observed, and the bytes of their working copies."""
        kept = list(self._observed)
        return len(kept), sum(item.copy.nbytes for item in kept)

    def reconfigure(self, config: ProposalConfig) -> None:
        """Uses other dynamic settings from the next clip on."""
        self._config = config

    def observe(self, frame: Frame) -> None:
        """Takes a frame as it arrives, each camera's in order of the stamps; a frame counts once.

        Raises:
            ProposalError: OpenCV refused the image.
        """
        try:
            with self._lock:
                self._observation(frame)
        except cv2.error as error:
            raise _refused(frame, error) from error

    def follower(self, frame: Frame, box_xyxy_px: NDArray[np.float32]) -> ClassicalFollower:
        """Follows the person at a box `(4,)` of a frame; see `StreamingProposer`.

        Raises:
            ProposalError: OpenCV refused the image.
        """

        def look(later: Frame) -> Observed:
            with self._lock:
                return self._observation(later)

        try:
            shape = look(frame).copy.shape
            past = [
                item
                for item in self._observed
                if item.view == frame.frame_id and item.copy.shape == shape
            ]
            picks = np.linspace(0, len(past) - 1, min(len(past), MOST_SAMPLES)).astype(int)
            return ClassicalFollower(
                look, self._config.min_height, [past[i] for i in picks], frame, box_xyxy_px
            )
        except cv2.error as error:
            raise _refused(frame, error) from error

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        """Candidate tubes over every frame of the clip, best first; empty when nothing is seen.

        Raises:
            ProposalError: OpenCV refused an image.
        """
        try:
            with self._lock:
                observed = [self._observation(frame) for frame in clip.frames]
            return self._tubes(clip, observed)
        except cv2.error as error:
            raise _refused(clip.frames[0], error) from error

    def _observation(self, frame: Frame) -> Observed:
        known = self._observed.get(frame.image)
        if known is not None:
            return known
        view = self._views.setdefault(frame.frame_id, _View())
        copy = working_copy(frame.image)
        offset = view.stabilizer(copy)
        shapes = None
        if view.count % _SHAPE_EVERY == 0:
            boxes, scores = self._shapes(frame.image)
            shapes = (boxes * (WORK_WIDTH_PX / frame.image.shape[1]) - np.tile(offset, 2), scores)
        view.count += 1
        observed = Observed(frame.frame_id, copy, offset, shapes)
        self._observed.put(frame.image, observed)
        return observed

    def _tubes(self, clip: Clip, observed: Sequence[Observed]) -> tuple[CandidateTube, ...]:
        origin = observed[len(observed) // 2].offset
        offsets = np.stack([item.offset - origin for item in observed])
        images = [stabilized(o.copy, own) for o, own in zip(observed, offsets, strict=True)]
        seen = self._seen(observed, images, origin)
        rate_hz = _rate_hz(clip)
        tracks = tracked(seen, max_lost=max(_SHAPE_EVERY + 1, round(_SHAPE_MARGIN_S * rate_hz)))
        tracks = linked(tracks, max_gap=round(_LINK_S * rate_hz))

        def same(first: int, second: int, box: NDArray[np.float64]) -> bool:
            one, other = images[first], images[second]
            return one is not None and other is not None and looks_equal(one, other, box)

        height, width = observed[0].copy.shape[:2]
        factor = np.array([clip.size_px[0] / width, clip.size_px[1] / height] * 2)
        objects = []
        for track in tracks:
            if not self._is_object(track, len(clip)):
                continue
            boxes, present, interpolated = filled(track.boxes, len(clip), smooth=True)
            stretched = held(boxes, present, same)
            interpolated |= stretched & ~present
            source = ((boxes + np.tile(offsets, 2)) * factor).astype(np.float32)
            score = float(np.mean(track.scores)) * min(1.0, 0.5 + track.shape_hits / 8)
            objects.append(Filled(source, stretched, interpolated, score))
        return tubes_of(objects, clip.size_px)

    def _seen(
        self, observed: Sequence[Observed], images: Sequence[Image | None], origin: Offset
    ) -> list[Detections]:
        """What each frame shows, in scene pixels relative to `origin`."""
        near = [image for image in images if image is not None]
        background = Background.of(near)
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
            seen.append(merged(item.copy if image is None else image, moving, shapes, numbers))
        return seen

    def _is_object(self, track: Track, frame_count: int) -> bool:
        """Long and often enough seen, and shaped like a person more than once or on the move."""
        length = track.last - track.first + 1
        if length < min(self._config.min_frames, frame_count):
            return False
        if len(track.boxes) < _LEAST_SEEN * length:
            return False
        wanted = 1 if frame_count <= _SHAPE_EVERY else 2
        return track.shape_hits >= wanted or track.travel >= _MIN_TRAVEL


def _refused(frame: Frame, error: Exception) -> ProposalError:
    return ProposalError(
        f"the classical tubes failed on images of {frame.image.shape}: {error}; "
        "check the camera's image size"
    )


def _rate_hz(clip: Clip) -> float:
    stamps_ns = clip.stamps_ns
    if len(stamps_ns) < 2:
        return 10.0
    return float(np.clip(1e9 / np.median(np.diff(stamps_ns)), 1, 60))
