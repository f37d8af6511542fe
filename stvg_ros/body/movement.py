# SPDX-License-Identifier: Apache-2.0

"""Movement of a person in the scene, from boxes and depth: evidence in nats for each frame.

Speeds are in body heights a second, so that the distance from the camera does not matter; people
walk at about 0.8 of them (1.4 m/s), and across the image by the share that is not towards the
camera. The motion of the view is taken out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stvg_ros.body.logic import Array, both, either, exceeds, log_odds, within
from stvg_ros.body.track import BodyTrack

_WINDOW_S = 1.0  # of the slope
_WIDER_S = 2.0  # of the growth of the box, which is small and noisy
# People who pass in front make a box shrink and grow again; who walks goes on.
_STILL_S = 4.0
_SPEED_NOISE = 0.1
_GROWTH_NOISE = 0.03  # of the box's height, a second
_DEPTH_NOISE = 0.2  # m/s
_SLOW, _FAST = 0.2, 1.25  # body heights a second: what walks, what runs
_GROWS = 0.05  # of the height, a second: half of what 0.7 m/s gives at 7 m
_NEARS = 0.3  # m/s
_EDGE = 0.12  # of the image's width: where people come in and go out
_LATE_S = 0.5


@dataclass(frozen=True, eq=False)
class Motion:
    """Speeds of a track, `(F,)` each; NaN where they are not known.

    Attributes:
        across: of the box's middle to the image's right, body heights a second.
        down: of its lower edge.
        growth: of its height, as a share a second.
        approach: mean of the growth and of the speed of the feet down the image, at most twice
            the smaller. A camera is above the ground, so whoever comes nearer comes lower in its
            image; the feet of who raises the arms or bends down stay where they are.
        nearing: by depth, metres a second.
    """

    across: Array
    down: Array
    growth: Array
    approach: Array
    nearing: Array

    @property
    def towards(self) -> Array:
        """The probability of coming nearer to the camera."""
        return self._radial(1)

    @property
    def away(self) -> Array:
        """The probability of going away from the camera."""
        return self._radial(-1)

    def _radial(self, sign: int) -> Array:
        by_size = exceeds(sign * self.approach, _GROWS, _GROWTH_NOISE)
        by_depth = exceeds(sign * self.nearing, _NEARS, _DEPTH_NOISE)
        return np.where(np.isfinite(by_depth), by_depth, by_size)

    def sideways(self, way: int) -> Array:
        """The probability of moving to the image's left (-1) or right (1)."""
        return exceeds(way * self.across, _SLOW, _SPEED_NOISE)

    @property
    def moves(self) -> Array:
        """The probability of moving at all."""
        speed = np.hypot(self.across, self.down)
        return either(exceeds(speed, _SLOW, _SPEED_NOISE), 0.9 * self.towards, 0.9 * self.away)


def motion(track: BodyTrack) -> Motion:
    """The speeds of a track, by straight lines through the frames around each one."""
    boxes, tall = track.boxes_xyxy_px, track.height_px
    place = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1) - track.shift_px
    width, height = track.size_px
    # A box that is cut off by the image's edge does not show where the person is.
    whole = track.present & (boxes[:, 1] > 1) & (boxes[:, 3] < height - 1)
    inside = track.present & (boxes[:, 0] > 1) & (boxes[:, 2] < width - 1)
    usual = np.nanmedian(tall) if track.present.any() else np.nan
    unit = np.where(np.isfinite(tall), np.maximum(tall, 0.7 * usual), usual)
    seconds = track.seconds
    sides = boxes[:, 0::2].T - track.shift_px[:, 0]
    left, right = (slope(np.where(inside, x, np.nan), seconds, _WINDOW_S) / unit for x in sides)
    across = _together(left, right, 1.5)
    # Where it is cut off all the time, the visible part is all there is.
    rough = slope(np.where(track.present, place[:, 0], np.nan), seconds, _WINDOW_S) / unit
    down = slope(np.where(whole, place[:, 1], np.nan), seconds, _WINDOW_S) / unit
    feet = slope(np.where(whole, place[:, 1], np.nan), seconds, _WIDER_S) / unit
    grows = growth(track, _WIDER_S)
    return Motion(
        np.where(np.isfinite(across), across, rough),
        np.nan_to_num(down),
        grows,
        _together(grows, feet, 2.0),
        -slope(track.distance_m, seconds, _WINDOW_S),
    )


def _together(one: Array, other: Array, factor: float) -> Array:
    """The mean of two speeds, at most `factor` times the smaller; 0 where they differ in sign.

    Who walks to the side takes both edges of the box along; who bends down, points or falls moves
    one of them.
    """
    least = factor * np.minimum(np.abs(one), np.abs(other))
    mean = np.clip((one + other) / 2, -least, least)
    return np.where(np.sign(one) == np.sign(other), mean, 0 * mean)


def growth(track: BodyTrack, width_s: float) -> Array:
    """Growth of the box's height by straight lines over `width_s`, as a share a second, `(F,)`."""
    boxes, tall, height = track.boxes_xyxy_px, track.height_px, track.size_px[1]
    whole = track.present & (boxes[:, 1] > 1) & (boxes[:, 3] < height - 1)
    logs = np.log(np.where(whole & (tall > 0), tall, np.nan))
    return slope(logs, track.seconds, width_s)


def slope(values: Array, seconds: Array, width_s: float) -> Array:
    """The slope of the line through the frames within half a width, `(F,)`, a second.

    NaN where these frames span less than a third of the width.
    """
    apart = seconds[None] - seconds[:, None]
    known: NDArray[np.bool_] = (np.abs(apart) <= width_s / 2 + 1e-6) & np.isfinite(values)[None]
    weight = known.astype(np.float64)
    count = np.maximum(weight.sum(axis=1), 1)
    filled = np.nan_to_num(values)
    mean_t = (weight * apart).sum(axis=1) / count
    mean_v = (weight * filled).sum(axis=1) / count
    away = np.where(known, apart - mean_t[:, None], 0.0)
    spread = (away**2).sum(axis=1)
    rate = (away * (filled[None] - mean_v[:, None])).sum(axis=1) / np.maximum(spread, 1e-12)
    low = np.where(known, apart, np.inf).min(axis=1)
    high = np.where(known, apart, -np.inf).max(axis=1)
    return np.where(high - low >= width_s / 3, rate, np.nan)


def moves(track: BodyTrack, way: str) -> Array:
    """Walks or runs: "left", "right", "towards", "away", or "" for anywhere."""
    found = motion(track)
    if way in ("left", "right"):
        return log_odds(found.sideways(-1 if way == "left" else 1))
    if way in ("towards", "away"):
        return log_odds(found.towards if way == "towards" else found.away)
    return log_odds(found.moves)


def runs(track: BodyTrack, way: str) -> Array:
    """Moves faster than people walk."""
    found = motion(track)
    # Growth says how fast only together with the distance; a runner's steps show it too.
    fast = exceeds(np.abs(found.across), _FAST, 2 * _SPEED_NOISE)
    fast = either(fast, 0.9 * exceeds(np.abs(found.growth), 4 * _GROWS, 2 * _GROWTH_NOISE))
    return np.minimum(log_odds(fast), moves(track, way))


def stands_still(track: BodyTrack) -> Array:
    """Does not move from the spot."""
    found = motion(track)
    speed = np.hypot(found.across, found.down)
    still = within(speed, -1.0, _SLOW / 2, 0.7 * _SPEED_NOISE)
    grows = within(growth(track, _STILL_S), -_GROWS, _GROWS, _GROWTH_NOISE)
    return log_odds(both(still, np.where(np.isfinite(grows), grows, 0.9)))


def enters(track: BodyTrack) -> Array:
    """Comes into view: in the second after the track's first frame."""
    return _passes_edge(track, first=True)


def leaves(track: BodyTrack) -> Array:
    """Goes out of view: in the second before the track's last frame."""
    return _passes_edge(track, first=False)


def _passes_edge(track: BodyTrack, *, first: bool) -> Array:
    frames = np.flatnonzero(track.present)
    nats = np.where(track.present, -2.0, 0.0)
    if not len(frames):
        return nats
    at = int(frames[0 if first else -1])
    end = track.seconds[0 if first else -1]
    seen_late = abs(track.seconds[at] - end) > _LATE_S
    width, _ = track.size_px
    near = min(track.boxes_xyxy_px[at, 0], width - track.boxes_xyxy_px[at, 2]) / width
    if seen_late:
        close = np.abs(track.seconds - track.seconds[at]) <= _WINDOW_S
        nats[close & track.present] = 3.0 if near < _EDGE else 0.5
    return nats
