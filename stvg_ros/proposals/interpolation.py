# SPDX-License-Identifier: Apache-2.0

"""Interpolates boxes of some frames to candidate tubes, and removes duplicate tubes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes, clipped, paired_iou
from stvg_ros.types import CandidateTube

SMOOTHING = 5  # frames
_HOLE = 2.5  # median steps; boxes are not averaged over a longer gap


@dataclass(frozen=True, eq=False)
class InterpolatedBoxes:
    """One object over all F frames of a clip; a `CandidateTube` without a track id."""

    boxes_xyxy_px: Boxes
    present: NDArray[np.bool_]
    interpolated: NDArray[np.bool_]
    score: float
    masks: NDArray[np.bool_] | None = None


def filled(
    seen: Mapping[int, NDArray[np.float32]],
    stamps_ns: NDArray[np.int64],
    *,
    smooth: int,
    max_gap: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Boxes `(F, 4)` between the first and the last frame of `seen`, linear in time in the gaps.

    Args:
        seen: boxes `(4,)` by frame, at least one.
        stamps_ns: `(F,)` increasing stamps of the clip's frames.
        smooth: over how many frames to average the boxes, against jitter; 0 for none.
        max_gap: longest gap in frames to fill; longer gaps stay empty. None fills all.

    Returns:
        The boxes, the frames with the object (`present`), and those of them whose box is not from
        `seen` (`interpolated`). Outside `present` the nearest box is repeated.
    """
    frames = np.array(sorted(seen))
    known = np.stack([seen[int(frame)] for frame in frames])
    count = len(stamps_ns)
    times = (stamps_ns - stamps_ns[0]).astype(np.float64)  # exact up to 100 days
    boxes = np.stack([np.interp(times, times[frames], known[:, k]) for k in range(4)], axis=1)
    first, last = int(frames[0]), int(frames[-1])
    if smooth:
        boxes[first : last + 1] = _smoothed(
            boxes[first : last + 1], times[first : last + 1], smooth
        )
        boxes[:first], boxes[last + 1 :] = boxes[first], boxes[last]
    present = np.zeros(count, np.bool_)
    present[first : last + 1] = True
    if max_gap is not None:
        for before, after in zip(frames[:-1].tolist(), frames[1:].tolist(), strict=True):
            if after - before - 1 > max_gap:
                present[before + 1 : after] = False
    interpolated = present.copy()
    interpolated[frames] = False
    return boxes, present, interpolated


def held(
    boxes: NDArray[np.float64],
    present: NDArray[np.bool_],
    same: Callable[[int, int, NDArray[np.float64]], bool],
) -> NDArray[np.bool_]:
    """Extends `present` at both ends over frames whose box has the same content.

    Args:
        boxes: `(F, 4)`, with the nearest box repeated outside `present`.
        present: `(F,)`.
        same: whether two frames have the same content inside a box.
    """
    first, last = np.flatnonzero(present)[[0, -1]].tolist()
    low, high = first, last
    while low > 0 and same(first, low - 1, boxes[first]):
        low -= 1
    while high < len(present) - 1 and same(last, high + 1, boxes[last]):
        high += 1
    frames = np.arange(len(present))
    outer = ((frames >= low) & (frames < first)) | ((frames > last) & (frames <= high))
    return np.asarray(present | outer, np.bool_)


def tubes_of(
    objects: Sequence[InterpolatedBoxes], size_px: tuple[int, int]
) -> tuple[CandidateTube, ...]:
    """Numbered tubes, best first, without those that overlap a better one.

    Boxes are clipped to the image; where nothing remains, the object is not present.
    """
    inside = []
    for item in objects:
        boxes = clipped(item.boxes_xyxy_px, *size_px)
        visible = item.present & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        if visible.any():
            shown = item.interpolated & visible
            inside.append(replace(item, boxes_xyxy_px=boxes, present=visible, interpolated=shown))
    return tuple(
        CandidateTube(
            number, item.boxes_xyxy_px, item.present, item.interpolated, item.score, item.masks
        )
        for number, item in enumerate(_distinct(inside))
    )


def _distinct(objects: Sequence[InterpolatedBoxes]) -> list[InterpolatedBoxes]:
    kept: list[InterpolatedBoxes] = []
    for item in sorted(objects, key=lambda o: -o.score * float(o.present.mean())):
        own = item.present
        shared = (
            np.where(
                own & other.present, paired_iou(item.boxes_xyxy_px, other.boxes_xyxy_px), 0
            ).sum()
            for other in kept
        )
        if all(overlap < 0.5 * own.sum() for overlap in shared):
            kept.append(item)
    return kept


def _smoothed(
    boxes: NDArray[np.float64], times: NDArray[np.float64], over: int
) -> NDArray[np.float64]:
    """Median, then mean over a few frames; a short track uses fewer.

    If the camera dropped images, the boxes before and after are far apart: each side is averaged
    separately.
    """
    steps = np.diff(times)
    holes = np.flatnonzero(steps > _HOLE * np.median(steps)) + 1 if len(steps) else steps
    return np.concatenate(
        [_averaged(part, over) for part in np.split(boxes, holes.astype(np.intp))]
    )


def _averaged(boxes: NDArray[np.float64], over: int) -> NDArray[np.float64]:
    half = min(over, len(boxes)) // 2
    for reduce in (np.median, np.mean):
        # Mirrored through the end points: a steady motion keeps its pace to both ends.
        padded = np.pad(boxes, ((half, half), (0, 0)), mode="reflect", reflect_type="odd")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=0)
        boxes = reduce(windows, axis=-1)
    return boxes
