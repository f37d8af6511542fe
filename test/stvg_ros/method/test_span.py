# SPDX-License-Identifier: Apache-2.0

"""The numbers of the adaptive span and of change points."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_ros.method.settings import SpanConfig
from stvg_ros.method.span import adaptive, change_points, contiguous, find_span


def test_the_floor_of_an_adaptive_span_is_the_lower_quartile() -> None:
    # Quartile 2.25, so the threshold is at 5.625; the median, 6, would put it at 7.5.
    scores = np.array([1.0, 1, 1, 6, 7, 9, 7, 6, 6, 6])
    assert adaptive(scores, 0.5) == (3, 9)


@pytest.mark.parametrize(
    ("peak", "span"),
    [(1.0, (0, 7)), (1.05, (0, 7)), (1.1, (0, 7)), (1.17, (0, 7)), (1.19, (3, 4)), (1.3, (3, 4)),
     (1.6, (3, 4)), (1.9, (3, 4)), (2.5, (3, 4)), (9.0, (3, 4))],
)  # fmt: skip
def test_a_peak_of_15_percent_of_itself_is_one(peak: float, span: tuple[int, int]) -> None:
    scores = np.ones(8)
    scores[3:5] = peak
    assert adaptive(scores, 0.5) == span
    assert adaptive(1e-3 * scores, 0.5) == span


@pytest.mark.parametrize("count", [4, 5, 6, 8, 10, 12, 16, 20, 32, 64])
def test_noise_passes_as_a_run_in_few_windows_of_any_length(count: int) -> None:
    noise = np.exp(0.2 * np.random.default_rng(count).standard_normal((400, count)))
    runs = sum(change_points(row) != (0, count - 1) for row in noise)
    assert runs <= 0.08 * len(noise)


def test_a_span_at_one_end_does_not_depend_on_the_other_end() -> None:
    assert adaptive(np.array([1.0, 9, 1, 1, 1, 7]), 0.5) == (1, 1)
    assert adaptive(np.array([7.0, 1, 1, 1, 9, 1]), 0.5) == (4, 4)


def test_four_frames_are_enough_for_change_points() -> None:
    assert change_points(np.array([1.0, 9, 1, 1])) == (1, 1)


@pytest.mark.parametrize("length", [1, 3, 8, 9, 10, 11, 12, 15, 19, 20])
def test_lengths_are_those_of_twenty_frames(length: int) -> None:
    scores = np.linspace(0, 1, 20, dtype=np.float32)
    span = find_span(scores, SpanConfig(method="contiguous", length=length))
    assert span == (20 - length, 19)


@pytest.mark.parametrize(
    ("scores", "span"),
    [
        ([5.0, 9, 1, 1], (0, 1)),
        ([1.0, 1, 9, 5], (2, 3)),
        ([1.0, 9, 1], (0, 1)),  # of equal neighbours the earlier one
    ],
)
def test_two_frames_are_the_peak_and_its_better_neighbour(
    scores: list[float], span: tuple[int, int]
) -> None:
    assert contiguous(np.array(scores), 2) == span


@pytest.mark.parametrize(
    ("scores", "span"),
    [
        ([17.0, 17, 17, 20, 17], (0, 4)),  # exactly 15 percent above the floor
        ([1.0, 1, 1, 5, 9, 1, 1, 1], (3, 4)),  # exactly at the threshold
        ([9.0, 1, 1, 1, 7], (0, 0)),
        ([6.0, 9, 1, 1, 1], (0, 1)),
        ([6.0, 1, 9, 1, 1, 1, 1], (0, 2)),
        ([1.0, 1, 1, 1, 9, 1, 6], (4, 6)),
        ([1.0, 1, 1, 9, 1, 6, 1, 1], (3, 5)),
        ([1.0, 6, 1, 9, 1, 1, 1, 1], (1, 3)),
    ],
)
def test_adaptive_spans_at_their_limits(scores: list[float], span: tuple[int, int]) -> None:
    assert adaptive(np.array(scores), 0.5) == span
    assert find_span(np.array(scores, np.float32), SpanConfig(threshold=0.5)) == span


@pytest.mark.parametrize(
    ("scores", "span"),
    [
        ([1.0, 1, 1, 1.3, 1.3, 1, 1, 1], (3, 4)),
        ([1.0, 1, 1, 0.8, 0.8, 1, 1, 1], (0, 7)),  # a lower level inside is no run
        ([3.0, 3.1, 2.9, 1, 1.1, 0.9, 1, 1.1], (0, 2)),
        ([1.0, *[3.0] * 19], (1, 19)),
        ([2.0] * 8, (0, 7)),
        # The gain of these, over the logarithm of their number: 4.03 and 3.91 of the penalty's 4.
        ([1.0, 1.3, 0.8, 1.1, 1.7, 1.4, 1.9, 1.5, 1, 1.2, 0.8, 1.1], (4, 7)),
        ([1.0, 1.3, 0.8, 1.1, 1.6, 1.4, 1.8, 1.5, 1, 1.2, 0.8, 1.1], (0, 11)),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_change_points_of_ratios_in_both_directions(
    scores: list[float], span: tuple[int, int], scale: float
) -> None:
    values, last = scale * np.array(scores), len(scores) - 1
    with np.errstate(divide="raise", invalid="raise"):
        assert change_points(values) == span
        assert change_points(values[::-1]) == (last - span[1], last - span[0])


def test_each_method_is_the_one_of_its_name() -> None:
    scores = np.array([1, 1, 1, 1.3, 1.3, 1.35, 1.5, 1], np.float32)
    found = {
        method: find_span(scores, SpanConfig(method=method, top_k=5, length=5, threshold=0.9))
        for method in ("adaptive", "change_points", "top_k", "contiguous", "window")
    }
    assert found == {
        "adaptive": (6, 6),
        "change_points": (3, 6),
        "top_k": (5, 6),
        "contiguous": (5, 6),
        "window": (0, 7),
    }
