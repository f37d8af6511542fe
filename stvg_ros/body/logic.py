# SPDX-License-Identifier: Apache-2.0

"""Conditions on noisy values as probabilities, and their log-odds as evidence.

A value with Gaussian noise exceeds a threshold with some probability; conditions are combined as
if their noise were independent. All arrays have the shape of the values, and NaN means not known.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST = 4.0  # nats that one frame can give: an estimator is wrong altogether in 2 of 100


def exceeds(value: Array, threshold: float, sigma: float) -> Array:
    """The probability that a value, measured with a standard deviation, is above a threshold."""
    return np.asarray(_normal((value - threshold) / sigma), np.float64)


def below(value: Array, threshold: float, sigma: float) -> Array:
    """The probability that a value, measured with a standard deviation, is below a threshold."""
    return exceeds(-value, -threshold, sigma)


def within(value: Array, low: float, high: float, sigma: float) -> Array:
    """The probability that a value lies between two thresholds."""
    return exceeds(value, low, sigma) * below(value, high, sigma)


def both(*conditions: Array) -> Array:
    """The probability that all conditions hold."""
    return np.asarray(np.prod(np.stack(conditions), axis=0), np.float64)


def either(*conditions: Array) -> Array:
    """The probability that at least one condition holds."""
    return 1 - both(*(1 - condition for condition in conditions))


def log_odds(probability: Array, weight: Array | float = 1.0) -> Array:
    """Evidence in nats, at most `MOST` either way, times a weight from 0 to 1; 0 where unknown."""
    least = 1 / (1 + math.exp(MOST))
    p = np.clip(probability, least, 1 - least)
    nats = (np.log(p) - np.log1p(-p)) * np.clip(weight, 0, 1)
    return np.asarray(np.nan_to_num(nats), np.float64)


def smoothed(values: Array, seconds: Array, width_s: float) -> Array:
    """The mean over the frames within half a width of each frame, `(F,)`; NaN is left out."""
    near = np.abs(seconds[:, None] - seconds[None]) <= width_s / 2 + 1e-6
    known = np.isfinite(values)
    count = near @ known.astype(np.float64)
    total = near @ np.where(known, values, 0.0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def highest(values: Array, seconds: Array, first_s: float, last_s: float) -> Array:
    """The largest value from `first_s` to `last_s` after each frame, `(F,)`; NaN without frames."""
    apart = seconds[None] - seconds[:, None]
    inside = (apart >= first_s - 1e-6) & (apart <= last_s + 1e-6) & np.isfinite(values)[None]
    top = np.where(inside, np.nan_to_num(values)[None], -np.inf).max(axis=1)
    return np.where(np.isfinite(top), top, np.nan)


def _normal(z: Array) -> Array:
    """The cumulative normal distribution, to 4 digits."""
    # Logistic approximation of Bowling et al. (2009).
    z = np.clip(z, -12, 12)
    return np.asarray(1 / (1 + np.exp(-(0.07056 * z**3 + 1.5976 * z))), np.float64)
