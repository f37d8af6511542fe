# SPDX-License-Identifier: Apache-2.0

"""The heads whose attention is read: the layer band, and the heads that calibration selected."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from stvg_ros.errors import ConfigError, ModelError
from stvg_ros.method.attention import NO_HEADS
from stvg_ros.method.model_settings import HEAD_USES, Heads, MllmSettings
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models.attention_band import attending_layers, attention_band
from stvg_ros.models.attention_capture import HeadSet


def head_sets(attention: AttentionConfig, own: MllmSettings, text: Any) -> dict[str, HeadSet]:
    """The sets of heads by use: "mean" is the layer band, the others are selected heads.

    Args:
        attention: the settings.
        own: the checkpoint's settings with its table.
        text: the language model.

    Raises:
        ConfigError: the model lacks the band, or selected heads are wanted and it has no table.
        ModelError: the table names a head that the model lacks.
    """
    sets = {"mean": HeadSet.band(*attention_band(attention, own, text))}
    for use in HEAD_USES:
        heads: Heads = getattr(own, f"{use}_heads")
        if heads:
            sets[use] = _checked(use, heads, text.config)
    if attention.heads == "selected" and len(sets) == 1:
        raise ConfigError(NO_HEADS)
    return sets


def lower_layers(text: Any, sets: Mapping[str, HeadSet]) -> Any:
    """The language model without the layers above those that are read; the weights are shared."""
    last_layer = max(layer for one in sets.values() for layer in one.layers)
    lower = copy.copy(text)
    lower._modules = {**text._modules, "layers": text.layers[: last_layer + 1]}
    return lower


def _checked(use: str, heads: Heads, config: Any) -> HeadSet:
    """Raises: ModelError."""
    known, count = attending_layers(config), int(config.num_attention_heads)
    layers: dict[int, tuple[int, ...] | None] = {}
    for layer, head in heads:
        if layer not in known or not 0 <= head < count:
            raise ModelError(
                f"stvg.json: {use}_heads: expected [layer, head] with a layer of "
                f"{', '.join(map(str, known))} and a head of 0 to {count - 1}, got "
                f"[{layer}, {head}]; the table is of another model: run "
                "`stvg-ros calibrate --heads --write` again"
            )
        layers[layer] = (*(layers.get(layer) or ()), head)
    return HeadSet(layers)
