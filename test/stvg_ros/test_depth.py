# SPDX-License-Identifier: Apache-2.0

"""Boxes and depth to points: small exact numbers."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_ros.depth import Depth, Intrinsics, RigidTransform, position_m, thinned

EYE = Intrinsics(100.0, 100.0, 3.5, 1.5)  # of an 8 x 4 image, whose middle is at (3.5, 1.5)


def depth(values, intrinsics=EYE):
    return Depth(np.asarray(values, np.float32), intrinsics)


def test_the_middle_of_the_image_is_straight_ahead():
    assert position_m((0, 0, 8, 4), depth(np.full((4, 8), 2.0)), (8, 4)) == (0.0, 0.0, 2.0)


def test_a_pixel_is_deprojected_at_its_centre():
    x, y, z = position_m((5, 3, 6, 4), depth(np.full((4, 8), 2.0)), (8, 4))
    assert (x, y, z) == pytest.approx((1.5 / 100 * 2, 1.5 / 100 * 2, 2.0))


def test_the_median_of_known_depths_inside_the_box_counts():
    values = np.full((4, 8), 9.0)
    values[1, 2:6] = [1.0, np.nan, 0.0, 3.0]
    values[2, 2:6] = [np.inf, 2.0, -1.0, np.nan]
    assert position_m((2, 1, 6, 3), depth(values), (8, 4))[2] == 2.0


def test_a_mask_keeps_the_background_out():
    values = np.full((4, 8), 9.0)
    values[1, 3] = 2.0
    mask = values == 2.0
    assert position_m((2, 0, 6, 4), depth(values), (8, 4))[2] == 9.0
    assert position_m((2, 0, 6, 4), depth(values), (8, 4), mask)[2] == 2.0
    with pytest.raises(ValueError, match=r"expected \(4, 8\), got \(2, 2\)"):
        position_m((2, 0, 6, 4), depth(values), (8, 4), np.ones((2, 2), np.bool_))


def test_without_depth_there_is_no_position():
    assert position_m((0, 0, 8, 4), depth(np.full((4, 8), np.nan)), (8, 4)) is None
    lonely = np.full((20, 20), np.nan)
    lonely[3, 3] = 1.0
    assert position_m((0, 0, 20, 20), depth(lonely), (20, 20)) is None


def test_a_smaller_depth_image_shows_the_same_view():
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert position_m((40, 0, 80, 20), depth(values), (80, 40))[2] == 2.0
    assert position_m((79, 39, 80, 40), depth(values), (80, 40))[2] == 4.0
    assert position_m((500, 500, 600, 600), depth(values), (80, 40))[2] == 4.0


def test_intrinsics_scale_with_the_image_about_its_edge():
    half = Intrinsics(100.0, 100.0, 3.5, 1.5).scaled(0.5, 0.5)
    assert half == Intrinsics(50.0, 50.0, 1.5, 0.5)
    for bad in ((0, 1, 0, 0), (1, float("nan"), 0, 0)):
        with pytest.raises(ValueError, match="calibrated"):
            Intrinsics(*bad)


@pytest.mark.parametrize("shape", [(4, 8, 1), (0, 3)])
def test_depth_is_an_image_of_floats(shape):
    with pytest.raises(ValueError, match="expected"):
        Depth(np.zeros(shape, np.float32), EYE)
    with pytest.raises(ValueError, match="uint16"):
        Depth(np.zeros((2, 2), np.uint16), EYE)


def test_thinning_picks_and_never_mixes():
    values = np.arange(32, dtype=np.float32).reshape(4, 8)
    assert thinned(values, 8) is not None
    assert np.array_equal(thinned(values, 8), values)
    small = thinned(values, 4)
    assert small.shape == (2, 4)
    assert set(small.ravel()) <= set(values.ravel())
    assert max(thinned(values, 3).shape) <= 3


def test_a_transform_turns_and_moves():
    quarter = 0.5**0.5
    about_z = RigidTransform((1.0, 2.0, 3.0), (0.0, 0.0, quarter, quarter))
    assert about_z((1.0, 0.0, 0.0)) == pytest.approx((1.0, 3.0, 3.0))
    assert about_z((0.0, 1.0, 5.0)) == pytest.approx((0.0, 2.0, 8.0))
    unscaled = RigidTransform((0.0, 0.0, 0.0), (0.0, 0.0, 2.0, 2.0))
    assert unscaled((1.0, 0.0, 0.0)) == pytest.approx((0.0, 1.0, 0.0))
    # Optical to body axes, as of a camera that looks ahead.
    optical = RigidTransform((0.0, 0.0, 0.0), (-0.5, 0.5, -0.5, 0.5))
    assert optical((0.0, 0.0, 2.0)) == pytest.approx((2.0, 0.0, 0.0))
