# SPDX-License-Identifier: Apache-2.0

"""What a command costs is counted, and everything else of the model is unchanged."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fakes import ToyMllm

from stvg_ros.method.pass_counter import COUNTED, PassCounter

IMAGE = np.zeros((40, 60, 3), np.uint8)
NOTHING = dict.fromkeys(COUNTED, 0)


class Writing(ToyMllm):
    """Counts its tokens, and keeps the total that it is encoding for."""

    generated = 5
    total = -7

    def encode(self, images: Sequence[Any], total: int = -7) -> Any:
        self.total = total
        return super().encode(images, total)


def test_counts_begin_and_end_with_nothing() -> None:
    counter = PassCounter(Writing())
    assert counter.counts == NOTHING
    counter.encode([IMAGE])  # before a command
    with counter.counting():
        assert counter.counts == NOTHING
        video = counter.encode([IMAGE] * 3)
        counter.prefill(video)
        counter.mllm.generated += 4
        counts = counter.counts
    assert counts == {"images": 3, "passes": 1, "gradients": 0, "tokens": 4}
    assert counter.counts == NOTHING
    counter.encode([IMAGE])
    assert counts["images"] == 3


def test_a_model_that_does_not_count_tokens_has_generated_none() -> None:
    counter = PassCounter(ToyMllm())
    with counter.counting():
        counts = counter.counts
    assert counts == NOTHING


@pytest.mark.parametrize(("given", "total"), [((), 0), ((8,), 8)])
def test_the_total_is_passed_on(given: tuple[int, ...], total: int) -> None:
    model = Writing()
    PassCounter(model).encode([IMAGE], *given)
    assert model.total == total


def test_other_attributes_are_the_models() -> None:
    counter = PassCounter(Writing())
    assert counter.generated == 5
    assert copy.copy(counter).mllm is counter.mllm
    with pytest.raises(AttributeError, match="mllm"):
        PassCounter.__new__(PassCounter).mllm  # noqa: B018
    with pytest.raises(AttributeError, match="melody"):
        counter.melody  # noqa: B018
