# SPDX-License-Identifier: Apache-2.0

"""Boxes of some frames to boxes of all frames."""

import numpy as np

from stvg_ros.proposals.interpolation import InterpolatedBoxes, filled, held, tubes_of


def box(x: float) -> np.ndarray:
    return np.array([x, 0, x + 10, 20], np.float32)


def still(x: float, score: float, present: list[bool]) -> InterpolatedBoxes:
    count = len(present)
    shown = np.array(present)
    return InterpolatedBoxes(np.tile(box(x), (count, 1)), shown, np.zeros(count, np.bool_), score)


def test_gaps_are_linear_and_flagged() -> None:
    boxes, present, interpolated = filled({1: box(0), 4: box(30)}, 6, smooth=False)
    assert boxes[:, 0].tolist() == [0, 0, 10, 20, 30, 30]
    assert present.tolist() == [False, True, True, True, True, False]
    assert interpolated.tolist() == [False, False, True, True, False, False]


def test_long_gaps_stay_empty_where_asked() -> None:
    _, present, interpolated = filled({0: box(0), 2: box(0), 6: box(9)}, 7, smooth=False, max_gap=2)
    assert present.tolist() == [True, True, True, False, False, False, True]
    assert interpolated.tolist() == [False, True, False, False, False, False, False]


def test_smoothing_takes_an_outlier_away() -> None:
    seen = {frame: box(50 if frame == 3 else 0) for frame in range(7)}
    boxes, _, _ = filled(seen, 7, smooth=True)
    assert boxes[:, 0].tolist() == [0] * 7


def test_ends_are_held_while_the_box_looks_the_same() -> None:
    boxes, present, _ = filled({3: box(0)}, 8, smooth=False)
    asked: list[tuple[int, int]] = []

    def same(first: int, second: int, where: np.ndarray) -> bool:
        asked.append((first, second))
        return second in (2, 4, 5)

    assert np.flatnonzero(held(boxes, present, same)).tolist() == [2, 3, 4, 5]
    assert asked == [(3, 2), (3, 1), (3, 4), (3, 5), (3, 6)]


def test_no_object_gives_no_tube() -> None:
    assert tubes_of([], (100, 50)) == ()


def test_one_of_two_on_one_another_is_kept_the_better_first() -> None:
    weak, strong, other = (
        still(0, 0.4, [True] * 4),
        still(1, 0.9, [True] * 4),
        still(60, 0.5, [True] * 4),
    )
    tubes = tubes_of([weak, strong, other], (100, 50))
    assert [tube.boxes_xyxy_px[0, 0] for tube in tubes] == [1, 60]
    assert [tube.track_id for tube in tubes] == [0, 1]


def test_boxes_outside_the_image_are_cut_or_gone() -> None:
    half, gone = still(95, 0.5, [True] * 3), still(300, 0.9, [True] * 3)
    (tube,) = tubes_of([half, gone], (100, 50))
    assert tube.boxes_xyxy_px[0].tolist() == [95, 0, 100, 20]
