# SPDX-License-Identifier: Apache-2.0

"""What is remembered of one tube: boxes, appearance, and a few pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from stvg_ros.crops import crop_quality, picture_of
from stvg_ros.frames import CandidateTube, Clip
from stvg_ros.identity.descriptor import TubeDescriptor
from stvg_ros.types import Picture, TubeBox

_MOST_CROPS = 3
_CROPS_APART_NS = 1_000_000_000
_COMPARED = 4  # frames of one addition whose crops are compared
_BOX_BYTES = 200  # of one box with its position


@dataclass(eq=False)
class RememberedTube:
    """Somebody who was in view of a camera. Not thread-safe.

    Attributes:
        number: unique within the memory; the track id in the clips of the memory.
        camera: name of the camera.
        appearance: mean over the tube's frames.
        boxes: by the stamps of the remembered images; with positions where depth was available.
        crops: its best pictures with their quality, best first.
        described_ns: newest frame in the appearance and the crops.
    """

    number: int
    camera: str
    appearance: TubeDescriptor
    boxes: dict[int, TubeBox] = field(default_factory=dict)
    crops: list[tuple[float, Picture]] = field(default_factory=list)
    described_ns: int = -(2**62)

    @property
    def span_ns(self) -> tuple[int, int]:
        """First and last stamp."""
        return min(self.boxes), max(self.boxes)

    @property
    def picture(self) -> Picture | None:
        """The best crop."""
        return self.crops[0][1] if self.crops else None

    @property
    def nbytes(self) -> int:
        """Memory of boxes, appearance and pictures."""
        vector = self.appearance.vector
        own = 0 if vector is None else 2 * vector.nbytes  # the sum is float64
        return own + _BOX_BYTES * len(self.boxes) + sum(len(p.jpeg) for _, p in self.crops)

    def candidate(self, stamps_ns: Sequence[int]) -> CandidateTube | None:
        """The tube over some remembered images; None if it is in none of them."""
        present = np.array([ns in self.boxes for ns in stamps_ns], np.bool_)
        if not present.any():
            return None
        boxes = np.zeros((len(stamps_ns), 4), np.float32)
        interpolated = np.zeros(len(stamps_ns), np.bool_)
        for row in np.flatnonzero(present):
            box = self.boxes[stamps_ns[int(row)]]
            boxes[row], interpolated[row] = box.box_xyxy_px, box.interpolated
        return CandidateTube(self.number, boxes, present, interpolated)

    def add_crops(self, clip: Clip, candidate: CandidateTube) -> None:
        """Keeps the best of the pictures that a candidate's new frames give."""
        new = np.flatnonzero(candidate.present & (clip.stamps_ns > self.described_ns))
        for row in new[:: -(-len(new) // _COMPARED)] if len(new) else ():
            frame, box = clip.frames[row], [float(x) for x in candidate.boxes_xyxy_px[row]]
            quality = crop_quality(frame, box)
            near = [
                one for one in self.crops
                if abs(one[1].stamp_ns - frame.stamp_ns) < _CROPS_APART_NS
            ]  # fmt: skip
            worst = min((known for known, _ in self.crops), default=0.0)
            full = len(self.crops) >= _MOST_CROPS
            if quality <= (max(q for q, _ in near) if near else worst if full else 0.0):
                continue
            picture = picture_of(frame, box)
            if picture is not None:
                kept = [one for one in self.crops if one not in near]
                ranked = sorted([*kept, (quality, picture)], key=lambda one: -one[0])
                self.crops = ranked[:_MOST_CROPS]

    def forget(self, before_ns: int) -> None:
        """Drops the boxes before a stamp, except the last one."""
        last_ns = max(self.boxes)
        for stamp_ns in [ns for ns in self.boxes if ns < min(before_ns, last_ns)]:
            del self.boxes[stamp_ns]
