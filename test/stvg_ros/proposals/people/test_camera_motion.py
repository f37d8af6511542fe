# SPDX-License-Identifier: Apache-2.0

"""Views of a drawn wall that are shifted by known amounts."""

import numpy as np

from stvg_ros.proposals.people.camera_motion import (
    Stabilizer,
    looks_equal,
    stabilized,
    working_copy,
)


def wall(shift: tuple[int, int] = (0, 0)) -> np.ndarray:
    """A 320 x 240 part of a wall of tiles, `shift` pixels of x and y into it."""
    draw = np.random.default_rng(3)
    tiles = draw.integers(0, 255, (16, 24, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
    x, y = 60 + shift[0], 40 + shift[1]
    return np.ascontiguousarray(tiles[y : y + 240, x : x + 320])


def test_a_still_view_has_no_offset() -> None:
    stabilizer = Stabilizer()
    for _ in range(3):
        assert stabilizer(wall()).tolist() == [0, 0]


def test_a_shift_is_measured_and_taken_back() -> None:
    stabilizer = Stabilizer()
    stabilizer(wall())
    offset = stabilizer(wall((-4, 3)))  # the view moved left: what is seen moved right
    assert np.allclose(offset, (4, -3), atol=0.1)
    back = stabilized(wall((-4, 3)), offset)
    assert back is not None
    assert np.abs(back[20:-20, 20:-20].astype(int) - wall()[20:-20, 20:-20]).mean() < 8


def test_a_slow_pan_adds_up() -> None:
    stabilizer = Stabilizer()
    for step in range(0, 41, 4):
        offset = stabilizer(wall((step, 0)))
    assert np.allclose(offset, (-40, 0), atol=0.5)


def test_a_walker_is_outvoted_by_the_room() -> None:
    stabilizer = Stabilizer()
    for x in range(0, 120, 6):
        image = wall()
        image[60:200, 20 + x : 60 + x] = wall((9, 9))[60:200, 20:60]
        assert np.abs(stabilizer(image)).max() < 0.3


def test_a_cut_counts_as_unmoved() -> None:
    stabilizer = Stabilizer()
    stabilizer(wall())
    other = np.random.default_rng(9).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    assert stabilizer(other).tolist() == [0, 0]
    assert Stabilizer()(np.zeros((240, 320, 3), np.uint8)).tolist() == [0, 0]


def test_a_far_view_has_no_copy() -> None:
    assert stabilized(wall(), np.array([30, 0], np.float32)) is None


def test_places_look_equal_or_not() -> None:
    image = wall()
    changed = image.copy()
    changed[100:150, 100:140] = 255 - changed[100:150, 100:140]
    assert looks_equal(image, image, np.array([100, 100, 140, 150.0]))
    assert not looks_equal(image, changed, np.array([100, 100, 140, 150.0]))
    assert not looks_equal(image, image, np.array([400, 100, 440, 150.0]))  # outside


def test_working_copies_keep_the_aspect() -> None:
    assert working_copy(np.zeros((480, 640, 3), np.uint8)).shape == (240, 320, 3)
