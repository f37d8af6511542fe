# SPDX-License-Identifier: Apache-2.0

"""Whether people who come back are recognised by appearance alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped,unused-ignore]

from stvg_lab.rendered.reappearances import Absence, ReappearanceScene
from stvg_ros.boxes import Boxes, iou_matrix
from stvg_ros.identity.descriptor import AppearanceDescriptor, TubeDescriptor, qualities
from stvg_ros.types import Frame

_BEFORE_S = 5.0  # that a person is described for before they are out of sight
_AFTER_S = 2.5  # that everybody is described for afterwards
_FEWEST_OTHERS = 3
_COVERS = 0.5  # IoU of a detection with its person

# Descriptor and its quality of each person in a frame.
_Looks = Mapping[int, tuple[NDArray[np.float32], float]]


@dataclass(frozen=True)
class Recognition:
    """One person who came back.

    Attributes:
        right: whether they resemble their former self more than everybody else does.
        others: number of the other people in view.
        shares: see `Absence`.
    """

    right: bool
    others: int
    shares: str


def recognitions(
    made: ReappearanceScene,
    frames: Sequence[Frame],
    detected: Sequence[Boxes],
    descriptors: Sequence[AppearanceDescriptor],
) -> list[list[Recognition]]:
    """For each descriptor, one for each absence that ends with at least three others in view.

    Args:
        made: the scene.
        frames: its images, at its own size.
        detected: boxes `(N, 4)` of a detector in each of them; whose they are is taken from the
            truth. A person who is not detected is not recognised.
        descriptors: describe them, all of them on an image before the next image.
    """
    rows: dict[int, list[_Looks]] = {}

    def looks(frame: int) -> list[_Looks]:
        if frame not in rows:
            rows[frame] = _described(made, frame, frames[frame], detected[frame], descriptors)
        return rows[frame]

    found: list[list[Recognition]] = [[] for _ in descriptors]
    for absence in made.absences:
        before, after = _around(made, absence)
        for at, descriptor in enumerate(descriptors):
            query = TubeDescriptor(descriptor)
            for frame in before:
                if absence.person in looks(frame)[at]:
                    query.add(*looks(frame)[at][absence.person])
            gallery: dict[int, TubeDescriptor] = {}
            for frame in after:
                for person, (vector, quality) in looks(frame)[at].items():
                    gallery.setdefault(person, TubeDescriptor(descriptor)).add(vector, quality)
            others = [person for person in gallery if person != absence.person]
            if len(others) < _FEWEST_OTHERS:
                continue
            alike = query.similarities(list(gallery.values()))
            best = list(gallery)[int(alike.argmax())]
            right = best == absence.person
            found[at].append(Recognition(right, len(others), absence.shares))
    return found


def _around(made: ReappearanceScene, absence: Absence) -> tuple[range, range]:
    fps, count = made.scene.fps, made.scene.frame_count
    before = max(0, absence.start_frame - round(_BEFORE_S * fps))
    after = min(count, absence.end_frame + round(_AFTER_S * fps))
    return range(before, absence.start_frame), range(absence.end_frame, after)


def _described(
    made: ReappearanceScene,
    at: int,
    frame: Frame,
    boxes: Boxes,
    descriptors: Sequence[AppearanceDescriptor],
) -> list[_Looks]:
    """For each descriptor, what each person looks like who is detected in a frame."""
    shown = np.flatnonzero(made.shown[:, at])
    overlap = iou_matrix(made.scene.boxes_xyxy_px[shown, at], boxes)
    height, width = frame.image.shape[:2]
    good = qualities(boxes, width, height)
    pairs = [
        (int(shown[row]), int(column))
        for row, column in zip(*linear_sum_assignment(-overlap), strict=True)
        if overlap[row, column] >= _COVERS
    ]
    every = [descriptor(frame.image, boxes) for descriptor in descriptors]
    return [
        {person: (vectors[column], float(good[column])) for person, column in pairs}
        for vectors in every
    ]
