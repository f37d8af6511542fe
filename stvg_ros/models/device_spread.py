# SPDX-License-Identifier: Apache-2.0

"""Spreads the layers of a language model over several devices.

The vision tower, the embeddings, the last norm and the output layer stay on the first device; each
layer receives its inputs there where its weights are. What a layer keeps of a prefix stays with it.
Gradients take the same way back, since moving a tensor is differentiable.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from stvg_ros.checkpoints.devices import SPREAD
from stvg_ros.errors import ConfigError

ROOM = 0.9  # of the free memory may be weights; passes need the rest


def spread(model: Any, devices: Sequence[torch.device], free: Sequence[int]) -> Any:
    """The model, moved to several devices, each filled to the same share of its memory.

    Args:
        model: a model of transformers, on the host.
        devices: in the order of the layers.
        free: bytes of free memory of each device.

    Raises:
        ConfigError: the weights do not fit.
    """
    text = model.get_decoder()
    layers = [_bytes(layer) for layer in text.layers]
    rest = _bytes(model) - sum(layers)
    places = layer_places(layers, rest, free)
    place(model, [devices[at] for at in places], devices[0])
    return model


def layer_places(layers: Sequence[int], rest: int, free: Sequence[int]) -> list[int]:
    """The device of each layer, in order; `rest` bytes besides the layers are on the first.

    Raises:
        ConfigError: the weights need more than `ROOM` of the memory.
    """
    share = (sum(layers) + rest) / sum(free)
    ends = [share * each for each in accumulate(free[:-1])]
    starts = accumulate(layers, initial=rest)
    # A layer across the end of a device's share belongs to the device of its middle.
    places = [
        sum(start + size / 2 > end for end in ends)
        for start, size in zip(starts, layers, strict=False)
    ]
    held = [sum(s for s, p in zip(layers, places, strict=True) if p == d) for d in range(len(free))]
    held[0] += rest
    if any(need > ROOM * has for need, has in zip(held, free, strict=True)):
        raise ConfigError(
            f"model.device: {SPREAD!r} needs {_shown(held)} of weights on the GPUs, which have "
            f"{_shown(free)} free; expected at most {ROOM:.0%} of each; choose a smaller "
            "checkpoint, or set model.quantization to '4bit' on one GPU"
        )
    return places


def place(model: Any, layers: Sequence[torch.device], rest: torch.device) -> None:
    """Moves each layer of the language model to its device, and all else to `rest`."""
    text = model.get_decoder()
    own = text.layers
    text.layers = nn.ModuleList()  # so that all else is moved
    model.to(rest)
    text.layers = own
    for layer, device in zip(own, layers, strict=True):
        layer.to(device)
        _receive(layer, device)
    _receive(getattr(text, "norm", None) or text.embedding_norm, rest)


def layer_devices(model: Any) -> list[torch.device]:
    """The device of each layer of the language model."""
    return [next(layer.parameters()).device for layer in model.get_decoder().layers]


def _receive(module: nn.Module, device: torch.device) -> None:
    """Moves what the module is given to its device, but for the cache, whose parts are there."""

    def moved(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(device)
        if isinstance(value, tuple):
            return tuple(moved(each) for each in value)
        return value

    def before(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        return moved(given), {name: moved(value) for name, value in named.items()}

    module.register_forward_pre_hook(before, with_kwargs=True)


def _bytes(module: Any) -> int:
    """Bytes of a module's weights, each counted once."""
    return sum(each.numel() * each.element_size() for each in module.parameters())


def _shown(sizes: Sequence[int]) -> str:
    return " and ".join(f"{size / 1e9:.1f}" for size in sizes) + " GB"
