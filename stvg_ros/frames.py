# SPDX-License-Identifier: Apache-2.0

"""Frames of a camera, and the objects that were tracked in them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes, checked_boxes
from stvg_ros.depth import Depth

MAX_NAME_CHARACTERS = 256  # of ids, cameras and frame_ids, which are logged and kept


def short_name(name: str) -> str:
    """The name, at most `MAX_NAME_CHARACTERS` long: a longer one is cut and a digest appended.

    Different names stay different.
    """
    if len(name) <= MAX_NAME_CHARACTERS:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{name[: MAX_NAME_CHARACTERS - 20]}...-{digest}"


@dataclass(frozen=True, eq=False)
class Frame:
    """One camera image in the window.

    Attributes:
        stamp_ns: the image header's stamp.
        image: `(h, w, 3)` RGB uint8, possibly smaller than what the camera sent.
        source_width_px: width of the camera's own image; boxes are in its pixels.
        source_height_px: height of the camera's own image.
        frame_id: the header's coordinate frame; a very long one is shortened.
        depth: the aligned depth image of the same stamp, if any.
        stream: the camera or client session that sent it, if there are several; frame_ids may be
            equal.
    """

    stamp_ns: int
    image: NDArray[np.uint8]
    source_width_px: int
    source_height_px: int
    frame_id: str = ""
    depth: Depth | None = None
    stream: str = ""

    def __post_init__(self) -> None:
        shape, dtype = self.image.shape, self.image.dtype
        if len(shape) != 3 or shape[2] != 3 or 0 in shape or dtype != np.uint8:
            raise ValueError(f"Frame.image: expected (h, w, 3) uint8 RGB, got {shape} {dtype}")
        object.__setattr__(self, "frame_id", short_name(self.frame_id))
        if self.source_width_px < 1 or self.source_height_px < 1:
            raise ValueError(
                f"Frame: expected a positive source size, got "
                f"{self.source_width_px} x {self.source_height_px}"
            )

    @property
    def nbytes(self) -> int:
        """Memory of the pixels."""
        return self.image.nbytes + (self.depth.metres.nbytes if self.depth else 0)


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames in strict order of their stamps, all of one source size. An immutable snapshot.

    Attributes:
        frames: oldest first.
        tubes: candidate tubes over these frames, if they are known already; None leaves them to
            the grounder's source.
    """

    frames: tuple[Frame, ...]
    tubes: tuple[CandidateTube, ...] | None = None

    def __post_init__(self) -> None:
        if not self.frames:
            raise ValueError("Clip: expected at least one frame, got none")
        stamps = self.stamps_ns
        if np.any(np.diff(stamps) <= 0):
            at = int(np.argmax(np.diff(stamps) <= 0)) + 1
            raise ValueError(f"Clip: stamps must increase; frame {at} is at {stamps[at]} ns")
        if len({(f.source_width_px, f.source_height_px) for f in self.frames}) > 1:
            raise ValueError("Clip: expected one source size, got several")
        for tube in self.tubes or ():
            if len(tube.present) != len(self.frames):
                raise ValueError(
                    f"Clip.tubes: expected boxes for {len(self.frames)} frames, "
                    f"got {len(tube.present)}"
                )

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """Header stamps, `(F,)`."""
        return np.array([frame.stamp_ns for frame in self.frames], np.int64)

    def part(self, rows: NDArray[np.bool_]) -> Clip:
        """The frames of some rows `(F,)`, at least one, with the tubes that are in them."""
        frames = tuple(frame for frame, kept in zip(self.frames, rows, strict=True) if kept)
        if self.tubes is None:
            return Clip(frames)
        return Clip(frames, tuple(t.part(rows) for t in self.tubes if t.present[rows].any()))

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the camera's image."""
        return self.frames[0].source_width_px, self.frames[0].source_height_px


@dataclass(frozen=True, eq=False)
class CandidateTube:
    """One tracked object over all F frames of a clip.

    Attributes:
        track_id: unique within one answer of a proposer.
        boxes_xyxy_px: `(F, 4)` float32; rows where `present` is false are undefined.
        present: `(F,)` bool, whether the object is in the frame.
        interpolated: `(F,)` bool, whether the box was interpolated between detections.
        score: the source's confidence in the track, 0 to 1.
        masks: `(F, m, n)` bool, each covering the whole image, if the source provides them; a
            frame's mask is empty if it has only a box.
    """

    track_id: int
    boxes_xyxy_px: Boxes
    present: NDArray[np.bool_]
    interpolated: NDArray[np.bool_]
    score: float = 1.0
    masks: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        count = len(self.present)
        object.__setattr__(self, "boxes_xyxy_px", checked_boxes(self.boxes_xyxy_px, count))
        for name in ("present", "interpolated"):
            array = getattr(self, name)
            if array.shape != (count,) or array.dtype != np.bool_:
                raise ValueError(
                    f"CandidateTube.{name}: expected ({count},) bool, "
                    f"got {array.shape} {array.dtype}"
                )
        masks = self.masks
        if masks is not None and (
            masks.ndim != 3 or len(masks) != count or masks.dtype != np.bool_
        ):
            raise ValueError(
                f"CandidateTube.masks: expected ({count}, m, n) bool, "
                f"got {masks.shape} {masks.dtype}"
            )
        if not self.present.any():
            raise ValueError(f"CandidateTube {self.track_id}: expected a frame with the object")

    def part(self, rows: NDArray[np.bool_]) -> CandidateTube:
        """The same object over some rows `(F,)` of the frames; it is present in one of them."""
        return CandidateTube(
            self.track_id,
            self.boxes_xyxy_px[rows],
            self.present[rows],
            self.interpolated[rows],
            self.score,
            None if self.masks is None else self.masks[rows],
        )
