# SPDX-License-Identifier: Apache-2.0

"""The numbers of the adaptive span and of change points."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_ros.method.span import adaptive, change_points


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
