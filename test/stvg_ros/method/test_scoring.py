# SPDX-License-Identifier: Apache-2.0

"""Scores inside masks; those inside boxes are in test_stages.py."""

import numpy as np
import pytest

from stvg_ros.method.scoring import box_scores, cells_of_mask
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
