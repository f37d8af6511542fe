# SPDX-License-Identifier: Apache-2.0

"""Where people are in the image and among the others: evidence in nats for each frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stvg_ros.body.logic import Array, exceeds, log_odds
from stvg_ros.body.track import BodyTrack

_SIDE, _SIDE_NOISE = 0.5, 0.14  # of the width
_COLUMN_NOISE = 0.03  # of the width
_RANK_NOISE = 0.06  # of the height of the image, or of the compared size
PLACES = ("left", "right", "middle", "foreground", "background", "nearest", "farthest")
RANKS = ("tallest", "shortest", "biggest", "smallest")


def in_image(track: BodyTrack, name: str) -> Array:
    """In the image's left, right or middle."""
    x = _middle(track)
    if name == "middle":
        return log_odds(exceeds(-np.abs(x - 0.5), -0.2, _SIDE_NOISE / 2))
    way = -1 if name == "left" else 1
    return log_odds(exceeds(way * (x - 0.5), 0.0, _SIDE_NOISE))


def among(track: BodyTrack, others: Sequence[BodyTrack], name: str) -> Array:
    """The one of all that is nearest, farthest, tallest, shortest, biggest or smallest.

    By depth where there is depth. Without it, the feet of a nearer person are lower in the image.
    """
    mine, theirs = _key(track, name), [_key(other, name) for other in others]
    if not theirs:
        return np.zeros(len(track))
    best = np.nanmax(np.where(np.isfinite(theirs), theirs, -np.inf), axis=0)
    gap = np.where(np.isfinite(best), mine - best, np.nan)
    return log_odds(exceeds(gap, 0.0, _RANK_NOISE))


def counted(track: BodyTrack, others: Sequence[BodyTrack], side: str, rank: int) -> Array:
    """The one of this number from the image's left or right, among those in the same frame."""
    way = 1 if side == "left" else -1
    mine = way * _middle(track)
    chances = np.zeros((rank + 1, len(track)))  # that 0, 1, ... others are further to the side
    chances[0] = 1
    for other in others:
        theirs = way * _middle(other)
        p = np.where(np.isfinite(theirs), exceeds(mine - theirs, 0.0, _COLUMN_NOISE), 0.0)
        chances[1:] = chances[1:] * (1 - p) + chances[:-1] * p
        chances[0] = chances[0] * (1 - p)
    return log_odds(chances[rank - 1])


def _middle(track: BodyTrack) -> Array:
    """The middle of the boxes as a share of the image's width; NaN where absent."""
    boxes = track.boxes_xyxy_px
    return np.where(track.present, (boxes[:, 0] + boxes[:, 2]) / 2 / track.size_px[0], np.nan)


def _key(track: BodyTrack, name: str) -> Array:
    """What is compared, larger is more so."""
    if name in ("nearest", "foreground", "farthest", "background"):
        sign = 1.0 if name in ("nearest", "foreground") else -1.0
        if np.isfinite(track.distance_m).any():
            return -sign * track.distance_m / 5
        low = np.where(track.present, track.boxes_xyxy_px[:, 3], np.nan)
        return sign * low / track.size_px[1]
    size = track.height_px
    if np.isfinite(track.distance_m).any():
        size = size * track.distance_m / 3
    sign = -1.0 if name in ("shortest", "smallest") else 1.0
    return sign * np.log(np.maximum(size, 1.0))
