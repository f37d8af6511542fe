# SPDX-License-Identifier: Apache-2.0

"""Fits over all sentences at once are those of one sentence after the other."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stvg_lab.ablation.evidence_weights import SourceReading, tube_weights
from stvg_lab.ablation.padded_rows import padded, shares
from stvg_lab.ablation.source_weights import SentenceEvidence, choice_weight

Array = NDArray[np.float64]


def readings(count: int = 40, seed: int = 0) -> list[SourceReading]:
    """Sentences about two to six tubes, whose targets mostly have the largest sum."""
    rng, made = np.random.default_rng(seed), []
    for _ in range(count):
        tubes = rng.normal(size=(int(rng.integers(2, 7)), 3))
        target = int(np.argmax(tubes.sum(axis=1) + rng.gumbel(size=len(tubes))))
        made.append(SourceReading(tubes, target, np.zeros((0, 3)), np.zeros(0, np.bool_)))
    return made


def slope_one_by_one(rows: list[SourceReading], weights: Array, used: slice, ridge: float) -> Array:
    """The gradient of the log-likelihood by the weights of some columns; the others stay."""
    slope = -ridge * weights[used]
    for one in rows:
        odds = one.tubes @ weights
        p = np.exp(odds - odds.max())
        slope = slope + (one.tubes[one.target] - p @ one.tubes / p.sum())[used]
    return slope


def test_rows_are_filled_up_at_their_ends() -> None:
    found = padded([np.array([1.0]), np.array([2.0, 3.0])], -np.inf)
    assert found.tolist() == [[1.0, -np.inf], [2.0, 3.0]]
    many = padded([np.ones((2, 3)), np.full((1, 3), 5.0)])
    assert many[1].tolist() == [[5.0] * 3, [0.0] * 3]


def test_what_was_filled_up_has_no_share() -> None:
    odds = padded([np.log([1.0, 3.0]), np.array([800.0])], -np.inf)
    np.testing.assert_allclose(shares(odds), [[0.25, 0.75], [1.0, 0.0]])


@pytest.mark.parametrize("seed", range(3))
def test_no_change_of_the_fitted_weights_makes_the_targets_likelier(seed: int) -> None:
    rows = readings(seed=seed)
    found = tube_weights(rows)
    without = np.array([*found[:2], 0.0])
    for weights, used in ((without, slice(2)), (found, slice(2, 3))):
        slope = slope_one_by_one(rows, weights, used, ridge=1e-3)
        np.testing.assert_allclose(slope, 0, atol=1e-10)
    assert (found > 0.3).all()


def test_the_weight_beside_attention_is_where_the_slope_is_zero() -> None:
    rows = readings()
    found = choice_weight([
        SentenceEvidence(one.tubes[:, 0], one.tubes[:, 1], np.arange(len(one.tubes)) == one.target)
        for one in rows
    ])  # fmt: skip
    slope = slope_one_by_one(rows, np.array([1.0, found, 0.0]), slice(1, 2), ridge=1e-2)
    np.testing.assert_allclose(slope, 0, atol=1e-10)
    assert 0.3 < found < 3
