# SPDX-License-Identifier: Apache-2.0

"""Numbers in images: where they are, and that they differ."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_ros.number_marks import with_numbers

GRAY = np.full((96, 128, 3), 100, np.uint8)


def changed(image: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what differs from the gray image."""
    rows, columns = np.nonzero((image != GRAY).any(2))
    return columns.min(), rows.min(), columns.max(), rows.max()


def test_nothing_to_mark_changes_nothing() -> None:
    drawn = with_numbers(GRAY, {})
    np.testing.assert_array_equal(drawn, GRAY)
    assert drawn is not GRAY


def test_a_number_is_at_the_middle_of_the_upper_edge() -> None:
    drawn = with_numbers(GRAY, {3: (40, 20, 80, 90)})
    np.testing.assert_array_equal(GRAY, 100)
    assert changed(drawn) == (40, 20, 80, 90)
    label = np.argwhere((drawn == 0).all(2))
    assert label[:, 1].mean() == pytest.approx(60, abs=3)
    assert label[:, 0].min() == 20
    assert label[:, 0].max() < 40


def test_the_ordinal_is_in_the_corner_of_what_is_seen() -> None:
    whole = changed(with_numbers(GRAY, {}, 7))
    assert whole[:2] == (0, 0)
    assert whole[2] < 32
    cut = changed(with_numbers(GRAY, {}, 7, (0.25, 0.5)))
    assert cut[:2] == (32, 48)


def test_labels_stay_in_the_image() -> None:
    drawn = with_numbers(GRAY, {12: (120, 92, 140, 120), 4: (-30, -20, 5, 10)}, 20)
    assert (drawn[84:, 96:] > 180).any()  # 12
    assert (drawn[:12, :16] > 180).any()  # 4, or 20 above it
    assert changed(drawn)[3] == 95


def test_different_numbers_look_different() -> None:
    looks = {with_numbers(GRAY, {n: (40, 20, 80, 90)}).tobytes() for n in range(1, 21)}
    assert len(looks) == 20


def test_labels_grow_with_the_image() -> None:
    large = np.full((720, 960, 3), 100, np.uint8)
    rows = np.nonzero((with_numbers(large, {}, 5) != 100).any((1, 2)))[0]
    assert 50 <= rows.max() < 75
