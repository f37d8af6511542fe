# SPDX-License-Identifier: Apache-2.0

"""Sources that observe each frame as it arrives and link the detections at a command."""

from __future__ import annotations

import copy
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes, scaled
from stvg_ros.errors import ProposalError
from stvg_ros.identity.descriptor import AppearanceDescriptor
from stvg_ros.identity.garment_colours import GarmentColours
from stvg_ros.method.base import BaseProposer
from stvg_ros.method.interruption import check_interruption
from stvg_ros.proposals.interpolation import SMOOTHING, InterpolatedBoxes, filled, held, tubes_of
from stvg_ros.proposals.people.appearance_links import linked_by_appearance
from stvg_ros.proposals.people.byte_track import HIGH_SCORE, Track, linked, tracked
from stvg_ros.proposals.people.camera_motion import (
    Image,
    Offset,
    looks_equal,
    stabilized,
    working_copy,
)
from stvg_ros.proposals.people.hog_detector import NOBODY, Detections, described
from stvg_ros.proposals.people.single_target_tracker import (
    MOST_SAMPLES,
    FrameObservation,
    TrackFollower,
)
from stvg_ros.proposals.people.views import Views
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.proposals.weak_image_map import WeakImageMap
from stvg_ros.types import CandidateTube, Clip, Frame, SplitQuery

_SEEN_EVERY = 5  # frames without a detection that a track may have at any frame rate
_UNSEEN_S = 1.5  # time without a detection that a track may have
_LINK_S = 3.0
_DESCRIBED_HZ = 4.0  # images a second whose people are described
_GARMENTS = GarmentColours()
# Frames that were too many to be searched on arrival are searched at a command only if no frame
# within this time was, or if they are the newest.
_NEAR_NS = 250_000_000


class StreamingTubes(BaseProposer, ABC):
    """Tracking by detection, for cameras that are static or turn slowly.

    `observe` does the costly part on arrival and keeps the result as long as the frame exists,
    so memory is bounded by the window that holds the frames. `propose` observes the remaining
    frames (without a search for people where frames nearby were searched), then links the
    detections of the whole clip and interpolates the tracks in both directions of time. The query
    is not used.

    Thread contract: any thread may call any method; one lock serialises the calls.
    """

    can_follow = True
    proposes_anytime = True

    def __init__(
        self,
        config: ProposalConfig,
        descriptor: AppearanceDescriptor | None = _GARMENTS,
    ) -> None:
        """Starts without observations.

        Args:
            config: settings of the sources.
            descriptor: describes people, for tracks whose motion is ambiguous; None tracks by
                motion and colour alone.
        """
        self._config = config
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._views = Views()
        self._observed: WeakImageMap[FrameObservation] = WeakImageMap()
        # Called with each frame that arrives and the boxes of its people, in the camera's pixels.
        self.on_people: Callable[[Frame, Boxes], None] | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of this source in logs and reports."""

    @abstractmethod
    def renewed(self) -> StreamingTubes:
        """The same source without its observations, for images of another recording."""

    @property
    def new_track_score(self) -> float:
        """Minimum score of a detection that starts a track."""
        return HIGH_SCORE

    def by_motion(self) -> StreamingTubes:
        """The same source with the same observations, whose tubes are linked by motion alone."""
        other = copy.copy(self)
        other._descriptor = None
        return other

    @abstractmethod
    def _people(self, image: Image, count: int) -> tuple[Boxes, NDArray[np.float32]] | None:
        """People in the `count`-th image of its camera; None if it was not searched.

        Returns:
            Boxes `(N, 4)` in the image's pixels and scores `(N,)`.
        """

    def _smoothing(self, rate_hz: float) -> int:
        """Frames over which the boxes of a track are averaged."""
        return SMOOTHING

    @abstractmethod
    def _seen(
        self, observed: Sequence[FrameObservation], images: Sequence[Image | None], origin: Offset
    ) -> list[Detections]:
        """The detections of each frame of a clip, in scene pixels relative to `origin`."""

    @abstractmethod
    def _is_object(self, track: Track, frame_count: int) -> bool:
        """Whether a track of a clip becomes a tube."""

    @property
    def _holds(self) -> bool:
        """Whether a tube goes on at rest where its person is no longer detected."""
        return False

    @property
    @abstractmethod
    def _least_seen(self) -> float:
        """Smallest share of a tube's frames with a detection."""

    @abstractmethod
    def _follower(
        self, past: Sequence[FrameObservation], frame: Frame, box_xyxy_px: NDArray[np.float32]
    ) -> TrackFollower:
        """A follower of the person at a box; `past` are the observations of this camera."""

    @property
    def fill(self) -> tuple[int, int]:
        """Number of stored observations, and the bytes of their working copies."""
        kept = list(self._observed)
        return len(kept), sum(item.copy.nbytes for item in kept)

    def reconfigure(self, config: ProposalConfig) -> None:
        """Applies other dynamic settings from the next clip on."""
        self._config = config

    def observe(self, frame: Frame) -> None:
        """Observes a frame on arrival, each camera's in order of the stamps; ignores repetitions.

        Raises:
            ProposalError: the image was refused.
        """
        observed = self._observation(frame)
        if self.on_people is None:
            return
        if observed.shapes is not None:
            boxes, scores = observed.shapes
            observed.view.people = boxes[scores >= self.new_track_score]
        # People of a frame that was not searched are near where they were in the last one.
        rows, columns = observed.copy.shape[:2]
        factors = frame.source_width_px / columns, frame.source_height_px / rows
        seen = observed.view.people + np.tile(observed.offset, 2)
        self.on_people(frame, scaled(seen, *factors))

    def detected(self, frame: Frame) -> tuple[Boxes, NDArray[np.float32]]:
        """People in a frame, which is observed if it was not; nobody if it is not searched.

        Returns:
            Boxes `(N, 4)` in the camera's pixels and scores `(N,)`.

        Raises:
            ProposalError: the image was refused.
        """
        observed = self._observation(frame)
        boxes, scores = observed.shapes or NOBODY
        rows, columns = observed.copy.shape[:2]
        factors = frame.source_width_px / columns, frame.source_height_px / rows
        return scaled(boxes + np.tile(observed.offset, 2), *factors), scores

    def follower(self, frame: Frame, box_xyxy_px: NDArray[np.float32]) -> TrackFollower:
        """A follower of the person at a box `(4,)` of a frame; see `Proposer`.

        Raises:
            ProposalError: the image was refused.
        """
        observed = self._observation(frame)
        past = [item for item in self._observed if item.view is observed.view]
        picks = np.linspace(0, len(past) - 1, min(len(past), MOST_SAMPLES)).astype(int)
        try:
            return self._follower([past[i] for i in picks], frame, box_xyxy_px)
        except cv2.error as error:
            raise self._refused(frame, error) from error

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        """Candidate tubes over every frame of the clip, best first; empty if nothing is detected.

        Raises:
            ProposalError: an image was refused.
        """
        known = [self._observed.get(frame.image) for frame in clip.frames]
        searched = [item is not None and item.shapes is not None for item in known]
        searched_ns = clip.stamps_ns[np.array(searched, np.bool_)]
        observed = []
        for frame in clip.frames:
            check_interruption()
            far = bool((np.abs(searched_ns - frame.stamp_ns) > _NEAR_NS).all())
            newest = frame is clip.frames[-1]  # where the tubes end
            observed.append(self._observation(frame, search=far or newest))
        try:
            return self._tubes(clip, observed)
        except cv2.error as error:
            raise self._refused(clip.frames[0], error) from error

    def _observation(self, frame: Frame, *, search: bool = True) -> FrameObservation:
        """The results that do not depend on other frames, computed once."""
        try:
            with self._lock:
                return self._new_observation(frame, search)
        except (cv2.error, RuntimeError) as error:
            raise self._refused(frame, error) from error

    def _new_observation(self, frame: Frame, search: bool) -> FrameObservation:
        known = self._observed.get(frame.image)
        if known is not None:
            return known
        view = self._views.of(frame)
        copy = working_copy(frame.image)
        offset = view.stabilizer(copy)
        people = self._people(frame.image, view.count) if search else None
        if people is not None:
            boxes, scores = people
            (height, width), (rows, columns) = frame.image.shape[:2], copy.shape[:2]
            people = scaled(boxes, columns / width, rows / height) - np.tile(offset, 2), scores
        view.count += 1
        observed = FrameObservation(view, copy, offset, people)
        self._observed.put(frame.image, observed)
        return observed

    def _tubes(self, clip: Clip, observed: Sequence[FrameObservation]) -> tuple[CandidateTube, ...]:
        origin = observed[len(observed) // 2].offset
        offsets = np.stack([item.offset - origin for item in observed])
        images = [stabilized(o.copy, own) for o, own in zip(observed, offsets, strict=True)]
        seen = self._seen(observed, images, origin)
        rate_hz = _rate_hz(clip)
        max_lost = max(_SEEN_EVERY, round(_UNSEEN_S * rate_hz))
        smooth = self._smoothing(rate_hz)
        max_gap = round(_LINK_S * rate_hz)
        if self._descriptor is None:
            tracks = linked(tracked(seen, max_lost, self.new_track_score), max_gap)
        else:
            every = max(1, round(rate_hz / _DESCRIBED_HZ))
            for at in range(0, len(seen), every):
                copy, moved = observed[at].copy, offsets[at]
                seen[at] = described(seen[at], copy, moved, self._descriptor)
            tracks = tracked(seen, max_lost, self.new_track_score)
            tracks = linked_by_appearance(tracks, max_gap, self._descriptor)

        def same(first: int, second: int, box: NDArray[np.float64]) -> bool:
            one, other = images[first], images[second]
            return one is not None and other is not None and looks_equal(one, other, box)

        height, width = observed[0].copy.shape[:2]
        factor = np.array([clip.size_px[0] / width, clip.size_px[1] / height] * 2)
        objects = []
        for track in tracks:
            if not self._is_object(track, len(clip)):
                continue
            boxes, present, interpolated = filled(track.boxes, clip.stamps_ns, smooth=smooth)
            for before, after in track.absences:
                present[before + 1 : after] = interpolated[before + 1 : after] = False
            stretched = held(boxes, present, same) if self._holds else present
            if len(track.boxes) < self._least_seen * stretched.sum():
                continue  # a thing that was taken for a person for a moment
            interpolated |= stretched & ~present
            source = ((boxes + np.tile(offsets, 2)) * factor).astype(np.float32)
            score = track.score * min(1.0, 0.5 + len(track.shapes) / 8)
            objects.append(InterpolatedBoxes(source, stretched, interpolated, score))
        return tubes_of(objects, clip.size_px)

    def _refused(self, frame: Frame, error: Exception) -> ProposalError:
        return ProposalError(
            f"the tubes of {self.name} failed on images of {frame.image.shape}: {error}; "
            "check the camera's image size"
        )


def _rate_hz(clip: Clip) -> float:
    stamps_ns = clip.stamps_ns
    if len(stamps_ns) < 2:
        return 10.0
    return float(np.clip(1e9 / np.median(np.diff(stamps_ns)), 1, 60))
