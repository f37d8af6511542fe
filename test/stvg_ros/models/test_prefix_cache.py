# SPDX-License-Identifier: Apache-2.0

"""Shared states of a prefix, and layers that are recomputed, against a plain pass."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, LlamaConfig, LlamaModel

from stvg_ros.models.prefix_cache import (
    OneLayer,
    SharedPrefix,
    named_cache,
    pairs_of,
    recompute_layers,
)  # fmt: skip


def pairs(count: int = 2, tokens: int = 3) -> tuple[tuple[Tensor, Tensor], ...]:
    return tuple(
        (torch.full((1, 2, tokens, 4), 10.0 * n), torch.full((1, 2, tokens, 4), 10.0 * n + 1))
        for n in range(count)
    )


def test_new_keys_and_values_follow_the_prefix_and_do_not_change_it() -> None:
    shared = SharedPrefix(pairs(), 3)
    new = torch.full((1, 2, 5, 4), 7.0)
    for _ in range(2):
        keys, values = shared.update(new, new + 1, 1)
        assert keys[0, 0, :, 0].tolist() == [10.0] * 3 + [7.0] * 5
        assert values[0, 0, :, 0].tolist() == [11.0] * 3 + [8.0] * 5
    assert shared.get_seq_length() == 3


def test_named_arguments_of_newer_libraries_are_taken() -> None:
    new = torch.ones(1, 2, 5, 4)
    for cache, layer in ((SharedPrefix(pairs(), 3), (0,)), (OneLayer(None), ())):
        keys, values = cache.update(new, new, *layer, kwargs={"position": 1})
        assert keys.shape == values.shape


def test_each_question_of_a_batch_follows_its_own_copy_of_the_prefix() -> None:
    shared = SharedPrefix(
        (*pairs(1), (torch.arange(8.0).view(2, 1, 4), torch.ones(2, 1, 2, 2))), 3, 2
    )
    keys, _ = shared.update(torch.full((2, 2, 5, 4), 7.0), torch.zeros(2, 2, 5, 4), 0)
    assert keys.shape == (2, 2, 8, 4)
    whole = shared.update_conv_state(torch.full((4, 1, 2), 9.0), 1, conv_kernel_size=4)
    assert whole[:, 0].tolist() == [[0, 1, 2, 3, 9, 9]] * 2 + [[4, 5, 6, 7, 9, 9]] * 2
    state = shared.get_recurrent_state(1)
    assert state is not None and state.shape == (4, 1, 2, 2)
    shared.update_recurrent_state(torch.zeros(4, 1, 2, 2), 1)
    assert torch.equal(shared.get_recurrent_state(1), state)  # the next question sees the prefix


class Model:
    """A language model of two layers that counts how often each runs."""

    def __init__(self, wanted: bool, plain: bool = False) -> None:
        torch.manual_seed(5)
        config = LlamaConfig(
            vocab_size=8, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2,
        )  # fmt: skip
        self.model = LlamaModel(config).eval().requires_grad_(False)
        self.runs = [0, 0]
        for index, layer in enumerate(self.model.layers):
            layer.forward = self.counted(layer.forward, index)
        if not plain:
            recompute_layers(self.model, lambda: wanted)

    def counted(self, forward: Any, index: int) -> Any:
        def run(*rest: Any, **named: Any) -> Any:
            self.runs[index] += 1
            return forward(*rest, **named)

        return run

    def prefix_and_question(self, offset: Tensor, *, cache: bool = True) -> Tensor:
        """The state after a prefix `(3, 16)` and two tokens behind it."""
        prefix = torch.linspace(-1, 1, 48).view(1, 3, 16) + offset
        question = torch.linspace(1, -1, 32).view(1, 2, 16)
        if not cache:
            whole = torch.cat([prefix, question], 1)
            return self.model(inputs_embeds=whole, use_cache=False).last_hidden_state[:, 3:]
        filled = DynamicCache()
        self.model(inputs_embeds=prefix, past_key_values=filled, use_cache=True)
        return self.model(
            inputs_embeds=question,
            past_key_values=SharedPrefix(pairs_of(filled, 2), 3),
            position_ids=torch.tensor([[3, 4]]),
            attention_mask=mask(),
            use_cache=True,
        ).last_hidden_state


def mask() -> Tensor:
    seen = torch.ones(2, 5, dtype=torch.bool).tril(3)
    return torch.zeros(1, 1, 2, 5).masked_fill(~seen, float("-inf"))


def gradient(model: Model, **options: Any) -> tuple[Tensor, Tensor]:
    offset = torch.zeros(1, 3, 16, requires_grad=True)
    states = model.prefix_and_question(offset, **options)
    (found,) = torch.autograd.grad(states.square().sum(), offset)
    return states.detach(), found


def test_recomputed_layers_have_the_same_states_and_gradient() -> None:
    wanted = gradient(Model(False, plain=True), cache=False)
    for model, runs in ((Model(False, plain=True), 2), (Model(False), 2), (Model(True), 4)):
        for found, expected in zip(gradient(model), wanted, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        assert model.runs == [runs, runs]  # prefix and question; each again for the gradient


def test_layers_that_name_their_cache_as_transformers_5_24_does_are_recomputed() -> None:
    model = Model(False, plain=True)

    def renamed(forward: Any, old: str, new: str) -> Any:
        def run(*rest: Any, **named: Any) -> Any:
            assert new not in named
            return forward(*rest, **{new if key == old else key: named[key] for key in named})

        return run

    for layer in model.model.layers:
        layer.forward = renamed(layer.forward, "cache", "past_key_values")
    recompute_layers(model.model, lambda: True)
    for layer in model.model.layers:
        layer.forward = renamed(layer.forward, "past_key_values", "cache")
    for found, expected in zip(gradient(model), gradient(Model(True)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert model.runs == [4, 4]


def test_a_cache_is_given_by_the_name_that_a_module_has_for_it() -> None:
    class New:
        def forward(self, ids: Any, cache: Any = None) -> None: ...

    class Old:
        def forward(self, ids: Any, past_key_values: Any = None) -> None: ...

    filled = DynamicCache()
    assert named_cache(New(), filled) == {"cache": filled}
    assert named_cache(Old(), filled) == {"past_key_values": filled}


@pytest.mark.parametrize("cache", [True, False])
def test_nothing_is_recomputed_without_a_gradient_or_a_cache(cache: bool) -> None:
    model, offset = Model(True), torch.zeros(1, 3, 16)
    with torch.no_grad():
        model.prefix_and_question(offset, cache=cache)
    assert model.runs == ([2, 2] if cache else [1, 1])
    offset.requires_grad_()
    states = model.prefix_and_question(offset, cache=False)
    model.runs = [0, 0]
    torch.autograd.grad(states.sum(), offset)
    assert model.runs == [0, 0]
