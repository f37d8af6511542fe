# SPDX-License-Identifier: Apache-2.0

"""The packed row against the questions one by one."""

from __future__ import annotations

import pytest
import torch

from stvg_ros.models.packed_prompts import packed
from stvg_ros.models.prompt import Suffix

QUESTIONS = [
    Suffix((11, 12, 13), (1, 2), ("?", "bot")),
    Suffix((21,), (0,), ("bot",)),
    Suffix((31, 32, 33, 34), (0, 2, 3), ("?", "\n", "bot")),
]


@pytest.mark.parametrize("questions", [QUESTIONS, QUESTIONS[:1], QUESTIONS[1:], QUESTIONS[1:2]])
@pytest.mark.parametrize(("known", "begin"), [(5, 5), (5, 9), (0, 0), (1, 40)])
def test_each_question_is_as_if_it_were_alone(
    questions: list[Suffix], known: int, begin: int
) -> None:
    row = packed(questions, known, begin, torch.device("cpu"))
    total = sum(len(one.ids) for one in questions)
    assert row.mask.shape == (1, 1, total, known + total)
    assert row.counts == [len(one.candidates) for one in questions]
    at, rows = 0, []
    for one in questions:
        end = at + len(one.ids)
        assert tuple(row.ids[0, at:end].tolist()) == one.ids
        assert row.positions[0, at:end].tolist() == list(range(begin, begin + len(one.ids)))
        for place in range(at, end):
            seen = [*range(known), *range(known + at, known + place + 1)]
            assert row.mask[0, 0, place].nonzero()[:, 0].tolist() == seen
        rows += [at + candidate for candidate in one.candidates]
        at = end
    assert row.rows.tolist() == rows
    ends = torch.tensor([len(one.ids) for one in questions]).cumsum(0) - 1
    assert row.ends.tolist() == ends.tolist()
