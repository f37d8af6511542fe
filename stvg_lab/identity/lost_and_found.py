# SPDX-License-Identifier: Apache-2.0

"""Follows one person through a long stream with losses: found again, or exchanged silently?"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.clips import scene_frames
from stvg_lab.rendered.reappearances import Absence, ReappearanceScene
from stvg_ros.boxes import paired_iou
from stvg_ros.config import Config
from stvg_ros.identity.descriptor import AppearanceDescriptor
from stvg_ros.identity.followed_target import TargetReport
from stvg_ros.identity.long_term_tracker import LongTermTracker
from stvg_ros.identity.tube_describer import TubeDescriber
from stvg_ros.proposals.people.streaming import StreamingTubes
from stvg_ros.runtime.recollection import Recollection
from stvg_ros.types import CandidateTube, Clip, Frame, Query, SplitQuery, Status, Tube, TubeBox
from stvg_ros.window import Window

_BEGIN = 10  # frames of the tube that is followed
_COVERS = 0.4  # IoU of a reported box with its person
_SWAP_S = 1.0  # somebody else who is reported for so long is an exchange
_PAUSE_S = 1.0  # between two looks for windows to remember
PARTS = ("observing", "following", "remembering")
_ANYBODY = SplitQuery("the person", "the person", "the person", "none")


@dataclass(frozen=True)
class Following:
    """What became of one target.

    Attributes:
        found_again: for each of its absences, whether it was followed again before the next one.
        delays_s: seconds from the return to that, of those found.
        silent_swaps: number of times at which another person was reported for a second or more:
            before the first absence, and from each of them to the next.
        spent_ms: processor time an image of each of `PARTS`.
        remembered_mb: the memory beyond the window, after each minute.
        resident_mb: all memory of the process, after each minute.
    """

    found_again: Sequence[bool]
    delays_s: Sequence[float]
    silent_swaps: Sequence[int]
    spent_ms: Mapping[str, float] = field(default_factory=dict)
    remembered_mb: Sequence[float] = ()
    resident_mb: Sequence[float] = ()


def following(
    made: ReappearanceScene,
    target: int,
    source: StreamingTubes,
    descriptor: AppearanceDescriptor,
    progress: Callable[[], object] = lambda: None,
) -> Following:
    """Streams a scene through the follower of the node.

    The appearance decides alone: no model is asked about the query.

    Args:
        made: the scene; the target is in view in its first second.
        target: number of the person to follow.
        source: detects people.
        descriptor: describes them.
        progress: called after each frame.
    """
    scene = made.scene
    owners = np.full(scene.frame_count, -1)  # whose box was reported as seen
    stream = _Stream(source.renewed(), descriptor)
    minute = round(60 * scene.fps)
    remembered: list[float] = []
    resident: list[float] = []
    for index, frame in enumerate(scene_frames(scene)):
        stream.add(frame)
        if index == _BEGIN - 1:
            boxes = scene.boxes_xyxy_px[target, :_BEGIN]
            stream.begin(boxes)
        elif index >= _BEGIN:
            for report in stream.reports(frame):
                if report.seen and report.frame is frame:
                    owners[index] = _owner(made, index, report)
        if (index + 1) % minute == 0:
            remembered.append(stream.remembered_bytes / 1e6)
            resident.append(_resident_mb())
        progress()
    absences = [absence for absence in made.absences if absence.person == target]
    starts = [0, *(absence.start_frame for absence in absences), scene.frame_count]
    found = [
        _found(owners[:end], target, absence)
        for absence, end in zip(absences, starts[2:], strict=True)
    ]
    least = round(_SWAP_S * scene.fps)
    return Following(
        tuple(at is not None for at in found),
        tuple(at / scene.fps for at in found if at is not None),
        tuple(_swaps(owners[start:end], target, least) for start, end in pairwise(starts)),
        {part: 1e3 * spent / scene.frame_count for part, spent in stream.spent_s.items()},
        tuple(remembered),
        tuple(resident),
    )


class _Stream:
    """A window, the source of tubes, the follower and the memory, as the node connects them."""

    def __init__(self, source: StreamingTubes, descriptor: AppearanceDescriptor) -> None:
        self._source = source
        self._config = config = Config()
        self._window = window = Window(config.window)
        describer = TubeDescriber(descriptor)
        self._tracker = LongTermTracker(
            source, describer, lambda camera: window, lambda: config.follow
        )
        self._recollection = Recollection(
            lambda: config, lambda camera: window, describer, lambda box, frame: box
        )
        self._worked_ns = 0
        self.spent_s = dict.fromkeys(PARTS, 0.0)

    @property
    def remembered_bytes(self) -> int:
        """The bytes of the memory."""
        return self._recollection.memory.fill[2]

    def add(self, frame: Frame) -> None:
        with self._timed("observing"):
            self._source.observe(frame)
            self._window.add(frame)

    def begin(self, boxes: NDArray[np.float32]) -> None:
        frames = self._window.snapshot().frames[-len(boxes) :]
        shown = []
        for frame, box in zip(frames, boxes, strict=True):
            x1, y1, x2, y2 = map(float, box)
            shown.append(TubeBox(frame.stamp_ns, (x1, y1, x2, y2), 1.0))
        query = Query("the person", "measured")
        self._tracker.begin(Tube(query, Status.FOUND, boxes=tuple(shown)))

    def reports(self, frame: Frame) -> list[TargetReport]:
        """What is new after a frame."""
        with self._timed("following"):
            said = self._tracker.update("", frame)
        searching = self._tracker.searching
        pause_s = self._config.follow.search_every_s if searching else _PAUSE_S
        if frame.stamp_ns - self._worked_ns >= 1e9 * pause_s:
            self._worked_ns = frame.stamp_ns
            with self._timed("following"):
                clip = self._tracker.search_clip("")
                if clip is not None:
                    said += self._searched(clip, self._source.propose(clip, _ANYBODY))
            with self._timed("remembering"):
                clip = self._recollection.due_clip("")
                if clip is not None:
                    candidates = self._source.propose(clip, _ANYBODY)
                    self._recollection.add("", clip, candidates)
            if clip is not None:
                with self._timed("following"):
                    said += self._searched(clip, candidates)
        return said

    def _searched(self, clip: Clip, candidates: tuple[CandidateTube, ...]) -> list[TargetReport]:
        said = self._tracker.searched("", clip, candidates)
        return said + (self._tracker.answered(None) if self._tracker.question else [])

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        begin = time.thread_time()
        try:
            yield
        finally:
            self.spent_s[part] += time.thread_time() - begin


def _owner(made: ReappearanceScene, index: int, report: TargetReport) -> int:
    """Whose box was reported; -1 for nobody's."""
    boxes = made.scene.boxes_xyxy_px[:, index]
    box = np.tile(np.array(report.box_xyxy_px, np.float32), (len(boxes), 1))
    overlap = np.where(made.shown[:, index], paired_iou(boxes, box), 0)
    return int(overlap.argmax()) if overlap.max() >= _COVERS else -1


def _found(owners: NDArray[np.int64], target: int, absence: Absence) -> int | None:
    """Frames from the return until the target is reported again; None if it is not."""
    seen = np.flatnonzero(owners[absence.end_frame :] == target)
    return int(seen[0]) if len(seen) else None


def _swaps(owners: NDArray[np.int64], target: int, least: int) -> int:
    """Runs of at least so many reports of one other person, without the target in between."""
    swaps = run = 0
    for owner in owners.tolist():
        if owner == target:
            run = 0
        elif owner >= 0:
            run += 1
            swaps += run == least
    return swaps


def _resident_mb() -> float:
    """The memory of this process now; NaN where the system does not say it."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return float("nan")
    return pages * resource.getpagesize() / 1e6
