# SPDX-License-Identifier: Apache-2.0

"""The box filter against numbers worked by hand."""

import numpy as np
import pytest

from stvg_ros.proposals.people.kalman import corrected, predicted, started

BOX = np.array([10, 20, 30, 60], np.float32)  # centre (20, 40), 20 x 40


def test_starts_at_rest_on_the_box() -> None:
    state = started(BOX)
    assert state.mean.tolist() == [20, 40, 20, 40, 0, 0, 0, 0]
    assert state.box_xyxy_px.tolist() == BOX.tolist()
    # 2 * 40 / 20 = 4 px for places, 10 * 40 / 100 = 4 px per frame for velocities.
    assert np.allclose(np.diag(state.covariance), 16)


def test_prediction_adds_velocity_and_noise() -> None:
    state = started(BOX)
    state.mean[4] = 3
    after = predicted(state)
    assert after.mean[0] == 23
    # 16 + 16 (velocity) + (40 / 20)^2 for the place; 16 + (40 / 100)^2 for the velocity.
    assert after.covariance[0, 0] == pytest.approx(36)
    assert after.covariance[4, 4] == pytest.approx(16.16)


def test_correction_weighs_belief_against_measurement() -> None:
    after = corrected(started(BOX), BOX + np.float32(5))
    gain = 16 / (16 + (40 / 12) ** 2)
    assert after.mean[0] == pytest.approx(20 + 5 * gain)
    assert after.mean[2] == pytest.approx(20)
    assert after.covariance[0, 0] == pytest.approx(16 * (1 - gain))


def test_learns_a_constant_velocity() -> None:
    state = started(BOX)
    for step in range(1, 30):
        state = corrected(predicted(state), BOX + np.array([4, 0, 4, 0], np.float32) * step)
    assert state.mean[4] == pytest.approx(4, abs=0.05)
