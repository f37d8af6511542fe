# SPDX-License-Identifier: Apache-2.0

"""Scores inside masks; those inside boxes are in test_stages.py."""

import numpy as np
import pytest

from stvg_ros.method.scoring import around_crop, box_scores, cells_of_mask, inside_crop
from stvg_ros.types import CandidateTube

BOX = np.array([[0, 0, 100, 100]], np.float32)


def test_a_cell_counts_when_half_of_it_is_in_the_mask() -> None:
    mask = np.zeros((8, 12), np.bool_)
    mask[:4, :6] = True  # two of three columns and one of two rows of a 2 x 4 grid: 3 cells wide
    assert cells_of_mask(mask, (2, 4)).tolist() == [
        [True, True, False, False],
        [False, False, False, False],
    ]


def test_a_small_mask_keeps_its_best_cell_and_an_empty_one_has_none() -> None:
    mask = np.zeros((64, 64), np.bool_)
    mask[40, 3] = True
    assert np.argwhere(cells_of_mask(mask, (5, 7))).tolist() == [[3, 0]]
    assert not cells_of_mask(np.zeros((64, 64), np.bool_), (5, 7)).any()


def test_the_mask_rules_and_the_box_where_it_is_empty() -> None:
    heat = np.array([[[9, 1], [2, 3]]], np.float32)
    masks = np.zeros((2, 4, 4), np.bool_)
    masks[0, 2:, :2] = True
    present, slots = np.ones(2, np.bool_), np.zeros(2, np.int64)
    boxes = BOX.repeat(2, axis=0)
    assert box_scores(heat, boxes, present, slots, (100, 100), masks).tolist() == [2, 9]
    assert box_scores(heat, boxes, present, slots, (100, 100)).tolist() == [9, 9]


def test_masks_of_another_length_are_refused() -> None:
    yes, no = np.ones(1, np.bool_), np.zeros(1, np.bool_)
    with pytest.raises(ValueError, match=r"masks: expected \(1, m, n\) bool, got \(2, 4, 4\)"):
        CandidateTube(0, BOX, yes, no, masks=np.zeros((2, 4, 4), np.bool_))


@pytest.mark.parametrize(
    ("share", "counts"),
    [
        (0.1, False),
        (0.2, False),
        (0.3, False),
        (0.4, False),
        (0.45, False),
        (0.5, True),
        (0.6, True),
        (0.9, True),
        (1.0, True),
    ],
)
def test_a_cell_beside_a_full_one_counts_from_half_on(share: float, counts: bool) -> None:
    mask = np.zeros((20, 40), np.bool_)
    mask[:, :20] = True
    mask[:, 20 : 20 + round(20 * share)] = True
    assert cells_of_mask(mask, (1, 2)).tolist() == [[True, counts]]


MIDDLE = (0.25, 0.0, 0.75, 1.0)  # the middle square of an image of 200 x 100 px


def test_boxes_are_cut_at_the_borders_of_a_crop() -> None:
    boxes = np.array([
        [0, 10, 60, 90], [60, 10, 80, 90], [140, 0, 200, 50], [0, 0, 50, 100], [160, 0, 170, 100],
        [0, 0, 200, 100],
    ], np.float32)  # fmt: skip
    present = np.array([True, True, True, True, True, False])
    found, seen, size_px = inside_crop(boxes, present, (200, 100), MIDDLE)
    assert found[:3].tolist() == [[0, 10, 10, 90], [10, 10, 30, 90], [90, 0, 100, 50]]
    assert found[5].tolist() == [0, 0, 100, 100]
    assert seen.tolist() == [True, True, True, False, False, False]
    assert size_px == (100, 100)


def test_a_map_of_a_crop_over_the_whole_image() -> None:
    heat = np.arange(1, 5, dtype=np.float32).reshape(1, 2, 2)
    finer = np.array([0, 1, 2, 0]).repeat(4), np.array([0, 3, 4, 0]).repeat(4)
    assert around_crop(heat, MIDDLE).tolist() == [[row.tolist() for row in finer]]
    rows = [[0, 0], [1, 2], [3, 4], [0, 0]]
    expected = np.array(rows).repeat(4, axis=0).tolist()
    assert around_crop(heat, (0.0, 0.25, 1.0, 0.75))[0].tolist() == expected
    assert around_crop(heat, (0.0, 0.0, 1.0, 1.0)).tolist() == heat.tolist()
