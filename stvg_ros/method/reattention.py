# SPDX-License-Identifier: Apache-2.0

"""Logit-guided re-attention, LRA (paper, section 4.3). V and T_v are `(M, D)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from stvg_ros.method.interfaces import Reading
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.settings import ALWAYS, ReattentionConfig

# Maps dL/dV to the direction that V moves against; ablations replace it.
Direction = Callable[[torch.Tensor], torch.Tensor]

_MOST = 30.0  # nats; gradients of this weight, and their squares, are normal float32 numbers


@dataclass(frozen=True)
class Step:
    """Update rule of V.

    Attributes:
        loss: "paper" or "code".
        rule: "plain" is V - rate * gradient; "rms" scales the gradient so that the largest step
            of a token is `rate` times the RMS of the visual tokens.
        rate: the step size.
        epochs: N_ep, number of steps.
    """

    loss: str
    rule: str
    rate: float
    epochs: int = 1


def spatial_step(config: ReattentionConfig, own: MllmSettings) -> Step:
    """Update rule of V_s: the configuration's, or the model's default."""
    rule = own.step if config.step is None else config.step
    rate = own.learning_rate if config.learning_rate is None else config.learning_rate
    return Step(config.loss, rule, rate, config.epochs)


def temporal_step(config: ReattentionConfig, own: MllmSettings) -> Step:
    """Update rule of V_t: that of V_s, unless configured separately."""
    step = spatial_step(config, own)
    rate, epochs = config.temporal_learning_rate, config.temporal_epochs
    return replace(
        step,
        rate=step.rate if rate is None else rate,
        epochs=step.epochs if epochs is None else epochs,
    )


def can_gain(reading: Reading, config: ReattentionConfig, own: MllmSettings) -> bool:
    """Whether a branch is tuned: its sub-query's answer is not a sure "yes" already."""
    gate = own.reattention_gate if config.gate is None else config.gate
    if abs(gate) >= ALWAYS:  # without waiting for the device
        return gate > 0
    return float(reading.margin.detach()) < gate


def descent(grad: torch.Tensor) -> torch.Tensor:
    """The gradient itself, as in the paper."""
    return grad


def reattention_loss(question: Reading, neutral: Reading, kind: str) -> torch.Tensor:
    """The loss to minimise, 0-d float32, never infinite.

    "paper": -exp(p_yes - p_no) of log-probabilities. Its weight exp(p_yes - p_no) is clipped to
    exp(-30) .. exp(30), in the gradient too, so that the gradient of a confident model does not
    vanish. "code", as released:
    1 - [(yes - no) of the question - (yes - no) of the neutral prompt]; log-probabilities differ
    from logits by the same constant for both answers, so the margins are equal.
    """
    if kind == "paper":
        loss: torch.Tensor = _MinusExp.apply(question.margin)  # type: ignore[no-untyped-call]
        return loss
    return 1 - (question.margin - neutral.margin)


class _MinusExp(torch.autograd.Function):
    """-exp(margin), clipped; its derivative is -weight also where the clip holds.

    Attributes:
        scale: the power of two nearest to the weight.
    """

    @staticmethod
    def forward(ctx: Any, margin: torch.Tensor) -> torch.Tensor:
        weight = margin.clamp(-_MOST, _MOST).exp()
        ctx.weight, ctx.scale = weight, torch.frexp(weight).exponent.float().exp2()
        return -weight

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = -grad * ctx.weight
        return result


def gradient(loss: torch.Tensor, offset: torch.Tensor, *, keep_graph: bool) -> torch.Tensor:
    """dL/dV, `(M, D)`; nothing else receives a gradient.

    The backward pass runs in the model's precision, and float16 is limited to 6e-8 .. 65504. So
    the weight of the paper's loss is applied to its result, in float32. Powers of two are divided
    out before the pass, which is exact if nothing overflows.
    """
    scale = getattr(loss.grad_fn, "scale", None)
    if scale is None:
        (result,) = torch.autograd.grad(loss, offset, retain_graph=keep_graph)
        return result
    (result,) = torch.autograd.grad(loss, offset, 1 / scale, retain_graph=keep_graph)
    weighted: torch.Tensor = result * scale
    return weighted


def moved(
    offset: torch.Tensor, grad: torch.Tensor, visual: torch.Tensor, step: Step
) -> tuple[torch.Tensor, torch.Tensor]:
    """V after one step, and whether the step was taken, 0-d: a non-finite gradient drops it.

    Nothing here synchronises with the device.
    """
    offset = offset.detach()
    change = step.rate * grad
    if step.rule == "rms":
        longest = grad.float().norm(dim=1).amax()
        length = visual.float().norm(dim=1).square().mean().sqrt()
        scale = torch.where(longest > 0, step.rate * length / longest, 0.0)
        change = scale * grad
    result = offset - change
    taken = torch.isfinite(grad).all() & torch.isfinite(result).all()
    return torch.where(taken, result, offset), taken


def tuned(
    first_gradient: torch.Tensor,
    visual: torch.Tensor,
    step: Step,
    loss_at: Callable[[torch.Tensor], torch.Tensor],
    direction: Direction = descent,
) -> tuple[torch.Tensor, torch.Tensor]:
    """V after N_ep steps from zero, and the number of dropped steps, 0-d.

    Args:
        first_gradient: dL/dV at V = 0; the first pass over the video already gave it.
        visual: T_v, which sets the length of "rms" steps.
        step: the update rule.
        loss_at: the loss at a V that requires gradients; called for steps 2 to N_ep.
        direction: maps a gradient to the direction that V moves against.
    """
    offset = torch.zeros_like(first_gradient)
    dropped = torch.zeros((), dtype=torch.int64, device=offset.device)
    for epoch in range(step.epochs):
        grad = first_gradient
        if epoch > 0:
            offset = offset.requires_grad_(True)
            grad = gradient(loss_at(offset), offset, keep_graph=False)
        offset, taken = moved(offset, direction(grad), visual, step)
        dropped += ~taken
    return offset, dropped
