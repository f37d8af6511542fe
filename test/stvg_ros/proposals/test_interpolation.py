# SPDX-License-Identifier: Apache-2.0

"""Boxes of some frames to boxes of all frames."""

import numpy as np
import pytest

from stvg_ros.proposals.interpolation import SMOOTHING, InterpolatedBoxes, filled, held, tubes_of


def box(x: float) -> np.ndarray:
    return np.array([x, 0, x + 10, 20], np.float32)


def at_rate(count: int, step_s: float = 0.1) -> np.ndarray:
    """Stamps of a camera that drops no image."""
    return 10**18 + np.round(np.arange(count) * step_s * 1e9).astype(np.int64)


def still(x: float, score: float, present: list[bool]) -> InterpolatedBoxes:
    count = len(present)
    shown = np.array(present)
    return InterpolatedBoxes(np.tile(box(x), (count, 1)), shown, np.zeros(count, np.bool_), score)


def test_gaps_are_linear_and_flagged() -> None:
    boxes, present, interpolated = filled({1: box(0), 4: box(30)}, at_rate(6), smooth=0)
    assert boxes[:, 0].tolist() == [0, 0, 10, 20, 30, 30]
    assert present.tolist() == [False, True, True, True, True, False]
    assert interpolated.tolist() == [False, False, True, True, False, False]


def test_long_gaps_stay_empty_where_asked() -> None:
    _, present, interpolated = filled(
        {0: box(0), 2: box(0), 6: box(9)}, at_rate(7), smooth=0, max_gap=2
    )
    assert present.tolist() == [True, True, True, False, False, False, True]
    assert interpolated.tolist() == [False, True, False, False, False, False, False]


def test_smoothing_takes_an_outlier_away() -> None:
    seen = {frame: box(50 if frame == 3 else 0) for frame in range(7)}
    boxes, _, _ = filled(seen, at_rate(7), smooth=SMOOTHING)
    assert boxes[:, 0].tolist() == [0] * 7


def test_ends_are_held_while_the_box_looks_the_same() -> None:
    boxes, present, _ = filled({3: box(0)}, at_rate(8), smooth=0)
    asked: list[tuple[int, int]] = []

    def same(first: int, second: int, where: np.ndarray) -> bool:
        asked.append((first, second))
        return second in (2, 4, 5)

    assert np.flatnonzero(held(boxes, present, same)).tolist() == [2, 3, 4, 5]
    assert asked == [(3, 2), (3, 1), (3, 4), (3, 5), (3, 6)]


def test_what_is_held_keeps_its_gap() -> None:
    present = np.array([False, True, False, False, True, False])
    boxes = np.tile(np.array([0, 0, 4, 4], np.float64), (6, 1))
    assert np.flatnonzero(held(boxes, present, lambda *_: True)).tolist() == [0, 1, 4, 5]


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


STEPS = {  # seconds between images
    "regular": lambda rng: np.full(40, 0.1),
    "fast": lambda rng: np.full(40, 1 / 120),
    "slow": lambda rng: np.full(40, 2.0),
    "jitter": lambda rng: rng.uniform(0.03, 0.06, 40),
    "every eighth image late": lambda rng: np.where(np.arange(40) % 8 == 7, 1.0, 0.05),
    "a hole of a minute": lambda rng: np.where(np.arange(40) == 20, 60.0, 0.1),
    "exposure changes": lambda rng: np.where(np.arange(40) < 20, 0.033, 0.066),
    "bursts": lambda rng: np.where(np.arange(40) % 4 == 0, 0.4, 0.001),
    "a nanosecond apart": lambda rng: np.where(np.arange(40) % 2 == 0, 0.1, 1e-9),
    "longer and longer": lambda rng: 0.01 * 1.1 ** np.arange(40),
    "dropped at random": lambda rng: 0.05 * rng.integers(1, 6, 40),
}


@pytest.mark.parametrize("seen_every", [1, 2, 5, 13, 39])
@pytest.mark.parametrize("name", STEPS)
def test_boxes_between_detections_follow_the_time(name: str, seen_every: int) -> None:
    times_s = np.cumsum(STEPS[name](np.random.default_rng(0)))
    stamps_ns = 10**18 + np.round(times_s * 1e9).astype(np.int64)
    true = np.stack([box(50 * (ns - 10**18) / 1e9) for ns in stamps_ns.tolist()])
    seen = {frame: true[frame] for frame in range(0, 40, seen_every)}
    boxes, present, _ = filled(seen, stamps_ns, smooth=0)
    assert np.abs(boxes - true)[present].max() < 0.01


@pytest.mark.parametrize("hole_s", [0.3, 0.5, 1.0, 5.0, 60.0])
@pytest.mark.parametrize("at", [3, 20, 36])
def test_boxes_are_not_averaged_over_dropped_images(hole_s: float, at: int) -> None:
    times_s = np.cumsum(np.where(np.arange(40) == at, hole_s, 0.05))
    true = np.stack([box(50 * each) for each in times_s.tolist()])
    boxes, _, _ = filled(
        dict(enumerate(true)), np.round(times_s * 1e9).astype(np.int64), smooth=SMOOTHING
    )
    assert np.abs(boxes - true).max() < 50 * 0.05 * 1.3  # as at the ends of a track


def test_smoothing_of_a_regular_camera_is_that_of_the_whole_track() -> None:
    rng = np.random.default_rng(1)
    seen = {frame: box(2 * frame + rng.normal()) for frame in range(30)}
    steady, _, _ = filled(seen, at_rate(30), smooth=SMOOTHING)
    jitter_ns = rng.integers(-20_000_000, 20_000_000, 30)
    shaken, _, _ = filled(seen, at_rate(30) + jitter_ns, smooth=SMOOTHING)
    assert np.array_equal(steady, shaken)
