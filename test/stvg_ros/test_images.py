# SPDX-License-Identifier: Apache-2.0

"""Scaling down at the edges."""

import cv2
import numpy as np
import pytest

from stvg_ros.images import reduced, reduced_size


@pytest.mark.parametrize(
    ("size", "long_side_px", "expected"),
    [
        ((640, 480), 640, (640, 480)),
        ((1920, 1080), 640, (640, 360)),
        ((3, 3000), 16, (1, 16)),
    ],
)
def test_the_long_side_is_bounded(size, long_side_px, expected):
    assert reduced_size(*size, long_side_px) == expected
    image = np.zeros((size[1], size[0], 3), np.uint8)
    assert reduced(image, long_side_px).shape == (expected[1], expected[0], 3)


def test_a_small_image_is_returned_as_it_is():
    image = np.zeros((4, 6, 3), np.uint8)
    assert reduced(image, 6) is image


def test_halving_takes_the_mean_of_four_pixels():
    image = np.array([[0, 10, 100, 100], [20, 30, 100, 104]], np.uint8)
    np.testing.assert_array_equal(reduced(image, 2), [[15, 101]])


@pytest.mark.parametrize("size", [(1920, 1080), (1000, 700), (1279, 719)])
def test_it_is_near_to_averaging_by_area(size):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (9, 16, 3), dtype=np.uint8)
    image = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    target = reduced_size(*size, 300)
    expected = cv2.resize(image, target, interpolation=cv2.INTER_AREA)
    assert np.abs(reduced(image, 300).astype(int) - expected).mean() < 2
