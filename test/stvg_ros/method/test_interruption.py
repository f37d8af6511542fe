# SPDX-License-Identifier: Apache-2.0

"""A grounding ends between the layers of its model, and its numbers do not know of it."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from fakes import FixedProposer, FixedSplitter, no_checkpoint, noise_clip

from stvg_ros.config import Config
from stvg_ros.errors import CanceledError
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.interruption import check_interruption, interrupt_between_layers, interruptible
from stvg_ros.models import load_mllm
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.types import Query

QUERY = Query("the person in red who waves")


class Stack(torch.nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(3, 3) for _ in range(count))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x).tanh()
        return x


class Ends:
    """Raises at the n-th call."""

    def __init__(self, calls: int = 10**9) -> None:
        self.left, self.calls = calls, 0

    def __call__(self, *stage: object) -> None:
        self.calls += 1
        self.left -= 1
        if self.left <= 0:
            raise CanceledError("canceled by the client")


@pytest.mark.parametrize("end", range(1, 9))
def test_a_pass_ends_before_any_layer_forwards_and_backwards(end: int) -> None:
    stack = Stack(4)
    interrupt_between_layers(stack)
    check = Ends(end)
    x = torch.ones(2, 3, requires_grad=True)
    with pytest.raises(CanceledError), interruptible(check):
        stack(x).sum().backward()
    assert check.calls == end
    assert x.grad is None


class Paired(torch.nn.Linear):
    """A layer that returns its attention weights too, as those of transformers do."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        return super().forward(x), None


def test_layers_that_return_more_are_checked_backwards_too() -> None:
    stack = torch.nn.ModuleList([Paired(3, 3), Paired(3, 3)])
    interrupt_between_layers(stack)
    check = Ends()
    x = torch.ones(2, 3, requires_grad=True)
    with interruptible(check):
        stack[1](stack[0](x)[0])[0].sum().backward()
    assert check.calls == 4


def test_numbers_are_the_same_and_nothing_is_checked_outside() -> None:
    plain, hooked = Stack(4), Stack(4)
    hooked.load_state_dict(plain.state_dict())
    interrupt_between_layers(hooked)
    check, grads = Ends(), []
    for stack in (plain, hooked):
        x = torch.linspace(-1, 1, 6).reshape(2, 3).requires_grad_(True)
        with interruptible(check):
            stack(x).sum().backward()
        grads.append(x.grad)
    assert torch.equal(grads[0], grads[1])
    assert check.calls == 8
    hooked(torch.ones(2, 3))
    check_interruption()
    assert check.calls == 8


@pytest.fixture(scope="module")
def mllm() -> HfMllm:
    torch.set_num_threads(1)
    config = Config()
    loaded = load_mllm(config.model, config.attention)
    assert isinstance(loaded, HfMllm)
    return loaded


def grounder(mllm: HfMllm, **flat: object) -> LocalGrounder:
    values = {"sampling.frames": 4, "reattention.gate": 1000.0, **flat}  # always tuned
    config = Config.from_flat(values)  # type: ignore[arg-type]
    proposer = FixedProposer((1.0, 2.0, 30.0, 40.0))
    return LocalGrounder(mllm, FixedSplitter(), proposer, config)


def test_each_stage_with_a_model_is_checked_layer_by_layer(mllm: HfMllm) -> None:
    counts: Counter[str] = Counter()
    work = grounder(mllm, **{"evidence.second_look": 0})
    work.ground(noise_clip(), QUERY, lambda stage, progress: counts.update([stage]))
    layers = len(mllm._text.layers)
    assert counts["encode"] > 1
    # The prefix and the questions run forwards, and what has a gradient backwards.
    assert counts["forward pass"] > 3 * layers
    assert counts["reversed pass"] > 3 * layers
    assert counts["attend"] > 2 * layers
    assert (counts["split"], counts["score"]) == (1, 1)
    work = grounder(mllm, **{"evidence.second_look": 1})
    work.ground(noise_clip(), QUERY, lambda stage, progress: counts.update([stage]))
    assert counts["score"] > 2 + layers  # the pass of the look


@pytest.mark.parametrize("recompute", [False, True])
def test_more_steps_are_checked_too(mllm: HfMllm, recompute: bool) -> None:
    counts: Counter[str] = Counter()
    work = grounder(mllm, **{"reattention.epochs": 3})
    mllm._always_recompute = recompute
    work.ground(noise_clip(), QUERY, lambda stage, progress: counts.update([stage]))
    mllm._always_recompute = False
    assert counts["re-attend"] > 10 * len(mllm._text.layers)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.4, 0.6, 0.8, 0.95])
def test_a_grounding_ends_at_any_check_and_the_next_one_is_whole(
    mllm: HfMllm, share: float
) -> None:
    work, clip = grounder(mllm), noise_clip()
    all_checks = Ends()
    whole = work.ground(clip, QUERY, all_checks)
    check = Ends(round(all_checks.calls * share))
    with pytest.raises(CanceledError):
        work.ground(clip, QUERY, check)
    assert check.left == 0  # nothing went on after it
    again = work.ground(clip, QUERY, no_checkpoint)
    assert again.best.score == whole.best.score or again.best.score != again.best.score
    assert again.evidence is not None and whole.evidence is not None
    assert again.evidence.spatial.tobytes() == whole.evidence.spatial.tobytes()
