# SPDX-License-Identifier: Apache-2.0

"""Samples of an evaluation: a sentence, its images, the time of the command, and the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stvg_lab.datasets.annotations import Entry, Track, read_annotations, true_tube
from stvg_lab.runs.scores import FrameTube
from stvg_ros.boxes import Boxes, clipped
from stvg_ros.errors import AnnotationError
from stvg_ros.io.recording import Source

# The true tube on frames with these stamps `(F,)` and numbers in their source `(F,)`; None for an
# absent target. Raises: AnnotationError, if it reads an invalid file.
Truth = Callable[[NDArray[np.int64], NDArray[np.int64]], FrameTube | None]


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample.

    Attributes:
        id: unique in the run.
        group: its row of the table.
        query: the sentence.
        source: location of the images.
        truth: returns the true tube on frames.
        present: whether there is a true tube.
        frames: the part of the source, as frame numbers, end excluded; None
            for all of it. The command is about the whole part, for any window duration.
        duration_s: approximate duration of that part; 0 if the command is about a robot's window.
        command_ns: see `annotations.Entry`.
        window_ns: see `annotations.Entry`.
        rate_hz: frames per second from the data set, for scorers that sample; 0 if it has none:
            then the stamps give the rate.
        problem: error of the annotation; such a sample fails without grounding.
        people: everybody whose true boxes are known, by name; with boxes at stamps of the source.
    """

    id: str
    group: str
    query: str
    source: Source
    truth: Truth
    present: bool = True
    frames: tuple[int, int] | None = None
    duration_s: float = 0.0
    command_ns: int | None = None
    window_ns: tuple[int, int] | None = None
    rate_hz: float = 0.0
    problem: str = ""
    people: Mapping[str, Track] = field(default_factory=dict)

    @property
    def replay_key(self) -> tuple[Source, tuple[int, int] | None, float]:
        """Samples with the same key share one pass over the images."""
        return self.source, self.frames, self.duration_s


def numbered_truth(
    first: int,
    boxes_xyxy_px: Boxes,
    present: NDArray[np.bool_],
    size_px: tuple[int, int] | None = None,
) -> Truth:
    """The truth of a data set that numbers frames.

    Args:
        first: number of the first true frame.
        boxes_xyxy_px: `(L, 4)`, one for each frame from the first on.
        present: `(L,)`, whether the frame has a box.
        size_px: width and height of the images, to which boxes are clipped, like answers; None
            does not clip.
    """
    last = first + len(present) - 1
    if size_px is not None:
        boxes_xyxy_px = clipped(boxes_xyxy_px, *size_px)
        present = present & (boxes_xyxy_px[:, :2] < boxes_xyxy_px[:, 2:]).all(axis=1)

    def truth(stamps_ns: NDArray[np.int64], numbers: NDArray[np.int64]) -> FrameTube:
        span = (numbers >= first) & (numbers <= last)
        rows = np.clip(numbers - first, 0, len(present) - 1)
        return FrameTube(boxes_xyxy_px[rows], present[rows] & span, span)

    return truth


def stamped_truth(
    entry: Entry,
    size_px: tuple[int, int] | None = None,
    tracks: Mapping[str, Track] | None = None,
) -> Truth:
    """The truth of an annotation file's entry, with boxes clipped to images of `size_px`."""

    def truth(stamps_ns: NDArray[np.int64], numbers: NDArray[np.int64]) -> FrameTube | None:
        if entry.span_ns is None:
            return None
        tube = true_tube(entry, stamps_ns, tracks)
        if size_px is None:
            return tube
        return replace(tube, boxes_xyxy_px=clipped(tube.boxes_xyxy_px, *size_px))

    return truth


def annotated_samples(
    path: Path, recording: Path | None = None, topic: str | None = None
) -> list[Sample]:
    """The samples of an annotation file.

    Args:
        path: the annotation file.
        recording: the bag or video, instead of the one in the file.
        topic: its image topic, instead of the one in the file.

    Raises:
        AnnotationError: the file is wrong, or neither it nor the caller names a recording.
    """
    annotations = read_annotations(path)
    if recording is None:
        if not annotations.recording:
            raise AnnotationError(
                f"{path}: recording: expected the path of a bag or video, got ''; "
                "name it there or with --bag"
            )
        recording = path.parent / annotations.recording
    people = annotations.people()
    source = Source(str(recording.resolve()), topic=annotations.topic if topic is None else topic)
    return [
        Sample(
            id=f"{path.stem}/{entry.id}",
            group=path.stem,
            query=entry.query,
            source=source,
            truth=stamped_truth(entry, annotations.size_px, annotations.tracks),
            present=entry.span_ns is not None,
            command_ns=entry.command_ns,
            window_ns=entry.window_ns,
            people=people,
        )
        for entry in annotations.entries
    ]
