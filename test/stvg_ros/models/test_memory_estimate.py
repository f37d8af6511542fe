# SPDX-License-Identifier: Apache-2.0

"""Estimates of memory, term by term, for models whose numbers can be counted by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from stvg_ros.models.memory_estimate import free_bytes, graph_bytes, pass_bytes

PLAIN = {
    "hidden_size": 10, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 3,
    "num_hidden_layers": 2, "intermediate_size": 20,
}  # fmt: skip
EXPERTS = {
    "intermediate_size": None, "num_experts_per_tok": 3, "moe_intermediate_size": 5,
    "shared_expert_intermediate_size": 4,
}  # fmt: skip
DELTA = {
    "layer_types": ["linear_attention", "full_attention"], "linear_num_value_heads": 2,
    "linear_value_head_dim": 3,
}  # fmt: skip
CONVOLUTION = {"layer_types": ["conv", "full_attention"]}
# Of a token in a layer of PLAIN, in bytes: 2 * 6 heads of 3 values, and 3 * 20 values with two
# norms of 10 in float32.
ATTENTION, REST = 2 * 6 * 3 * 2, 3 * 20 * 2 + 2 * 4 * 10
# Of a recurrent layer of DELTA: 6 values in float32 and in half precision, and two maps.
RECURRENT = 12 * 4 * 6 + 13 * 2 * 6 + 4 * (4 * 64 * 2)


def config(*changes: dict[str, Any]) -> Any:
    values = dict(PLAIN)
    for each in changes:
        values.update(each)
    return SimpleNamespace(**values)


@pytest.mark.parametrize(
    ("changes", "bytes_of_a_token"),
    [
        ([], 2 * (ATTENTION + REST)),
        ([{"head_dim": None}], 2 * (2 * 6 * 2 * 2 + REST)),  # 10 // 4 values a head
        ([{"num_hidden_layers": 5}], 5 * (ATTENTION + REST)),
        ([EXPERTS], 2 * (ATTENTION + 3 * (3 * 5 + 4) * 2 + 2 * 4 * 10)),
        ([DELTA], ATTENTION + RECURRENT + 2 * REST),
        ([DELTA, {"layer_types": ["linear_attention"] * 2}], 2 * (RECURRENT + REST)),
        ([CONVOLUTION], ATTENTION + 6 * 10 * 2 + 2 * REST),
        ([{"layer_types": ["full_attention"] * 2}], 2 * (ATTENTION + REST)),
    ],
)
def test_what_a_graph_holds(changes: list[dict[str, Any]], bytes_of_a_token: int) -> None:
    assert graph_bytes(config(*changes), 1, 2) == bytes_of_a_token
    assert graph_bytes(config(*changes), 7, 2) == 7 * bytes_of_a_token


def test_norms_are_in_float32_whatever_the_weights() -> None:
    for itemsize in (1, 2, 4):
        layer = (2 * 6 * 3 + 3 * 20) * itemsize + 2 * 4 * 10
        assert graph_bytes(config(), 1, itemsize) == 2 * layer
    single = graph_bytes(config(DELTA), 1, 4) - graph_bytes(config(DELTA), 1, 2)
    assert single == 2 * (2 * 6 * 3 + 13 * 6 + 2 * 3 * 20)


@pytest.mark.parametrize(
    ("changes", "layers", "values", "more"),
    [
        ([], 2, 2 * 2 * 10 + 8 * 10 + 3 * 20, 0),
        ([], 5, 2 * 5 * 10 + 8 * 10 + 3 * 20, 0),
        ([EXPERTS], 2, 2 * 2 * 10 + 8 * 10 + 3 * (3 * 5 + 4), 0),
        ([DELTA], 2, 2 * 2 * 10 + 8 * 10 + 3 * 20, RECURRENT),
        ([CONVOLUTION], 2, 2 * 2 * 10 + 8 * 10 + 3 * 20, 6 * 10 * 2),
    ],
)
def test_what_a_pass_holds(
    changes: list[dict[str, Any]], layers: int, values: int, more: int
) -> None:
    for tokens in (1, 7):
        found = pass_bytes(config(*changes), layers, tokens, 2)
        assert found == 1.5 * tokens * (2 * values + more)


def test_memory_that_torch_holds_but_does_not_use_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda", 0)
    for name, found in (
        ("mem_get_info", (900, 5000)), ("memory_reserved", 400), ("memory_allocated", 150),
    ):  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, lambda device, found=found: found)
    assert free_bytes([gpu]) == free_bytes([gpu, gpu]) == 900 + 400 - 150
