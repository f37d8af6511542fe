# SPDX-License-Identifier: Apache-2.0

"""The appearance in candidate tubes, described on a few frames of each."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes
from stvg_ros.frames import CandidateTube, Clip, Frame
from stvg_ros.identity.descriptor import AppearanceDescriptor, TubeDescriptor, qualities

MOST_FRAMES = 8  # of a tube


class TubeDescriber:
    """Describes tubes with one descriptor.

    Thread contract: any thread; one lock serialises the calls.
    """

    def __init__(self, descriptor: AppearanceDescriptor) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The descriptor's name."""
        return self._descriptor.name

    def empty(self) -> TubeDescriptor:
        """The appearance of somebody of whom nothing has been seen."""
        return TubeDescriptor(self._descriptor)

    def joined(self, parts: Sequence[TubeDescriptor]) -> TubeDescriptor:
        """The appearance of one person in several parts."""
        whole = self.empty()
        for part in parts:
            whole.join(part)
        return whole

    def of_box(self, frame: Frame, box_xyxy_px: Sequence[float]) -> TubeDescriptor:
        """The appearance in one box of a frame."""
        return self._of_people(frame, np.array([box_xyxy_px], np.float32), [0])[0]

    def of_boxes(
        self, frames: Sequence[Frame], boxes_xyxy_px: Sequence[Sequence[float]]
    ) -> TubeDescriptor:
        """The appearance in one tube, a box in each frame; others are not known.

        Args:
            frames: N frames.
            boxes_xyxy_px: N boxes `(4,)` in pixels of the camera's image.
        """
        rows = spread(len(frames), MOST_FRAMES)
        return self.joined([self.of_box(frames[i], boxes_xyxy_px[i]) for i in rows])

    def of_tubes(
        self,
        clip: Clip,
        candidates: Sequence[CandidateTube],
        since_ns: Sequence[int] | int = -(2**62),
        most: int = MOST_FRAMES,
    ) -> list[TubeDescriptor]:
        """The appearance in each candidate tube.

        Args:
            clip: the frames of the tubes.
            candidates: everybody in the frames; their boxes show who hides whom.
            since_ns: only frames after this stamp are described, one for all or one for each tube.
            most: maximum number of frames of a tube.
        """
        since = [since_ns] * len(candidates) if isinstance(since_ns, int) else since_ns
        stamps_ns = clip.stamps_ns
        wanted: dict[int, list[int]] = defaultdict(list)
        for index, candidate in enumerate(candidates):
            there = np.flatnonzero(candidate.present & (stamps_ns > since[index]))
            # Boxes between two detections may lie beside the person.
            detected = [i for i in there if not candidate.interpolated[i]]
            rows = detected if len(detected) >= min(3, len(there)) else list(there)
            for at in spread(len(rows), most):
                wanted[int(rows[at])].append(index)
        found = [self.empty() for _ in candidates]
        for row, asked in sorted(wanted.items()):
            shown = [i for i, one in enumerate(candidates) if one.present[row]]
            boxes = np.stack([candidates[i].boxes_xyxy_px[row] for i in shown])
            parts = self._of_people(clip.frames[row], boxes, [shown.index(i) for i in asked])
            for index, part in zip(asked, parts, strict=True):
                found[index].join(part)
        return found

    def _of_people(
        self, frame: Frame, boxes_xyxy_px: Boxes, asked: Sequence[int]
    ) -> list[TubeDescriptor]:
        """The appearance of the asked ones among all people of a frame."""
        height, width = frame.image.shape[:2]
        scale = np.array([width / frame.source_width_px, height / frame.source_height_px] * 2)
        boxes = (boxes_xyxy_px * scale).astype(np.float32)
        good = qualities(boxes, width, height)[list(asked)]
        with self._lock:
            vectors = self._descriptor(frame.image, boxes[list(asked)])
        parts = [self.empty() for _ in asked]
        for part, vector, quality in zip(parts, vectors, good, strict=True):
            part.add(vector, float(quality))
        return parts


def spread(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` indices into `count` items, spread evenly, the last one included."""
    if count <= most:
        return np.arange(count, dtype=np.int64)
    return np.asarray(np.linspace(count - 1, 0, most).round()[::-1], np.int64)
