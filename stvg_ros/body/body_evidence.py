# SPDX-License-Identifier: Apache-2.0

"""What is measured on bodies, as a source of evidence for tubes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stvg_ros.body.choices import CHOICES, TOPICS
from stvg_ros.body.frame_choice import frames_to_measure
from stvg_ros.body.keypoints import COUNT
from stvg_ros.body.measures import Measure, measure_of
from stvg_ros.body.sentence_parts import phrases, stages
from stvg_ros.body.sequence import segments, span_frames, whole_run
from stvg_ros.body.settings import BodyConfig
from stvg_ros.body.track import BodyTrack
from stvg_ros.body.tracks import BodyMeter, Measurement, track_of
from stvg_ros.boxes import area
from stvg_ros.commands.command import Command, others_of
from stvg_ros.commands.reader import CommandReader
from stvg_ros.config import Config
from stvg_ros.method.conditions import distance_m
from stvg_ros.method.interruption import check_interruption
from stvg_ros.method.relations import related
from stvg_ros.proposals.people.camera_motion import Stabilizer, working_copy
from stvg_ros.types import CandidateTube, Clip, Frame, SourceFinding, SplitQuery

# Frames of a tube on which clothes are measured, which last, and poses, which change.
_FRAMES = {"looks": 12, "pose": 24}
_FALLBACK_HZ = 10.0


class BodyEvidence:
    """Measures the features of a command on the tubes; see `EvidenceSource`."""

    name = "body"

    def __init__(self, meter: BodyMeter, reader: CommandReader, config: BodyConfig) -> None:
        """`reader` reads the description of the other person of a relation."""
        self._meter, self._reader, self._config = meter, reader, config
        self._ticks: dict[str, int] = {}

    @property
    def stored_bytes(self) -> int:
        """Memory of the stored measurements."""
        return self._meter.nbytes

    def renewed(self) -> BodyEvidence:
        """The same estimator without stored measurements."""
        return BodyEvidence(self._meter.renewed(), self._reader, self._config)

    def reconfigure(self, config: Config) -> None:
        """Uses other dynamic settings from the next command on."""
        self._config = config.body
        self._meter.reconfigure(config.body.megabytes)

    def arrived(self, frame: Frame, boxes_xyxy_px: NDArray[np.float32]) -> None:
        """Measures the largest people of a frame that has arrived, if one is due.

        Frames are due on a fixed grid of time, the same that a command asks for.
        """
        rate_hz = self._config.rate_hz
        if not rate_hz:
            return
        tick = _ticks(np.array([frame.stamp_ns]), rate_hz)[0]
        if self._ticks.get(frame.stream) == tick:
            return
        self._ticks[frame.stream] = tick
        order = np.argsort(-area(boxes_xyxy_px), kind="stable")[: self._config.people]
        self._meter.observe(frame, boxes_xyxy_px[order])

    def unmeasured(self, split: SplitQuery) -> tuple[str, ...]:
        """See `EvidenceSource`."""
        if split.command is None:
            return (split.text,)
        sides = self._config.sides
        return tuple(
            feature.text for feature in split.command.features if measure_of(feature, sides) is None
        )

    def findings(
        self, clip: Clip, split: SplitQuery, candidates: Sequence[CandidateTube]
    ) -> tuple[SourceFinding, ...]:
        """See `EvidenceSource`."""
        command = split.command
        if command is None:
            return ()
        own, relation = self._measures(command), command.relation
        others = [self._measures(self._reader.read(text)) for text in others_of(relation)]
        every = [*own.values(), *(one for theirs in others for one in theirs.values())]
        if not every and not others:
            return ()
        tracks = self.tracks(clip, candidates, {one.needs for one in every})
        found = {i: found_on(measure, tracks, candidates) for i, measure in own.items()}
        found |= ordered(found, own, stages(command.features, command.target), tracks)
        said = phrases(command.features, command.target)
        result = [replace(one, words=said[i]) for i, one in found.items()]
        if relation is not None and others:
            fits = [_fit(theirs, tracks, candidates) for theirs in others]
            tubes = related(relation, fits, candidates, clip)
            result.append(SourceFinding("", relation.text, tubes))
        return tuple(replace(one, source=self.name) for one in result)

    def keypoints(
        self, clip: Clip, candidates: Sequence[CandidateTube], frames: NDArray[np.int64]
    ) -> dict[int, NDArray[np.float32]]:
        """See `EvidenceSource`."""
        wanted = np.zeros((len(candidates), len(clip)), np.bool_)
        for row, candidate in enumerate(candidates):
            wanted[row, frames] = candidate.present[frames]
        found = {}
        measured = self._measured(clip, candidates, wanted)
        for candidate, of_tube in zip(candidates, measured, strict=True):
            points = np.full((len(clip), COUNT, 3), np.nan, np.float32)
            for frame, known, row in of_tube:
                points[frame, :, :2] = known.points_px[row]
                points[frame, :, 2] = known.visibility[row]
            found[candidate.track_id] = points[frames]
        return found

    def described(self, clip: Clip, candidate: CandidateTube, asked: str) -> str:
        """See `EvidenceSource`."""
        topics = TOPICS.get(asked, TOPICS["description"])
        (track,) = self.tracks(clip, (candidate,), {"looks", "motion", "boxes"})
        said = []
        for topic in topics:
            best, nats = "", 0.0
            for words, feature in CHOICES[topic].items():
                measure = measure_of(feature, self._config.sides)
                assert measure is not None
                found = measure.whole(measure.frames(track, ()), track.seconds)
                if found > nats:
                    best, nats = words, found
            if best:
                said.append(best)
        return ", ".join(said)

    def _measures(self, command: Command) -> dict[int, Measure]:
        """The measures of a command's features, by the features' numbers."""
        found = (measure_of(feature, self._config.sides) for feature in command.features)
        return {i: measure for i, measure in enumerate(found) if measure is not None}

    def tracks(
        self, clip: Clip, candidates: Sequence[CandidateTube], needs: set[str]
    ) -> list[BodyTrack]:
        """The candidates with their measurements, measured where that was not done on arrival.

        Args:
            clip: F frames.
            candidates: tubes over the clip.
            needs: what measures read, see `Measure.needs`.
        """
        measured = self._measured(clip, candidates, self._frames(clip, candidates, needs))
        shift = camera_shift(clip) if needs & {"boxes", "motion"} else np.zeros((len(clip), 2))
        return [
            track_of(tube, clip, of_tube, shift, distances(clip, tube))
            for tube, of_tube in zip(candidates, measured, strict=True)
        ]

    def _measured(
        self, clip: Clip, candidates: Sequence[CandidateTube], wanted: NDArray[np.bool_]
    ) -> list[list[tuple[int, Measurement, int]]]:
        """For each candidate its frames, their measurements, and its row in them.

        Args:
            clip: F frames.
            candidates: N tubes over the clip.
            wanted: `(N, F)` which are measured where; of a frame the largest people only.
        """
        measured: list[list[tuple[int, Measurement, int]]] = [[] for _ in candidates]
        with self._meter.for_command():
            for frame in np.flatnonzero(wanted.any(axis=0)):
                check_interruption()
                rows = np.flatnonzero(wanted[:, frame]).tolist()
                boxes = np.stack([candidates[row].boxes_xyxy_px[frame] for row in rows])
                order = np.argsort(-area(boxes), kind="stable")[: self._config.people]
                known, places = self._meter.measured(clip.frames[frame], boxes[order])
                for row, place in zip((rows[i] for i in order), places, strict=True):
                    measured[row].append((int(frame), known, int(place)))
        return measured

    def _frames(
        self, clip: Clip, candidates: Sequence[CandidateTube], needs: set[str]
    ) -> NDArray[np.bool_]:
        """Which candidates are measured in which frames, `(N, F)`."""
        due = np.zeros((len(candidates), len(clip)), np.bool_)
        if not needs & {"looks", "pose", "motion"}:
            return due
        most = max((_FRAMES[need] for need in needs if need in _FRAMES), default=0)
        ticks = _ticks(clip.stamps_ns, self._config.rate_hz or _FALLBACK_HZ)
        on_grid = np.diff(ticks, prepend=ticks[0] - 1) > 0
        for row, tube in enumerate(candidates):
            on_time = tube.present & on_grid
            due[row] = on_time if on_time.any() else tube.present
        ready = np.zeros_like(due)
        for frame in np.flatnonzero(due.any(axis=0)):
            rows = np.flatnonzero(due[:, frame]).tolist()
            boxes = np.stack([candidates[row].boxes_xyxy_px[frame] for row in rows])
            ready[rows, frame] = self._meter.ready(clip.frames[frame], boxes)
        seconds = (clip.stamps_ns - clip.stamps_ns[0]) / 1e9
        return frames_to_measure(due, ready, seconds, None if "motion" in needs else most)


def _ticks(stamps_ns: NDArray[np.int64], rate_hz: float) -> NDArray[np.int64]:
    """The number of each stamp's interval on a fixed grid of time; 0.1 ms late is in time."""
    return np.asarray((stamps_ns + 100_000) * rate_hz // 1e9, np.int64)


def found_on(
    measure: Measure, tracks: Sequence[BodyTrack], candidates: Sequence[CandidateTube]
) -> SourceFinding:
    """The finding of one measure on all tubes."""
    tubes: dict[int, float] = {}
    frames: dict[int, NDArray[np.float64]] = {}
    for row, (track, candidate) in enumerate(zip(tracks, candidates, strict=True)):
        others = [*tracks[:row], *tracks[row + 1 :]]
        nats = measure.frames(track, others)
        if not nats.any():
            continue
        tubes[candidate.track_id] = measure.whole(nats, track.seconds)
        if not measure.lasts:
            frames[candidate.track_id] = nats
    return SourceFinding("", measure.text, tubes, frames)


def ordered(
    found: Mapping[int, SourceFinding],
    measures: Mapping[int, Measure],
    order: Sequence[Sequence[int]],
    tracks: Sequence[BodyTrack],
) -> dict[int, SourceFinding]:
    """The findings of what happens one after another, each measured in its own part of the time.

    Args:
        found: findings by the features' numbers.
        measures: likewise.
        order: numbers of features, stage by stage; others than measured ones do not count.
        tracks: of the tubes, all over the same frames.
    """
    parts = [[i for i in stage if i in found and not measures[i].lasts] for stage in order]
    parts = [stage for stage in parts if stage]
    if len(parts) < 2 or not tracks or len(tracks[0]) < len(parts):
        return {}
    seconds, nothing = tracks[0].seconds, np.zeros(len(tracks[0]))
    tubes: dict[int, dict[int, float]] = {i: {} for stage in parts for i in stage}
    frames: dict[int, dict[int, NDArray[np.float64]]] = {i: {} for i in tubes}
    for track in sorted({track for i in tubes for track in found[i].tubes}):
        nats = {i: found[i].frames.get(track, nothing) for i in tubes}
        sums = [np.asarray(sum(nats[i] for i in stage), np.float64) for stage in parts]
        times = segments(sums, seconds)
        run = whole_run(sums, times, seconds)
        for number, stage in enumerate(parts):
            first, last = times[number]
            for i in stage:
                if track in found[i].tubes:
                    own = slice(first, last)
                    tubes[i][track] = measures[i].whole(nats[i][own], seconds[own])
                    frames[i][track] = span_frames(nats[i], times, number, run)
    return {i: replace(found[i], tubes=tubes[i], frames=frames[i]) for i in tubes}


def _fit(
    measures: Mapping[int, Measure], tracks: Sequence[BodyTrack],
    candidates: Sequence[CandidateTube],
) -> list[float] | None:  # fmt: skip
    """How well a description fits each tube, in nats; None if it has no measure."""
    if not measures:
        return None
    found = [found_on(measure, tracks, candidates) for measure in measures.values()]
    return [sum(one.tubes.get(c.track_id, 0.0) for one in found) for c in candidates]


def camera_shift(clip: Clip) -> NDArray[np.float64]:
    """`(F, 2)` motion of the view in the camera's pixels, 0 in the first frame."""
    stabilizer, shifts = Stabilizer(), np.zeros((len(clip), 2))
    for index, frame in enumerate(clip.frames):
        copy = working_copy(frame.image)
        factor = np.array(clip.size_px) / (copy.shape[1], copy.shape[0])
        shifts[index] = stabilizer(copy) * factor
    return np.asarray(shifts - shifts[0], np.float64)


def distances(clip: Clip, tube: CandidateTube) -> NDArray[np.float64]:
    """`(F,)` median depth in the middle of the boxes, in metres; NaN without depth."""
    found = np.full(len(clip), np.nan)
    for index in np.flatnonzero(tube.present):
        distance = distance_m(clip, int(index), tube.boxes_xyxy_px[index])
        found[index] = np.nan if distance is None else distance
    return found
