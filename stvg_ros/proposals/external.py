# SPDX-License-Identifier: Apache-2.0

"""Candidate tubes from detections of another node, which are already matched to frames.

The boxes are untrusted input: invalid ones are dropped and counted.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import iou_matrix
from stvg_ros.errors import ProposalError
from stvg_ros.external_detections import ExternalDetections
from stvg_ros.method.base import BaseProposer
from stvg_ros.method.interfaces import TargetObservation
from stvg_ros.proposals.interpolation import InterpolatedBoxes, filled, tubes_of
from stvg_ros.proposals.people.byte_track import HIGH_SCORE, Track, linked, tracked
from stvg_ros.proposals.people.hog_detector import Detections, colour_of
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.proposals.track_ids import NO_ID, judged
from stvg_ros.proposals.weak_image_map import WeakImageMap
from stvg_ros.types import CandidateTube, Clip, Frame, SplitQuery

_LOST_S = 1.5  # maximum time without a detection in a track
_LINK_S = 3.0
_SAME_PLACE = 0.2  # IoU from one detection to the next, for following without track ids

NOT_ASKED = "nothing was asked yet"


@dataclass
class MatchCounts:
    """Statistics of the received detections.

    Attributes:
        messages: number of messages.
        matched: messages whose stamp belongs to an image.
        boxes: boxes in the matched messages.
        dropped: boxes that are outside the image or invalid.
        newest_ns: stamp of the newest message.
        ids: decision on the ids at the last command.
    """

    messages: int = 0
    matched: int = 0
    boxes: int = 0
    dropped: int = 0
    newest_ns: int = 0
    ids: str = NOT_ASKED


class ExternalProposer(BaseProposer):
    """Links the detections of frames into tubes.

    Detections are kept as long as their frame exists, so memory is bounded by the window.

    Thread contract: any thread may call any method.
    """

    can_follow = True
    proposes_anytime = True

    def __init__(self, config: ProposalConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._detected: WeakImageMap[ExternalDetections] = WeakImageMap()
        self._counts = MatchCounts()
        self._no_tracks: frozenset[str] = NO_ID

    @property
    def name(self) -> str:
        """Name of this source in logs and reports."""
        return "external"

    @property
    def counts(self) -> MatchCounts:
        """Statistics of the received detections."""
        return self._counts

    def reconfigure(self, config: ProposalConfig) -> None:
        """Applies other dynamic settings from the next clip on."""
        self._config = config

    def received(self, stamp_ns: int) -> None:
        """Counts a message, matched or not."""
        with self._lock:
            self._counts.messages += 1
            self._counts.newest_ns = stamp_ns

    def put(self, frame: Frame, detected: ExternalDetections) -> None:
        """Stores the detections of a frame.

        Raises:
            ProposalError: the boxes are normalised instead of in pixels.
        """
        size_px = (frame.source_width_px, frame.source_height_px)
        if _normalised(detected.boxes_xyxy_px, size_px):
            with self._lock:
                self._counts.dropped += len(detected.track_ids)
            raise ProposalError(
                f"all boxes lie within 0 to 1, on an image of {size_px[0]} x {size_px[1]} px: they "
                "look normalised; expected pixels, so multiply them by the image's size"
            )
        usable = detected.usable(size_px)
        with self._lock:
            self._counts.matched += 1
            self._counts.boxes += len(usable.track_ids)
            self._counts.dropped += len(detected.track_ids) - len(usable.track_ids)
        self._detected.put(frame.image, usable)

    def of(self, frame: Frame) -> ExternalDetections | None:
        """The detections of a frame, or None if none have arrived."""
        return self._detected.get(frame.image)

    def is_track(self, name: str) -> bool:
        """Whether an id is a track id, according to the last command."""
        return name not in self._no_tracks

    def follower(self, frame: Frame, box_xyxy_px: NDArray[np.float32]) -> ExternalFollower:
        """A follower of the object at a box `(4,)` of a frame; see `Proposer`."""
        return ExternalFollower(self, frame, box_xyxy_px)

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        """Candidate tubes over every frame of the clip, best first; empty without detections.

        Raises:
            ProposalError: no detection message belongs to any of the images.
        """
        seen = {i: d for i, f in enumerate(clip.frames) if (d := self.of(f)) is not None}
        if not seen:
            raise ProposalError(self._why_none(clip))
        rate_hz = len(clip) / max((clip.stamps_ns[-1] - clip.stamps_ns[0]) / 1e9, 1e-3)
        max_gap = max(1, round(_LOST_S * rate_hz))
        ids = judged(seen, clip.stamps_ns, clip.size_px)
        self._no_tracks = frozenset(ids.refused) | NO_ID
        self._counts.ids = ids.summary
        named = [(track.boxes, float(np.mean(track.scores))) for track in ids.segments]
        tracks = [*named, *_by_place(clip, seen, self._no_tracks)]
        least = min(self._config.min_frames, len(clip))
        objects = []
        for boxes, score in tracks:
            places, present, interpolated = filled(boxes, clip.stamps_ns, smooth=0, max_gap=max_gap)
            if present.sum() >= least:
                objects.append(
                    InterpolatedBoxes(places.astype(np.float32), present, interpolated, score)
                )
        return tubes_of(objects, clip.size_px)

    def _why_none(self, clip: Clip) -> str:
        counts = self._counts
        if not counts.messages:
            return (
                f"no message has come on ~/detections for the {len(clip)} images; start the "
                "detector, or remap the topic to its detections"
            )
        apart_s = (counts.newest_ns - int(clip.stamps_ns[-1])) / 1e9
        return (
            f"none of {counts.messages} messages on ~/detections has the stamp of one of the "
            f"{len(clip)} images (the newest is {apart_s:+.3f} s from the newest image); let the "
            "detector copy the image's header, or raise proposals.slop_s or proposals.queue_size"
        )


Boxed = tuple[dict[int, NDArray[np.float32]], float]  # boxes by frame, and the mean score


def _normalised(boxes: NDArray[np.float32], size_px: tuple[int, int]) -> bool:
    """Whether all boxes have positive size and lie within about 0 to 1."""
    if not len(boxes) or max(size_px) < 16:
        return False
    sides = boxes[:, 2:] > boxes[:, :2]
    return bool(sides.all() and boxes.min() >= -0.5 and boxes.max() <= 1.5)


def _by_place(
    clip: Clip, seen: dict[int, ExternalDetections], no_tracks: frozenset[str]
) -> list[Boxed]:
    """Links boxes without a track id; the tracker steps over the detector's frames."""
    frames = sorted(seen)
    steps = [_unnamed(clip.frames[frame], seen[frame], no_tracks) for frame in frames]
    if not any(len(step.scores) for step in steps):
        return []
    span_s = (clip.stamps_ns[frames[-1]] - clip.stamps_ns[frames[0]]) / 1e9
    rate_hz = (len(frames) - 1) / max(span_s, 1e-3) if len(frames) > 1 else 1.0
    tracks: Sequence[Track] = tracked(steps, max(2, round(_LOST_S * rate_hz)))
    tracks = linked(tracks, max(2, round(_LINK_S * rate_hz)))
    return [
        ({frames[step]: box for step, box in track.boxes.items()}, track.score) for track in tracks
    ]


def _unnamed(frame: Frame, detected: ExternalDetections, no_tracks: frozenset[str]) -> Detections:
    rows = [index for index, name in enumerate(detected.track_ids) if name in no_tracks]
    boxes = detected.boxes_xyxy_px[rows]
    height, width = frame.image.shape[:2]
    factor = np.array([width / frame.source_width_px, height / frame.source_height_px] * 2)
    colours = [colour_of(frame.image, box) for box in (boxes * factor).astype(np.float32)]
    return Detections(
        boxes,
        # The detector has its own threshold: every published box may start a track.
        np.maximum(detected.scores[rows], HIGH_SCORE),
        np.ones(len(rows), np.bool_),
        np.array(colours, np.float32).reshape(-1, 64),
    )


class ExternalFollower:
    """Follows one detection by its track id, or by its position from one message to the next."""

    most_replayed = 1000

    def __init__(
        self, source: ExternalProposer, frame: Frame, box_xyxy_px: NDArray[np.float32]
    ) -> None:
        self._source = source
        self._box = box_xyxy_px
        self._name = ""
        self.update(frame)

    def update(self, frame: Frame) -> TargetObservation | None:
        """Position of the object in a later frame; see `Follower.update`."""
        detected = self._source.of(frame)
        if detected is None:
            return None
        if detected.track_ids.count(self._name) == 1 and self._source.is_track(self._name):
            index = detected.track_ids.index(self._name)
        elif len(detected.track_ids):
            overlaps = iou_matrix(self._box[None], detected.boxes_xyxy_px)[0]
            index = int(overlaps.argmax())
            if overlaps[index] < _SAME_PLACE:
                return self._sighting(seen=False)
        else:
            return self._sighting(seen=False)
        self._box, self._name = detected.boxes_xyxy_px[index], detected.track_ids[index]
        return self._sighting(seen=True)

    def _sighting(self, *, seen: bool) -> TargetObservation:
        x_min, y_min, x_max, y_max = map(float, self._box)
        return TargetObservation((x_min, y_min, x_max, y_max), seen)
