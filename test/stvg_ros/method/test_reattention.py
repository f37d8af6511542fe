# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import pytest
import torch
from fakes import reading

from stvg_ros.method.interfaces import Reading
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.reattention import (
    Step,
    gradient,
    moved,
    reattention_loss,
    spatial_step,
    temporal_step,
    tuned,
)
from stvg_ros.method.settings import ReattentionConfig

ROWS = torch.zeros(1, 1, 1, 1)
PLAIN = Step("paper", "plain", 8.0)


def at_margin(leaf: torch.Tensor) -> Reading:
    return Reading(ROWS, ("a",), leaf, torch.tensor(0.0))


def test_losses_by_hand() -> None:
    asked, neutral = reading(ROWS, yes=-0.5, no=-1.5), reading(ROWS, yes=-2.0, no=-1.0)
    assert float(reattention_loss(asked, neutral, "paper")) == pytest.approx(-math.e)
    assert float(reattention_loss(asked, neutral, "code")) == pytest.approx(1 - (1 - -1))


@pytest.mark.parametrize("margin", [-1.5, 0.0, 2.0])
def test_paper_loss_has_the_derivative_of_minus_exp(margin: float) -> None:
    leaf = torch.tensor(margin, requires_grad=True)
    grad = gradient(
        reattention_loss(at_margin(leaf), reading(ROWS), "paper"), leaf, keep_graph=False
    )
    assert float(grad) == pytest.approx(-math.exp(margin))


@pytest.mark.parametrize("margin", [-1e4, -200.0, 200.0, 1e4])
def test_confident_models_keep_a_finite_direction(margin: float) -> None:
    leaf = torch.tensor(margin, requires_grad=True)
    loss = reattention_loss(at_margin(leaf), reading(ROWS), "paper")
    grad = gradient(loss, leaf, keep_graph=False)
    assert math.isfinite(float(loss.detach()))
    assert math.isfinite(float(grad))
    assert float(grad) < 0


def test_plain_step_by_hand() -> None:
    grad = torch.tensor([[1.0, -0.5]])
    result, taken = moved(torch.zeros(1, 2), grad, torch.ones(1, 2), PLAIN)
    assert taken
    assert result.tolist() == [[-8.0, 4.0]]


@pytest.mark.parametrize("weight", [1e-13, 1.0, 1e13])
def test_rms_step_moves_the_strongest_token_by_rate_times_rms(weight: float) -> None:
    visual = torch.tensor([[3.0, 4.0], [0.0, 0.0]])  # lengths 5 and 0, so RMS sqrt(25 / 2)
    grad = torch.tensor([[0.0, 2.0], [0.5, 0.0]]) * weight
    result, _ = moved(torch.zeros(2, 2), grad, visual, Step("paper", "rms", 0.5))
    length = 0.5 * math.sqrt(12.5)
    torch.testing.assert_close(result, torch.tensor([[0.0, -length], [-length / 4, 0.0]]))


def test_rms_lengths_are_those_of_tokens() -> None:
    visual = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 0.0]])  # RMS sqrt(25 / 3)
    grad = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]])  # the longest of length 5
    result, _ = moved(torch.zeros(3, 2), grad, visual, Step("paper", "rms", 1.0))
    torch.testing.assert_close(result, -grad * math.sqrt(25 / 3) / 5)


def test_a_rule_is_one_step_unless_it_says_more() -> None:
    first = torch.full((1, 1), -2.0)
    result, _ = tuned(first, torch.ones(1, 1), Step("paper", "plain", 0.25), square)
    assert float(result) == 0.5


def test_rms_step_of_a_zero_gradient_moves_nothing() -> None:
    result, taken = moved(
        torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(1, 2), Step("paper", "rms", 1.0)
    )
    assert taken
    assert not result.any()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_non_finite_gradient_is_dropped(bad: float) -> None:
    before = torch.tensor([[1.0, 2.0]])
    result, taken = moved(before, torch.tensor([[bad, 0.0]]), torch.ones(1, 2), PLAIN)
    assert not taken
    torch.testing.assert_close(result, before)


def square(offset: torch.Tensor) -> torch.Tensor:
    return ((offset - 1) ** 2).sum()


def test_epochs_descend_and_count_drops() -> None:
    step = Step("paper", "plain", 0.25, epochs=3)
    first = torch.full((1, 1), -2.0)  # of the square at 0
    result, dropped = tuned(first, torch.ones(1, 1), step, square)
    assert dropped == 0
    assert float(result) == pytest.approx(0.875)  # 0.5, 0.75, 0.875
    bad = torch.full((1, 1), math.nan)
    result, dropped = tuned(bad, torch.ones(1, 1), Step("paper", "plain", 0.25, 2), square)
    assert dropped == 1
    assert float(result) == pytest.approx(0.5)


def test_another_direction_takes_the_gradients_place() -> None:
    step = Step("paper", "plain", 0.25, epochs=2)
    first = torch.full((1, 1), -2.0)
    result, _ = tuned(first, torch.ones(1, 1), step, square, lambda grad: -grad)
    assert float(result) == pytest.approx(-1.25)  # -0.5, then a slope of -3 upwards


def test_branches_step_apart_where_asked() -> None:
    own = MllmSettings(step="rms", learning_rate=0.5)
    config = ReattentionConfig(epochs=2, temporal_epochs=3, temporal_learning_rate=1.5)
    assert spatial_step(config, own) == Step("paper", "rms", 0.5, 2)
    assert temporal_step(config, own) == Step("paper", "rms", 1.5, 3)
    same = ReattentionConfig(epochs=2, learning_rate=4.0, step="plain", loss="code")
    assert temporal_step(same, own) == spatial_step(same, own) == Step("code", "plain", 4.0, 2)


MARGINS = [-1e4, -30.0, -25.0, -18.0, -12.0, -3.0, 0.0, 3.0, 9.0, 11.2, 12.0, 20.0, 30.0, 1e4]


def in_precision(margin: float, dtype: torch.dtype) -> tuple[Reading, torch.Tensor]:
    """A reading whose margin follows V through a layer of that precision, and V."""
    offset = torch.zeros(4, 8, requires_grad=True)
    weight = torch.ones(8, 2, dtype=dtype)
    weight[:, 1] = -1
    states = (torch.full((4, 8), 1e-2) + offset).to(dtype)
    logits = (states.mean(0) @ weight).float() + torch.tensor([margin / 2, -margin / 2])
    yes, no = logits.log_softmax(-1)
    return Reading(ROWS, ("a",), yes, no), offset


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("margin", MARGINS)
def test_the_weight_survives_the_models_precision(margin: float, dtype: torch.dtype) -> None:
    asked, offset = in_precision(margin, dtype)
    grad = gradient(reattention_loss(asked, asked, "paper"), offset, keep_graph=False)
    # d margin / dV is 2 / 4 in each number; the margin holds 0.16 of the states too.
    weight = math.exp(min(30, max(-30, margin + 0.16)))
    assert grad.dtype == torch.float32
    torch.testing.assert_close(grad, torch.full((4, 8), -0.5 * weight), rtol=0.02, atol=0)
    for rule in ("plain", "rms"):
        step = Step("paper", rule, 0.05)
        result, taken = moved(offset, grad, torch.ones(4, 8), step)
        assert taken and result.abs().min() > 0


@pytest.mark.parametrize("margin", [-29.0, -7.3, -0.4, 0.0, 0.7, 5.1, 23.0])
def test_the_gradient_in_float32_is_that_of_the_loss_to_the_bit(margin: float) -> None:
    offset = torch.randn(4, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    mix = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    log_p = (offset @ mix).tanh().sum(0)
    asked = Reading(ROWS, ("a",), log_p[0] + margin, log_p[1])
    found = gradient(reattention_loss(asked, asked, "paper"), offset, keep_graph=True)
    value = asked.margin.detach()
    plain = -value.exp() * (1 + asked.margin - value)
    (expected,) = torch.autograd.grad(plain, offset)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("value", [1e38, -1e38, 3e38])
@pytest.mark.parametrize("rate", [8.0, 100.0])
def test_a_step_that_overflows_is_dropped(value: float, rate: float) -> None:
    before = torch.tensor([[1.0, 2.0]])
    step = Step("paper", "plain", rate)
    result, taken = moved(before, torch.tensor([[value, 0.0]]), torch.ones(1, 2), step)
    assert not taken
    assert torch.equal(result, before)
