# SPDX-License-Identifier: Apache-2.0

"""Gestures of the arms, from keypoints: evidence in nats for each frame.

Lengths are in torsos, so that a person's size in the image does not matter. Thresholds lie half way
between the postures that they separate; `NOISE` is the standard deviation of a length between two
estimated points.
"""

from __future__ import annotations

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
    within,
)
from stvg_ros.body.track import BodyTrack

NOISE = 0.12
_HOLD_S = 0.5
_STEADY_S = 0.3
_WAVE_S = 1.6  # two or three strokes of a wave
_WAVE_HZ = (0.9, 1.3, 1.7, 2.1, 2.5, 2.9)
_WAVE_RAD, _WAVE_SOFT = 0.15, 0.05  # amplitude of the forearm's angle: 9 degrees to each side
_WAVE_FEWEST = 6.0  # frames with the hand up


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


def held_arm(track: BodyTrack, side: int) -> Arm:
    """The arm's mean over a short time: points jitter from frame to frame, held hands do not."""
    now = arm(track, side)

    def mean(values: Array) -> Array:
        return smoothed(values, track.seconds, _STEADY_S)

    def mean_point(values: Array) -> Array:
        return np.stack([mean(values[:, 0]), mean(values[:, 1])], axis=1)

    return Arm(mean_point(now.wrist), mean_point(now.elbow), now.seen, mean(now.head_gap))


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
    this, other = held_arm(track, side), held_arm(track, 1 - side)
    # The other arm counts by half: "raises the left arm" does not exclude it.
    alone = 1 - 0.5 * np.nan_to_num(other.raised * other.seen)
    still = 1 - 0.7 * np.nan_to_num(_oscillates(track, arm(track, side)))
    away = 1 - 0.7 * _at_face(this)
    return log_odds(this.raised * alone * still * away, this.seen)


def raises_either(track: BodyTrack) -> Array:
    """Holds up an arm, whichever."""
    return np.maximum(raises(track, 0), raises(track, 1))


def raises_both(track: BodyTrack) -> Array:
    """Holds up both arms."""
    left, right = held_arm(track, 0), held_arm(track, 1)
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
    """The raised wrist moves to and fro about the elbow; 0.5 where there are too few frames.

    A sine of the rate of a wave, with a trend, is fitted to the forearm's angle in the frames
    around each one in which the hand is up. What the sine leaves is the points' jitter, by which
    the amplitude is uncertain.
    """
    about = one.wrist - one.elbow
    angle = np.unwrap(np.nan_to_num(np.arctan2(about[:, 0], -about[:, 1])))
    weight = np.nan_to_num(_hand_up(one)) * np.isfinite(about).all(axis=1)
    near = np.abs(track.seconds[:, None] - track.seconds[None]) <= _WAVE_S / 2 + 1e-6
    weights = near * weight[None]  # (F, F): a window around each frame
    count = weights.sum(axis=1)
    best, jitter = np.zeros(len(track)), np.zeros(len(track))
    for rate_hz in _WAVE_HZ:
        amplitude, left = _sine(angle, track.seconds, weights, rate_hz)
        jitter = np.where(amplitude > best, left, jitter)
        best = np.maximum(best, amplitude)
    unsure = jitter * np.sqrt(2 / np.maximum(count, 1))
    # The best of several rates is larger by chance.
    p = exceeds(best, _WAVE_RAD + 1.6 * unsure, np.hypot(_WAVE_SOFT, unsure / 2))
    return np.where(count >= _WAVE_FEWEST, p, 0.5)


def _sine(values: Array, seconds: Array, weights: Array, rate_hz: float) -> tuple[Array, Array]:
    """Amplitude of the sine of a rate around each frame, and the deviation from it, `(F,)` each.

    Args:
        values: `(F,)`.
        seconds: `(F,)`.
        weights: `(F, F)` of the frames around each frame.
        rate_hz: of the sine.
    """
    phase = 2 * np.pi * rate_hz * seconds
    middle = seconds.mean()
    basis = np.stack([np.ones_like(seconds), seconds - middle, np.sin(phase), np.cos(phase)])
    gram = np.einsum("fn,an,bn->fab", weights, basis, basis) + 1e-6 * np.eye(4)
    right = np.einsum("fn,an,n->fa", weights, basis, values)
    found = np.linalg.solve(gram, right[..., None])[..., 0]
    left = weights * (values[None] - found @ basis) ** 2
    freedom = np.maximum(weights.sum(axis=1) - 4, 1)
    return np.hypot(found[:, 2], found[:, 3]), np.sqrt(left.sum(axis=1) / freedom)


def points(track: BodyTrack, way: int) -> Array:
    """Stretches one arm out to the image's left (-1) or right (1)."""
    found = []
    for side in (0, 1):
        this, other = held_arm(track, side), held_arm(track, 1 - side)
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

    def mean(values: Array) -> Array:
        return smoothed(values / unit, track.seconds, _STEADY_S)

    for side, sign in ((0, 1), (1, -1)):
        wrist = track.points_px[:, body.WRISTS[side]]
        elbow = track.points_px[:, body.ELBOWS[side]]
        along = mean(((wrist - middle) * axis).sum(axis=1) * sign)
        inward = mean(((wrist - elbow) * axis).sum(axis=1) * sign)
        down = mean(wrist[:, 1] - middle[:, 1])
        conditions += [
            below(along, 0.08, NOISE), below(inward, -0.25, NOISE), within(down, 0.1, 0.9, NOISE)
        ]  # fmt: skip
    seen = track.seen(*body.SHOULDERS, *body.WRISTS)
    frontal = exceeds(mean(width), 0.25, 0.08)
    return log_odds(both(*conditions), seen * frontal)


def _at_face(one: Arm) -> Array:
    """The wrist is at the head, not above it."""
    near = below(one.head_gap, 0.42, NOISE)
    bent = below(one.reach, 0.75, NOISE)
    return np.nan_to_num(both(near, bent))


def hand_to_face(track: BodyTrack) -> Array:
    """Holds a hand to the face."""
    arms = [held_arm(track, side) for side in (0, 1)]
    return log_odds(either(*map(_at_face, arms)), np.minimum(arms[0].seen, arms[1].seen))
