# SPDX-License-Identifier: Apache-2.0

"""Gestures of the arms, from keypoints: evidence in nats for each frame.

Lengths are in torsos, so that a person's size in the image does not matter. Thresholds lie half way
between the postures that they separate; `NOISE` is the standard deviation of a length between two
estimated points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stvg_ros.body import keypoints as body
from stvg_ros.body.logic import (
    Array,
    below,
    both,
    either,
    exceeds,
    log_odds,
    smoothed,
    spread,
    within,
)
from stvg_ros.body.track import BodyTrack

NOISE = 0.12
_WAVE_S = 1.2  # a wave of 1 to 2 Hz moves both ways within this time
_HOLD_S = 0.5
_JITTER_S = 0.3
_WAVE_RAD = 0.17  # standard deviation of the forearm's angle; 15 degrees to each side give 0.18


@dataclass(frozen=True, eq=False)
class Arm:
    """One arm over F frames, in torsos, relative to the shoulder; y grows downwards."""

    wrist: Array
    elbow: Array
    seen: Array
    head_gap: Array

    @property
    def raised(self) -> Array:
        """The hand is above the shoulder."""
        return exceeds(-self.wrist[:, 1], 0.2, NOISE)

    @property
    def reach(self) -> Array:
        """Distance of the wrist from the shoulder."""
        return np.asarray(np.hypot(*self.wrist.T), np.float64)

    @property
    def straight(self) -> Array:
        """The elbow is stretched: the wrist is as far away as both parts of the arm are long."""
        whole = np.hypot(*self.elbow.T) + np.hypot(*(self.wrist - self.elbow).T)
        return exceeds(self.reach / np.maximum(whole, 1e-6), 0.8, 0.06)

    @property
    def hanging(self) -> Array:
        """The wrist is well below the shoulder and near the body."""
        return both(
            exceeds(self.wrist[:, 1], 0.45, NOISE), below(np.abs(self.wrist[:, 0]), 0.55, NOISE)
        )


def arm(track: BodyTrack, side: int) -> Arm:
    """The person's own left (0) or right (1) arm."""
    unit = track.torso_px[:, None]
    shoulder, elbow, wrist = (
        track.points_px[:, pair[side]] for pair in (body.SHOULDERS, body.ELBOWS, body.WRISTS)
    )
    head = track.points_px[:, body.NOSE]
    return Arm(
        (wrist - shoulder) / unit,
        (elbow - shoulder) / unit,
        track.seen(body.SHOULDERS[side], body.WRISTS[side]),
        np.hypot(*((wrist - head) / unit).T),
    )


def raises(track: BodyTrack, side: int) -> Array:
    """Holds up the own left (0) or right (1) arm, and only this one."""
    this, other = arm(track, side), arm(track, 1 - side)
    # The other arm counts by half: "raises the left arm" does not exclude it.
    alone = 1 - 0.5 * np.nan_to_num(other.raised * other.seen)
    still = 1 - 0.7 * np.nan_to_num(_oscillates(track, this))
    away = 1 - 0.7 * _at_face(this)
    return log_odds(this.raised * alone * still * away, this.seen)


def raises_either(track: BodyTrack) -> Array:
    """Holds up an arm, whichever."""
    return np.maximum(raises(track, 0), raises(track, 1))


def raises_both(track: BodyTrack) -> Array:
    """Holds up both arms."""
    left, right = arm(track, 0), arm(track, 1)
    return log_odds(both(left.raised, right.raised), np.minimum(left.seen, right.seen))


def waves(track: BodyTrack) -> Array:
    """Moves a raised hand to and fro, faster than the body."""
    arms = [arm(track, side) for side in (0, 1)]
    found = [log_odds(both(_hand_up(one), _oscillates(track, one)), one.seen) for one in arms]
    return np.maximum(*found)


def _hand_up(one: Arm) -> Array:
    """The hand is above the elbow, and not far below the shoulder."""
    lifted = exceeds(one.elbow[:, 1] - one.wrist[:, 1], 0.15, NOISE)
    return both(lifted, below(one.wrist[:, 1], 0.25, NOISE))


def _oscillates(track: BodyTrack, one: Arm) -> Array:
    """The wrist moves to and fro about the elbow; 0.5 where there are too few frames to tell."""
    about = one.wrist - one.elbow
    angle = np.unwrap(np.nan_to_num(np.arctan2(about[:, 0], -about[:, 1])))
    # Points jitter from frame to frame, hands do not.
    angle = smoothed(angle, track.seconds, _JITTER_S)
    slow = smoothed(angle, track.seconds, _WAVE_S)
    moved = spread(angle - slow, track.seconds, _WAVE_S)
    p = both(exceeds(moved, _WAVE_RAD, 0.04), exceeds(_turns(angle, track.seconds), 1.5, 0.5))
    return np.where(np.isfinite(p), p, 0.5)


def _turns(angle: Array, seconds: Array) -> Array:
    """How often a motion changes its direction in `_WAVE_S` around each frame."""
    step = np.diff(angle, prepend=angle[:1])
    step[np.abs(step) < 0.08] = 0.0
    way, last = np.zeros(len(step)), 0.0
    for index, value in enumerate(np.sign(step)):
        way[index] = float(value != 0 and last != 0 and value != last)
        last = value if value else last
    near = np.abs(seconds[:, None] - seconds[None]) <= _WAVE_S / 2 + 1e-6
    return np.asarray(near @ way, np.float64)


def points(track: BodyTrack, way: int) -> Array:
    """Stretches one arm out to the image's left (-1) or right (1)."""
    found = []
    for side in (0, 1):
        this, other = arm(track, side), arm(track, 1 - side)
        level = within(this.wrist[:, 1], -0.5, 0.45, NOISE)
        out = exceeds(way * this.wrist[:, 0], 0.55, NOISE)
        # Both arms out is a jump or a balance, no pointing.
        alone = 1 - np.nan_to_num(below(other.wrist[:, 1], 0.4, NOISE) * other.seen)
        p = both(level, out, this.straight, np.maximum(alone, 0.05))
        found.append(log_odds(smoothed(p, track.seconds, _HOLD_S), this.seen))
    return np.maximum(*found)


def points_anywhere(track: BodyTrack) -> Array:
    """Stretches one arm out to either side."""
    return np.maximum(points(track, -1), points(track, 1))


def crosses_arms(track: BodyTrack) -> Array:
    """Both forearms lie across the chest."""
    unit = track.torso_px
    across = track.points_px[:, body.SHOULDERS[0]] - track.points_px[:, body.SHOULDERS[1]]
    width = np.hypot(*across.T)
    axis = across / np.maximum(width, 1e-6)[:, None]
    middle = track.middle(body.SHOULDERS)
    conditions = []
    for side, sign in ((0, 1), (1, -1)):
        wrist = track.points_px[:, body.WRISTS[side]]
        elbow = track.points_px[:, body.ELBOWS[side]]
        along = ((wrist - middle) * axis).sum(axis=1) * sign / unit
        inward = ((wrist - elbow) * axis).sum(axis=1) * sign / unit
        down = (wrist[:, 1] - middle[:, 1]) / unit
        conditions += [
            below(along, 0.08, NOISE), below(inward, -0.25, NOISE), within(down, 0.1, 0.9, NOISE)
        ]  # fmt: skip
    seen = track.seen(*body.SHOULDERS, *body.WRISTS)
    frontal = exceeds(width / unit, 0.25, 0.08)
    return log_odds(both(*conditions), seen * frontal)


def _at_face(one: Arm) -> Array:
    """The wrist is at the head, not above it."""
    near = below(one.head_gap, 0.42, NOISE)
    bent = below(one.reach, 0.75, NOISE)
    return np.nan_to_num(both(near, bent))


def hand_to_face(track: BodyTrack) -> Array:
    """Holds a hand to the face."""
    arms = [arm(track, side) for side in (0, 1)]
    return log_odds(either(*map(_at_face, arms)), np.minimum(arms[0].seen, arms[1].seen))


def hanging_arms(track: BodyTrack) -> Array:
    """Both arms hang: no gesture."""
    arms = [arm(track, side) for side in (0, 1)]
    return log_odds(both(*(one.hanging for one in arms)), np.minimum(arms[0].seen, arms[1].seen))


GestureMeasure = Callable[[BodyTrack], Array]
