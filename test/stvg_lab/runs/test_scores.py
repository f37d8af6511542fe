# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from stvg_lab.runs.conventions import scored
from stvg_lab.runs.scores import (
    FrameTube,
    Interval,
    Score,
    auroc,
    bootstrap,
    on_clip,
    spread,
    summarised,
)
from stvg_ros.types import Query, Status, Tube, TubeBox


def tube(
    first: int, last: int, box: tuple[float, float, float, float], count: int = 10
) -> FrameTube:
    span = np.zeros(count, bool)
    span[first : last + 1] = True
    return FrameTube(np.tile(np.array(box, np.float32), (count, 1)), span.copy(), span)


def test_hand_worked_case() -> None:
    # True frames 2..5, predicted 4..7: two shared of six; boxes overlap by 1/3 (50 of 150).
    truth, found = tube(2, 5, (0, 0, 10, 10)), tube(4, 7, (5, 0, 15, 10))
    result = scored(found, truth)
    assert result.t_iou == pytest.approx(2 / 6)
    assert result.v_iou == pytest.approx(2 * (1 / 3) / 6)
    assert result.gt_v_iou == pytest.approx(2 * (1 / 3) / 4)


def test_perfect_and_missing_answers() -> None:
    truth = tube(2, 5, (0, 0, 10, 10))
    assert scored(truth, truth) == Score(1.0, 1.0, 1.0)
    assert scored(FrameTube.nothing(10), truth) == Score(0.0, 0.0, 0.0)


def test_boxes_outside_the_span_count_for_gt_v_iou_only() -> None:
    truth, found = tube(0, 3, (0, 0, 10, 10), 4), tube(0, 1, (0, 0, 10, 10), 4)
    found = FrameTube(found.boxes_xyxy_px, np.ones(4, bool), found.span)
    assert scored(found, truth) == Score(0.5, 0.5, 1.0)


def test_v_iou_at_r_is_strictly_greater() -> None:
    means = summarised([Score(0, 0.3, 0), Score(0, 0.5, 0), Score(0, 0.51, 0), Score(1, 0.2, 1)])
    assert means["vIoU@0.3"].mean == 0.5
    assert means["vIoU@0.5"].mean == 0.25
    assert means["m_tIoU"].mean == 0.25


def test_tubes_are_matched_by_stamps() -> None:
    stamps = np.array([10, 20, 30, 40])
    boxes = (TubeBox(20, (0, 0, 2, 2), 1.0), TubeBox(31, (0, 0, 2, 2), 1.0))
    found = Tube(Query("x"), Status.FOUND, boxes=boxes, start_ns=20, end_ns=31)
    frames = on_clip(found, stamps)
    assert frames.span.tolist() == [False, True, True, False]
    assert frames.present.tolist() == [False, True, False, False]
    assert not on_clip(Tube(Query("x"), Status.NOT_FOUND), stamps).span.any()


def test_wrong_input() -> None:
    with pytest.raises(ValueError, match="one clip, got 10 and 4 frames"):
        scored(tube(0, 1, (0, 0, 1, 1)), tube(0, 1, (0, 0, 1, 1), 4))
    with pytest.raises(ValueError, match="true span is empty"):
        scored(tube(0, 1, (0, 0, 1, 1)), FrameTube.nothing(10))
    with pytest.raises(ValueError, match="one sample or more"):
        summarised([])


def test_bootstrap_is_seeded_and_covers_the_mean() -> None:
    values = np.random.default_rng(1).random(200).tolist()
    first = bootstrap(values, seed=3)
    assert first == bootstrap(values, seed=3) != bootstrap(values, seed=4)
    assert first.low < first.mean < first.high < first.low + 0.12
    assert bootstrap([0.5]) == Interval(0.5, None, None)  # one sample says nothing of the spread


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_sentences_about_one_recording_have_no_interval(count: int) -> None:
    values = np.linspace(0, 1, count).tolist()
    assert bootstrap(values, ["a"] * count) == Interval(pytest.approx(np.mean(values)), None, None)
    for interval in summarised([Score(0.5, 0.4, 0.3)] * count, [("a", "")] * count).values():
        assert interval.low is interval.high is None


@pytest.mark.parametrize("repeats", [2, 5, 20])
def test_more_sentences_about_the_same_recordings_do_not_narrow_the_interval(repeats: int) -> None:
    values = np.random.default_rng(1).random(12)
    one = bootstrap(values.tolist(), range(12))
    many = bootstrap(
        np.repeat(values, repeats).tolist(), np.repeat(np.arange(12), repeats).tolist()
    )
    assert (many.low, many.high) == pytest.approx((one.low, one.high))
    assert bootstrap(values.tolist()) == one


def test_the_interval_covers_the_mean_of_recordings_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    about = np.repeat(np.arange(30), 4)
    outside = 0
    for _ in range(200):
        values = rng.normal(0, 0.1, 30)[about] + rng.normal(0, 0.03, len(about))
        found = bootstrap(values.tolist(), about.tolist(), resamples=400)
        outside += not found.low <= 0 <= found.high
    assert outside <= 24


def test_recordings_of_other_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 recordings, got 1"):
        bootstrap([0.1, 0.2], ["a"])


def test_auroc() -> None:
    assert auroc([0.9, 0.4], [0.1, 0.4]) == pytest.approx(3.5 / 4)
    assert np.isnan(auroc([], [0.1]))


def test_tubes_of_kept_frames_are_carried_to_all_frames() -> None:
    kept = np.array([10, 30, 50, 70])
    boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [0, 0, 0, 0]])
    present = np.array([True, True, True, False])
    found = FrameTube(boxes, present, np.array([False, True, True, False]))
    frames = spread(found, kept, np.array([5, 10, 15, 30, 40, 50, 55, 70, 80]))
    assert frames.present.tolist() == [True] * 6 + [False] * 3
    assert frames.span.tolist() == [False, False, False, True, True, True, False, False, False]
    assert frames.boxes_xyxy_px[:6, 0].tolist() == [0, 0, 5, 20, 30, 40]
    one = spread(FrameTube(boxes[:1], present[:1], present[:1]), kept[:1], np.array([5, 10, 15]))
    assert one.span.all() and one.present.all()
