# SPDX-License-Identifier: Apache-2.0

"""Interrupts long computations between steps, in code that is independent of commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import nn

Check = Callable[[], None]

_active: ContextVar[Check | None] = ContextVar("stvg_interruption", default=None)


@contextmanager
def interruptible(check: Check) -> Iterator[None]:
    """Inside the context, this thread's computations call `check`, which may raise."""
    token = _active.set(check)
    try:
        yield
    finally:
        _active.reset(token)


def check_interruption() -> None:
    """A point between two steps where a computation may stop. Raises: the error of the check."""
    check = _active.get()
    if check is not None:
        check()


def interrupt_between_layers(model: nn.Module) -> None:
    """Checks before the forward and backward pass of each element of the model's module lists.

    These are the layers of a language model or vision tower. Results do not change. In a backward
    pass the check of the forward pass is called, since autograd may use other threads.
    """
    for stack in list(model.modules()):
        if isinstance(stack, nn.ModuleList):
            for layer in stack:
                layer.register_forward_pre_hook(_before_forward)
                layer.register_forward_hook(_before_backward)


def _before_forward(layer: nn.Module, inputs: Any) -> None:
    check_interruption()


def _before_backward(layer: nn.Module, inputs: Any, output: Any) -> None:
    check = _active.get()
    first = output[0] if isinstance(output, tuple) and output else output
    if check is not None and isinstance(first, torch.Tensor) and first.requires_grad:
        first.register_hook(lambda grad: check())  # type: ignore[no-untyped-call]
