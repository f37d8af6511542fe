"""Candidate tubes without a learned network: difference, HOG, Kalman tracks, then filling in."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes, clipped, paired_iou
from stvg_ros.config import ProposalConfig
from stvg_ros.errors import ProposalError
from stvg_ros.proposals.association import Track, linked, tracked
from stvg_ros.proposals.detection import (
    Image,
    ShapeDetector,
    background_of,
    looks_equal,
    merged,
    moving_regions,
    standing,
    standing_places,
    working_copies,
)
from stvg_ros.types import CandidateTube, Clip, SplitQuery

_SHAPE_EVERY = 4  # frames; the HOG detector costs more than all the rest
_SHAPE_MARGIN_S = 1.5  # a track may be unseen for so long
_LINK_S = 3.0
_MIN_TRAVEL = 0.6  # heights; what is not shaped like a person has to move
_SMOOTHING = 5  # frames


class ClassicalProposer:
    """People who move or are shaped like people, for cameras that stand (nearly) still.

    The whole clip is at hand, so the background is its median and tracks are filled in both
    directions of time. The query is not used. One thread uses an instance at a time.
    """

    def __init__(self, config: ProposalConfig) -> None:
        self._config = config
        self._shapes = ShapeDetector()

    @property
    def name(self) -> str:
        """What logs and reports call this source."""
        return "classical"

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        """Candidate tubes over every frame of the clip, best first; empty when nothing is seen.

        Raises:
            ProposalError: OpenCV refused an image.
        """
        try:
            return self._propose(clip)
        except cv2.error as error:
            raise ProposalError(
                f"the classical tubes failed on a clip of {len(clip)} images, the first "
                f"{clip.frames[0].image.shape}: {error}; check the camera's image size"
            ) from error

    def _propose(self, clip: Clip) -> tuple[CandidateTube, ...]:
        sources = [frame.image for frame in clip.frames]
        images, shake = working_copies(sources)
        background = background_of(images)
        min_height_px = self._config.min_height * background.shape[0]
        shape_frames = {*range(0, len(images), _SHAPE_EVERY), len(images) - 1}
        regions = [moving_regions(image, background, min_height_px) for image in images]
        places = standing_places([ghosts for _, ghosts in regions])
        seen = []
        for index, (image, (moving, _)) in enumerate(zip(images, regions, strict=True)):
            moving = np.concatenate([moving, standing(image, background, places)])
            shaped = None
            if index in shape_frames:
                boxes, scores = self._shapes(sources[index])
                boxes = boxes * (image.shape[1] / sources[index].shape[1])
                boxes = boxes - np.tile(shake[index], 2)
                tall = boxes[:, 3] - boxes[:, 1] >= min_height_px
                shaped = (boxes[tall].astype(np.float32), scores[tall])
            seen.append(merged(image, moving, shaped))
        rate_hz = _rate_hz(clip)
        tracks = tracked(seen, max_lost=max(_SHAPE_EVERY + 1, round(_SHAPE_MARGIN_S * rate_hz)))
        tracks = linked(tracks, max_gap=round(_LINK_S * rate_hz))
        kept = [t for t in tracks if self._is_object(t, len(images))]
        tubes = [_filled(track, images, shake, clip.size_px) for track in kept]
        return tuple(
            CandidateTube(number, boxes, present, interpolated, score)
            for number, (boxes, present, interpolated, score) in enumerate(_distinct(tubes))
        )

    def _is_object(self, track: Track, frame_count: int) -> bool:
        """Long enough, and either shaped like a person more than once or on the move."""
        if frame_count >= self._config.min_frames and (
            track.last - track.first + 1 < self._config.min_frames
        ):
            return False
        wanted = 1 if frame_count <= _SHAPE_EVERY else 2
        return track.shape_hits >= wanted or track.travel >= _MIN_TRAVEL


_Filled = tuple[Boxes, NDArray[np.bool_], NDArray[np.bool_], float]


def _filled(
    track: Track, images: Sequence[Image], shake: NDArray[np.float32], size_px: tuple[int, int]
) -> _Filled:
    """Boxes in source pixels for all frames: interpolated in gaps, held where nothing changes."""
    count = len(images)
    frames = np.array(sorted(track.boxes))
    known = np.stack([track.boxes[int(i)] for i in frames])
    boxes = np.stack([np.interp(np.arange(count), frames, known[:, k]) for k in range(4)], axis=1)
    boxes[track.first : track.last + 1] = _smooth(boxes[track.first : track.last + 1])
    first, last = track.first, track.last
    while first > 0 and looks_equal(images[track.first], images[first - 1], boxes[track.first]):
        first -= 1
    while last < count - 1 and looks_equal(images[track.last], images[last + 1], boxes[track.last]):
        last += 1
    boxes[first : track.first] = boxes[track.first]
    boxes[track.last + 1 : last + 1] = boxes[track.last]
    present = np.zeros(count, np.bool_)
    present[first : last + 1] = True
    interpolated = present.copy()
    interpolated[frames] = False
    factor = np.array([size_px[0] / images[0].shape[1], size_px[1] / images[0].shape[0]] * 2)
    source = ((boxes + np.tile(shake, 2)) * factor).astype(np.float32)
    score = float(np.mean(track.scores)) * min(1.0, 0.5 + track.shape_hits / 8)
    return clipped(source, *size_px), present, interpolated, score


def _smooth(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median, then mean over a few frames; a short track is averaged over what there is."""
    half = min(_SMOOTHING, len(boxes)) // 2
    for reduce in (np.median, np.mean):
        padded = np.pad(boxes, ((half, half), (0, 0)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=0)
        boxes = reduce(windows, axis=-1)
    return boxes


def _distinct(tubes: Sequence[_Filled]) -> list[_Filled]:
    """Best first, without those that lie on a better one for most of their time."""
    kept: list[_Filled] = []
    for tube in sorted(tubes, key=lambda t: -t[3] * float(t[1].mean())):
        own = tube[1]
        if all(
            float(np.where(own & other[1], paired_iou(tube[0], other[0]), 0).sum())
            < 0.5 * own.sum()
            for other in kept
        ):
            kept.append(tube)
    return kept


def _rate_hz(clip: Clip) -> float:
    stamps_ns = clip.stamps_ns
    if len(stamps_ns) < 2:
        return 10.0
    return float(np.clip(1e9 / np.median(np.diff(stamps_ns)), 1, 60))
