# SPDX-License-Identifier: Apache-2.0

"""Attention rows and outputs against a plain eager attention over whole maps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from stvg_ros.models.attention_capture import AttentionRecorder, HeadSet, attend, recording

PASSES, HEADS, SIZE = 2, 4, 8
ROWS, COLUMNS = torch.tensor([1, 4]), torch.tensor([0, 2, 3])


def tensors(groups: int, queries: int = 5, keys: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(groups)
    shape = (PASSES, groups, keys, SIZE)
    query = torch.randn(PASSES, HEADS, queries, SIZE, requires_grad=True)
    return query, torch.randn(shape), torch.randn(shape)


def causal(queries: int = 5, keys: int = 7) -> Tensor:
    """`(S, N)`: the queries are the last positions of the keys."""
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)


def packed() -> Tensor:
    """A causal mask in which the last two queries do not see the two before them."""
    mask = causal()
    mask[3:, 3:5] = False
    return mask.expand(PASSES, 1, 5, 7).clone()


def eager(query: Tensor, key: Tensor, value: Tensor, visible: Tensor, scale: float):
    """Weights `(B, H, S, N)` and output `(B, S, H, d)`."""
    keys, values = (t.repeat_interleave(HEADS // t.shape[1], 1) for t in (key, value))
    scores = query @ keys.transpose(-1, -2) * scale
    weights = scores.masked_fill(~visible, float("-inf")).softmax(-1)
    return weights, (weights @ values).transpose(1, 2)


def layer(index: int, groups: int) -> Any:
    return SimpleNamespace(
        layer_idx=index, is_causal=True, num_key_value_groups=HEADS // groups, training=False
    )


def additive(mask: Tensor) -> Tensor:
    return torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("scaling", [None, 0.3])
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_rows_and_output_are_those_of_eager_attention(
    groups: int, scaling: float | None, kind: str
) -> None:
    query, key, value = tensors(groups)
    mask = packed()
    given = mask if kind == "bool" else additive(mask)
    recorder = AttentionRecorder(ROWS, COLUMNS, (HeadSet.band(0, 0),))
    with recording(recorder):
        output, nothing = attend(layer(0, groups), query, key, value, given, scaling)
    weights, expected = eager(query, key, value, mask, scaling or SIZE**-0.5)
    assert nothing is None
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-6)
    wanted = weights[:, :, ROWS].mean(1)[..., COLUMNS]
    torch.testing.assert_close(recorder.mean(), wanted, rtol=1e-5, atol=1e-6)
    assert not recorder.mean().requires_grad
    assert recorder.largest == PASSES * HEADS * len(ROWS) * key.shape[2]


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("keys", [5, 7])
def test_without_a_mask_a_row_sees_the_keys_up_to_its_own(groups: int, keys: int) -> None:
    query, key, value = tensors(groups, keys=keys)
    recorder = AttentionRecorder(ROWS, COLUMNS, (HeadSet.band(0, 0),))
    recorder.add(0, query, key, None, 0.5)
    weights, _ = eager(query, key, value, causal(keys=keys), 0.5)
    torch.testing.assert_close(recorder.mean(), weights[:, :, ROWS].mean(1)[..., COLUMNS])


def test_the_rows_are_the_mean_over_the_layers_of_the_band() -> None:
    expected = []
    recorder = AttentionRecorder(ROWS, COLUMNS, (HeadSet.band(1, 2),))
    with recording(recorder):
        for index in range(4):
            query, key, value = tensors(2)
            query = query + index
            attend(layer(index, 2), query, key, value, packed())
            weights, _ = eager(query, key, value, packed(), SIZE**-0.5)
            expected.append(weights[:, :, ROWS].mean(1)[..., COLUMNS])
    assert recorder.layers == 2
    torch.testing.assert_close(recorder.mean(), (expected[1] + expected[2]) / 2)


def test_the_largest_map_is_kept() -> None:
    recorder = AttentionRecorder(ROWS, COLUMNS, (HeadSet.band(0, 0),))
    for keys in (5, 9, 7):
        query, key, _ = tensors(2, keys=keys)
        recorder.add(0, query, key, None, 1.0)
    assert recorder.largest == PASSES * HEADS * len(ROWS) * 9


def test_the_output_has_a_gradient_and_no_recorder_is_needed() -> None:
    for groups in (2, 4):
        query, key, value = tensors(groups)
        output, _ = attend(layer(0, groups), query, key, value, packed())
        (found,) = torch.autograd.grad(output.square().sum(), query)
        _, plain = eager(query, key, value, packed(), SIZE**-0.5)
        (wanted,) = torch.autograd.grad(plain.square().sum(), query)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_recorder_is_active_inside_its_context_only() -> None:
    query, key, value = tensors(2)
    outer, inner = (AttentionRecorder(ROWS, COLUMNS, (HeadSet.band(0, 0),)) for _ in range(2))
    with recording(outer):
        with pytest.raises(KeyError), recording(inner):
            raise KeyError
        attend(layer(0, 2), query, key, value, packed())
    attend(layer(0, 2), query, key, value, packed())
    assert (outer.layers, inner.layers) == (1, 0)
    with pytest.raises(RuntimeError, match="no layer of the band ran"):
        inner.mean()


def test_rows_of_sets_and_of_each_head() -> None:
    """Heads 0 and 3 of layer 1 and head 2 of layer 0, in one mean; every head by itself."""
    sets = (HeadSet.band(0, 1), HeadSet({1: (0, 3), 0: (2,)}))
    recorder, maps = AttentionRecorder(ROWS, COLUMNS, sets, kept={}), []
    with recording(recorder):
        for index in range(2):
            query, key, value = tensors(2)
            query = query * (1 + index)
            attend(layer(index, 2), query, key, value, packed())
            weights, _ = eager(query, key, value, packed(), SIZE**-0.5)
            maps.append(weights[:, :, ROWS][..., COLUMNS])
    wanted = (maps[1][:, 0] + maps[1][:, 3] + maps[0][:, 2]) / 3
    torch.testing.assert_close(recorder.mean(1), wanted, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(recorder.mean(), (maps[0].mean(1) + maps[1].mean(1)) / 2)
    assert recorder.kept is not None
    assert list(recorder.kept) == [0, 1]
    for index, kept in recorder.kept.items():
        torch.testing.assert_close(kept, maps[index], rtol=1e-5, atol=1e-6)


def test_selected_heads_need_no_larger_map() -> None:
    query, key, value = tensors(2)
    plain, selected = (
        AttentionRecorder(ROWS, COLUMNS, sets)
        for sets in ((HeadSet.band(0, 0),), (HeadSet.band(0, 0), HeadSet({0: (1,)})))
    )
    for recorder in (plain, selected):
        with recording(recorder):
            attend(layer(0, 2), query, key, value, packed())
    assert plain.largest == selected.largest
    assert (plain.kept, selected.kept) == (None, None)
