# SPDX-License-Identifier: Apache-2.0

"""Questions as rows of a batch, padded behind their ends."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from stvg_ros.models.batched_prompts import batched, layer_masks
from stvg_ros.models.prompt import Suffix

QUESTIONS = [
    Suffix((11, 12, 13), (1, 2), ("?", "bot")),
    Suffix((21,), (0,), ("bot",)),
    Suffix((31, 32, 33, 34), (0, 2, 3), ("?", "\n", "bot")),
]
CPU = torch.device("cpu")


@pytest.mark.parametrize(("known", "begin"), [(5, 5), (5, 9), (0, 0), (1, 40)])
def test_each_question_has_a_row(known: int, begin: int) -> None:
    found = batched(QUESTIONS, known, begin, CPU)
    assert found.ids.tolist() == [[11, 12, 13, 0], [21, 0, 0, 0], [31, 32, 33, 34]]
    assert found.positions.tolist() == [[begin, begin + 1, begin + 2, begin + 3]]
    assert found.ends.tolist() == [2, 0, 3]
    assert found.mask.shape == (1, 1, 4, known + 4)
    for place in range(4):
        seen = found.mask[0, 0, place].nonzero()[:, 0].tolist()
        assert seen == list(range(known + place + 1))


def test_rows_and_states_of_each_question() -> None:
    found = batched(QUESTIONS[1:], 2, 2, CPU)
    assert found.rows.tolist() == [0, 2, 3]
    # Two passes of two questions, pass by pass; a row's values are 100 * batch + 10 * row + column.
    rows = 100 * torch.arange(4)[:, None, None] + 10 * torch.arange(3)[:, None] + torch.arange(2)
    one, other = found.split(rows)
    assert one.tolist() == [[[0, 1]], [[200, 201]]]
    assert other.tolist() == [[[100, 101], [110, 111], [120, 121]],
                              [[300, 301], [310, 311], [320, 321]]]  # fmt: skip
    hidden = torch.arange(8).view(2, 4, 1)
    assert found.last(hidden).tolist() == [[0], [7]]


@pytest.mark.parametrize("known", [0, 1, 2, 5])
@pytest.mark.parametrize("window", [1, 2, 3, 4, 7, 20])
def test_a_window_ends_at_each_token(known: int, window: int) -> None:
    """Of the prefix, a layer with a window keeps what the first token of a question sees."""
    whole = batched(QUESTIONS, known, known, CPU).mask
    masks = layer_masks(whole, known, SimpleNamespace(sliding_window=window))
    assert masks.keys() == {"full_attention", "linear_attention", "conv", "sliding_attention"}
    assert masks["full_attention"] is whole
    assert masks["linear_attention"] is masks["conv"] is None
    cut = masks["sliding_attention"]
    assert cut is not None
    kept = min(known, window - 1)
    assert cut.shape == (1, 1, 4, kept + 4)
    for place in range(4):
        at = known + place
        seen = [key - (known - kept) for key in range(max(0, at - window + 1), at + 1)]
        assert cut[0, 0, place].nonzero()[:, 0].tolist() == seen


def test_a_model_without_a_window() -> None:
    whole = batched(QUESTIONS, 3, 3, CPU).mask
    for config in (SimpleNamespace(), SimpleNamespace(sliding_window=None)):
        assert "sliding_attention" not in layer_masks(whole, 3, config)
