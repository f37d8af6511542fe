# SPDX-License-Identifier: Apache-2.0

"""Constant-velocity Kalman filter over a box; one time step is one frame.

The state is (cx, cy, w, h) and the change of each per frame. All noise is proportional to the box's
height, since a detector's jitter in pixels is larger on a nearer person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_POSITION_NOISE = 1 / 20  # standard deviations, in heights
_VELOCITY_NOISE = 1 / 100
_MEASUREMENT_NOISE = 1 / 12

_MOVE = np.eye(8)
_MOVE[:4, 4:] = np.eye(4)


@dataclass(frozen=True, eq=False)
class BoxState:
    """Gaussian estimate of a box.

    Attributes:
        mean: `(8,)` centre x, centre y, width, height in pixels, then their change per frame.
        covariance: `(8, 8)`.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @property
    def box_xyxy_px(self) -> NDArray[np.float32]:
        """The expected box, `(4,)`; at least one pixel wide and high."""
        half = np.maximum(self.mean[2:4], 1) / 2
        return np.concatenate([self.mean[:2] - half, self.mean[:2] + half]).astype(np.float32)


def started(box_xyxy_px: NDArray[np.float32]) -> BoxState:
    """The estimate after a first detection `(4,)`: this box, at rest, with uncertain velocity."""
    mean = np.concatenate([_measured(box_xyxy_px), np.zeros(4)])
    height = max(mean[3], 1.0)
    spread = np.repeat([2 * _POSITION_NOISE, 10 * _VELOCITY_NOISE], 4) * height
    return BoxState(mean, np.diag(spread**2))


def predicted(state: BoxState) -> BoxState:
    """The estimate one frame later."""
    height = max(float(state.mean[3]), 1.0)
    noise = np.repeat([_POSITION_NOISE, _VELOCITY_NOISE], 4) * height
    return BoxState(_MOVE @ state.mean, _MOVE @ state.covariance @ _MOVE.T + np.diag(noise**2))


def corrected(state: BoxState, box_xyxy_px: NDArray[np.float32]) -> BoxState:
    """The estimate after a detection `(4,)` in the same frame."""
    height = max(float(state.mean[3]), 1.0)
    innovation = state.covariance[:4, :4] + np.eye(4) * (_MEASUREMENT_NOISE * height) ** 2
    gain = np.linalg.solve(innovation, state.covariance[:4]).T
    mean = state.mean + gain @ (_measured(box_xyxy_px) - state.mean[:4])
    return BoxState(mean, state.covariance - gain @ state.covariance[:4])


def _measured(box_xyxy_px: NDArray[np.float32]) -> NDArray[np.float64]:
    low, high = np.asarray(box_xyxy_px[:2], np.float64), np.asarray(box_xyxy_px[2:], np.float64)
    return np.concatenate([(low + high) / 2, high - low])
