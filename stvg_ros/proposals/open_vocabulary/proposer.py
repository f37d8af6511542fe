# SPDX-License-Identifier: Apache-2.0

"""Candidate tubes of the objects that the query names: text detector, then mask tracker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stvg_ros.method.interfaces import TargetObservation
from stvg_ros.method.interruption import check_interruption
from stvg_ros.proposals.interpolation import InterpolatedBoxes, filled, tubes_of
from stvg_ros.proposals.open_vocabulary.mask_tracker import (
    Mask,
    MaskObservation,
    MaskTracker,
    Object,
    mask_iou,
)
from stvg_ros.proposals.open_vocabulary.phrase_proposer import PhraseProposer
from stvg_ros.proposals.open_vocabulary.text_detector import TextDetector
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import CandidateTube, Clip, Frame

_MASK_SIZE = 64  # of the masks kept for scoring; the attention maps are coarser


@dataclass(eq=False)
class MaskTrack:
    """One object: its observations by tracked frame.

    Attributes:
        start: the tracked frame of its detection.
        box_xyxy: `(4,)` its normalised box there.
        score: the detector's score.
    """

    start: int
    box_xyxy: NDArray[np.float32]
    score: float
    seen: dict[int, MaskObservation] = field(default_factory=dict)


class OpenVocabularyProposer(PhraseProposer):
    """Grounding DINO on every k-th tracked frame, SAM 2 or EdgeTAM between and beyond.

    Objects are tracked forward in time, and backward from their first detection. An object that
    is detected later is added then, unless its mask matches a known one.

    The phrase to detect is part of the query, so frames are not processed on arrival.

    Thread contract: one thread calls `propose`.
    """

    can_follow = True

    def __init__(self, config: ProposalConfig, detect: TextDetector, tracker: MaskTracker) -> None:
        super().__init__(config)
        self._detect = detect
        self._tracker = tracker

    @classmethod
    def load(cls, config: ProposalConfig) -> OpenVocabularyProposer:
        """Loads both models.

        Raises:
            ModelError, ConfigError: a checkpoint or the device cannot be used.
        """
        detect = TextDetector(
            config.detector, config.device, config.box_threshold, config.text_threshold
        )
        return cls(config, detect, MaskTracker.load(config.tracker, config.device))

    def follower(self, frame: Frame, box_xyxy_px: NDArray[np.float32]) -> MaskFollower:
        """A follower of the object at a box `(4,)` of a frame; see `Proposer`."""
        return MaskFollower(self._tracker.twin(), frame, box_xyxy_px)

    def _propose(self, clip: Clip, phrase: str) -> tuple[CandidateTube, ...]:
        config = self._config
        frames = sorted({*range(0, len(clip), config.track_every), len(clip) - 1})
        tracks = self._forward(clip, frames, phrase)
        self._backward(clip, frames, tracks)
        return tubes_of_tracks(tracks, frames, clip, config)

    def _forward(self, clip: Clip, frames: Sequence[int], phrase: str) -> list[MaskTrack]:
        tracks: list[MaskTrack] = []
        running: list[tuple[MaskTrack, Object]] = []
        for step, frame in enumerate(frames):
            check_interruption()
            image = clip.frames[frame].image
            self._tracker.set_image(image, step)
            for track, item in running:
                track.seen[step] = self._tracker.step(item)
            if step % self._config.detect_every:
                continue
            known = [track.seen[step].mask for track, _ in running]
            boxes, scores = self._detect(image, phrase)
            size = np.array([image.shape[1], image.shape[0]] * 2, np.float32)
            for box, score in zip(boxes / size, scores.tolist(), strict=True):
                if len(tracks) >= self._config.max_objects:
                    break
                item, seen = self._tracker.start(box)
                if self._is_new(seen.mask, known):
                    known.append(seen.mask)
                    tracks.append(MaskTrack(step, box, score, {step: seen}))
                    running.append((tracks[-1], item))
        return tracks

    def _backward(self, clip: Clip, frames: Sequence[int], tracks: Sequence[MaskTrack]) -> None:
        """Tracks objects backward, since the detector may have missed them before."""
        running: list[tuple[MaskTrack, Object]] = []
        latest = max((track.start for track in tracks), default=0)
        for step in range(latest, -1, -1) if latest else ():
            check_interruption()
            self._tracker.set_image(clip.frames[frames[step]].image, step)
            for track, item in running:
                track.seen[step] = self._tracker.step(item)
            for track in tracks:
                if track.start == step > 0:
                    running.append((track, self._tracker.start(track.box_xyxy, reverse=True)[0]))

    def _is_new(self, mask: Mask, known: Sequence[Mask]) -> bool:
        return bool(mask.any()) and all(
            mask_iou(mask, other) < self._config.merge_iou for other in known
        )


class MaskFollower:
    """Follows one object by its mask, frame after frame."""

    most_replayed = 10  # each frame costs a pass of the tracker's image tower

    def __init__(
        self, tracker: MaskTracker, frame: Frame, box_xyxy_px: NDArray[np.float32]
    ) -> None:
        self._tracker = tracker
        self._box = box_xyxy_px
        self._count = 0
        tracker.set_image(frame.image, 0)
        self._item, _ = tracker.start((box_xyxy_px / _size_of(frame)).astype(np.float32))

    def update(self, frame: Frame) -> TargetObservation:
        """Position of the object in a later frame; see `Follower.update`."""
        self._count += 1
        self._tracker.set_image(frame.image, self._count)
        box = self._tracker.step(self._item).box_xyxy
        if box is not None:
            self._box = box * _size_of(frame)
        x_min, y_min, x_max, y_max = map(float, self._box)
        return TargetObservation((x_min, y_min, x_max, y_max), box is not None)


def _size_of(frame: Frame) -> NDArray[np.float32]:
    return np.array([frame.source_width_px, frame.source_height_px] * 2, np.float32)


def tubes_of_tracks(
    tracks: Sequence[MaskTrack], frames: Sequence[int], clip: Clip, config: ProposalConfig
) -> tuple[CandidateTube, ...]:
    """Tubes with masks of the tracks that are long enough, best first.

    Args:
        tracks: their observations by index in `frames`.
        frames: the tracked frames of the clip.
        clip: the images.
        config: the settings.
    """
    least = min(config.min_frames, len(clip))
    objects = []
    for track in merged_tracks(tracks, config.merge_iou):
        item = _filled(track, frames, clip, config.track_every)
        if item.present.sum() >= least:
            objects.append(item)
    return tubes_of(objects, clip.size_px)


def merged_tracks(tracks: Sequence[MaskTrack], least_iou: float) -> list[MaskTrack]:
    """The tracks after merging those of one object, whose masks agree wherever both are visible."""
    kept: list[MaskTrack] = []
    for track in tracks:
        for other in kept:
            both = [step for step in track.seen if step in other.seen and _visible(track, step)]
            both = [step for step in both if _visible(other, step)]
            ious = [mask_iou(track.seen[step].mask, other.seen[step].mask) for step in both]
            if ious and float(np.mean(ious)) >= least_iou:
                gaps = {s: seen for s, seen in track.seen.items() if not _visible(other, s)}
                other.seen.update(gaps)
                break
        else:
            kept.append(track)
    return kept


def _visible(track: MaskTrack, step: int) -> bool:
    return step in track.seen and track.seen[step].box_xyxy is not None


def _filled(track: MaskTrack, frames: Sequence[int], clip: Clip, stride: int) -> InterpolatedBoxes:
    """The track over all frames, in pixels of the camera."""
    size = np.array(clip.size_px * 2, np.float32)
    boxes, masks = {}, np.zeros((len(clip), _MASK_SIZE, _MASK_SIZE), np.bool_)
    for step, seen in track.seen.items():
        if seen.box_xyxy is not None:
            boxes[frames[step]] = (seen.box_xyxy * size).astype(np.float32)
            masks[frames[step]] = _reduced(seen.mask)
    places, present, interpolated = filled(boxes, clip.stamps_ns, smooth=0, max_gap=stride - 1)
    return InterpolatedBoxes(places.astype(np.float32), present, interpolated, track.score, masks)


def _reduced(mask: Mask) -> Mask:
    """The mask at `_MASK_SIZE` square: a cell is in the mask if its centre is."""
    rows, columns = (
        ((np.arange(_MASK_SIZE) + 0.5) * side / _MASK_SIZE).astype(int) for side in mask.shape
    )
    return mask[np.ix_(rows, columns)]
