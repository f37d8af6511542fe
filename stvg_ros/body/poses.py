# SPDX-License-Identifier: Apache-2.0

"""Poses of the whole body and their changes, from keypoints: evidence in nats for each frame.

Heights are in torsos, upwards; `gestures` says how thresholds are set.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from stvg_ros.body import keypoints as body
from stvg_ros.body.gestures import NOISE
from stvg_ros.body.logic import (
    Array,
    below,
    both,
    either,
    exceeds,
    highest,
    log_odds,
    smoothed,
    within,
)
from stvg_ros.body.track import BodyTrack

_JITTER_S = 0.2  # points jitter from frame to frame
_BENT = 40.0  # degrees
_LEAN = 12.0  # degrees, standard deviation of an estimated trunk
_CHANGE_S = 1.5  # before and after a frame in which the poses of a change are looked for
_MIDDLE_S = 0.2
_STOOD_S = 2.5  # before or after who picks something up reaches down
_TURN_S = 0.4
# Of the shoulders' width, from which on the front or the back is seen: half way from the side.
_TURNED, _TURN_NOISE = 0.4, 0.15
_REACH_S = 1.0  # from standing to the floor
_SEATED_S = 0.8  # longer than who reaches down passes the pose of a chair


class _Posture:
    """Heights and angles of a track's frames."""

    def __init__(self, track: BodyTrack) -> None:
        unit = track.torso_px
        shoulders, hips = track.middle(body.SHOULDERS), track.middle(body.HIPS)
        knees, ankles = track.middle(body.KNEES), track.middle(body.ANKLES)
        trunk = shoulders - hips
        # 0 is upright, 90 is level, 180 is head down.
        self.lean = np.degrees(np.arctan2(np.abs(trunk[:, 0]), -trunk[:, 1]))
        self.thigh = (knees[:, 1] - hips[:, 1]) / unit
        self.shank = (ankles[:, 1] - knees[:, 1]) / unit
        self.legs = (ankles[:, 1] - hips[:, 1]) / unit
        # Of the whole body, whichever way it turns: a lying person is wide and not tall.
        every = track.points_px
        seen = np.isfinite(every).all(axis=(1, 2))
        span = np.full((len(track), 2), np.nan)
        if seen.any():
            span[seen] = np.ptp(every[seen], axis=1)
        self.flat = span[:, 0] / np.maximum(span[:, 1], 1e-6)
        self.trunk_seen = track.seen(*body.SHOULDERS, *body.HIPS)
        self.legs_seen = track.seen(*body.HIPS, *body.KNEES)
        self.feet_seen = np.minimum(self.legs_seen, track.seen(*body.ANKLES))

    @property
    def upright(self) -> Array:
        return below(self.lean, 40, _LEAN)


def _standing(posture: _Posture) -> Array:
    return both(
        posture.upright, exceeds(posture.legs, 1.15, NOISE), exceeds(posture.thigh, 0.5, NOISE)
    )


def _seated(posture: _Posture) -> Array:
    """Upright, the hips at the height of the knees, and above the feet."""
    chair = both(within(posture.thigh, -0.4, 0.5, NOISE), exceeds(posture.shank, 0.25, NOISE))
    return both(posture.upright, chair, within(posture.legs, 0.45, 1.15, NOISE))


def _crouched(posture: _Posture) -> Array:
    return both(
        below(posture.lean, 60, _LEAN),
        below(posture.legs, 0.6, NOISE),
        below(posture.flat, 1.3, 0.2),
    )


def _kneeled(posture: _Posture) -> Array:
    return both(
        posture.upright, exceeds(posture.thigh, 0.5, NOISE), below(posture.shank, 0.35, NOISE)
    )


def _lain(posture: _Posture) -> Array:
    return both(within(posture.lean, 55, 125, _LEAN), exceeds(posture.flat, 1.3, 0.2))


def _bent(posture: _Posture) -> Array:
    return both(
        exceeds(posture.lean, 40, _LEAN),
        exceeds(posture.legs, 0.75, NOISE),
        below(posture.flat, 1.6, 0.2),
    )


_POSES = {
    "standing": (_standing, "feet_seen"),
    "sitting": (_seated, "feet_seen"),
    "crouching": (_crouched, "feet_seen"),
    "kneeling": (_kneeled, "feet_seen"),
    "lying": (_lain, "trunk_seen"),
    "bending": (_bent, "trunk_seen"),
}
POSES = tuple(_POSES)


def has_pose(track: BodyTrack, name: str) -> Array:
    """Is in one of `POSES`."""
    posture = _Posture(track)
    rule, weight = _POSES[name]
    return log_odds(rule(posture), getattr(posture, weight))


def changes(track: BodyTrack, before: tuple[str, ...], after: tuple[str, ...]) -> Array:
    """Goes from one of some poses to one of others, around each frame."""
    posture = _Posture(track)

    def any_of(names: tuple[str, ...], first_s: float, last_s: float) -> Array:
        p = either(*(_POSES[name][0](posture) for name in names))
        return highest(smoothed(p, track.seconds, 0.3), track.seconds, first_s, last_s)

    # In the frame itself the body has left the first pose, or not yet reached the second one.
    p = both(any_of(before, -_CHANGE_S, -_MIDDLE_S), any_of(after, _MIDDLE_S, _CHANGE_S))
    return log_odds(p, np.minimum(posture.trunk_seen, posture.legs_seen))


def picks_up(track: BodyTrack) -> Array:
    """Bends or crouches until a hand is at the height of the shins, or deeper.

    Going down and coming up again belong to it.
    """
    posture = _Posture(track)
    floor = track.middle(body.ANKLES)[:, 1]
    lowest = track.points_px[:, list(body.WRISTS), 1].max(axis=1)
    height = (floor - lowest) / track.torso_px
    down = either(exceeds(posture.lean, 35, _LEAN), below(posture.legs, 0.9, NOISE))
    weight = np.minimum(posture.feet_seen, track.visibility[:, list(body.WRISTS)].max(axis=1))
    # Who falls is on the floor as well, and who sits has the hands at the shins.
    resting = either(_lain(posture), smoothed(_seated(posture), track.seconds, _SEATED_S))
    rests = highest(resting, track.seconds, -_CHANGE_S, _CHANGE_S)
    # Who stays bent or crouched was there before.
    stood = highest(_standing(posture), track.seconds, -_STOOD_S, _STOOD_S)
    reached = both(down, below(height, 0.75, NOISE), 1 - rests, np.nan_to_num(stood, nan=1.0))
    moving = either(exceeds(posture.lean, 15, _LEAN), below(posture.legs, 1.35, NOISE))
    near = highest(reached, track.seconds, -_REACH_S, _REACH_S)
    return log_odds(np.fmax(reached, both(near, moving)), weight)


def facing(track: BodyTrack) -> Array:
    """The share of the shoulders' width that faces the camera, `(F,)`: 1 from the front, 0 from the
    side, -1 from behind.
    """
    left, right = (track.points_px[:, point, 0] for point in body.SHOULDERS)
    return np.asarray(np.clip((left - right) / (0.55 * track.torso_px), -1, 1), np.float64)


def seen_from(track: BodyTrack, side: int) -> Array:
    """Shows the front (1) or the back (-1) to the camera."""
    value = smoothed(facing(track), track.seconds, _TURN_S)
    return log_odds(exceeds(side * value, _TURNED, _TURN_NOISE), track.seen(*body.SHOULDERS))


def turns(track: BodyTrack, way: str = "") -> Array:
    """Turns away from the camera, "towards" it, or, for "", shows front and back one after another.

    Who turns away was seen from the front or the side before, and who turns to the camera from
    behind or from the side.
    """
    # The shoulders of who bends lie one above the other.
    upright = _Posture(track).lean < _BENT
    value = smoothed(np.where(upright, facing(track), np.nan), track.seconds, _TURN_S)
    front, back = (exceeds(sign * value, _TURNED, _TURN_NOISE) for sign in (1, -1))
    if way:
        shown = front if way == "towards" else back
        p = _turned(track, 1 - shown, shown)
    else:
        p = either(_turned(track, front, back), _turned(track, back, front))
    return log_odds(p, track.seen(*body.SHOULDERS))


def _turned(track: BodyTrack, first: Array, last: Array) -> Array:
    """The probability of one side before a frame, and of the other after it."""
    before = highest(first, track.seconds, -_CHANGE_S, -_MIDDLE_S)
    return both(before, highest(last, track.seconds, _MIDDLE_S, _CHANGE_S))


def jumps(track: BodyTrack) -> Array:
    """Both feet rise above where they stand before and after, and the hips with them."""
    unit = track.torso_px
    rise = []
    for pair in (body.ANKLES, body.HIPS):
        # The lower of the two points: one lifted foot is a step.
        y = track.points_px[:, list(pair), 1].max(axis=1) - track.shift_px[:, 1]
        y = smoothed(y, track.seconds, _JITTER_S)
        rise.append((_ground(y, track.seconds) - y) / unit)
    hop = both(exceeds(rise[0], 0.18, 0.08), exceeds(rise[1], 0.1, 0.08))
    weight = track.seen(*body.HIPS, *body.ANKLES)
    return log_odds(smoothed(_spread_out(hop, track.seconds), track.seconds, 0.3), weight)


def _ground(y: Array, seconds: Array) -> Array:
    """The lowest place (largest y) within a second before and after, whichever is higher up."""
    return np.minimum(highest(y, seconds, -1.0, 0.0), highest(y, seconds, 0.0, 1.0))


def _spread_out(p: Array, seconds: Array) -> Array:
    """Between two hops the feet are on the ground: the largest value within 0.35 s."""
    return np.nan_to_num(highest(p, seconds, -0.35, 0.35))


sits_down = partial(changes, before=("standing",), after=("sitting", "crouching"))
stands_up = partial(
    changes, before=("sitting", "crouching", "kneeling", "lying"), after=("standing",)
)
falls = partial(changes, before=("standing",), after=("lying",))
