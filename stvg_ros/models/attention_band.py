# SPDX-License-Identifier: Apache-2.0

"""The layers whose attention is read."""

from __future__ import annotations

from typing import Any

from stvg_ros.errors import ConfigError
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models.architectures import is_recurrent


def attention_band(attention: AttentionConfig, own: MllmSettings, text: Any) -> tuple[int, int]:
    """First and last layer of the band, both included.

    Args:
        attention: the settings; they precede those of the checkpoint.
        own: the checkpoint's.
        text: the language model.

    Raises:
        ConfigError: the model lacks these layers, or none of them attends.
    """
    layers = len(text.layers)
    first = own.first_layer if attention.first_layer is None else attention.first_layer
    last = own.last_layer if attention.last_layer is None else attention.last_layer
    last = layers - 1 if last is None else last
    given = f"attention.first_layer {first}, attention.last_layer {last}"
    if not first <= last < layers:
        raise ConfigError(
            f"{given}: expected 0 <= first <= last <= {layers - 1} for a model of {layers} layers"
        )
    attending = attending_layers(text.config)
    if not any(first <= at <= last for at in attending):
        raise ConfigError(
            f"{given}: all of these layers are recurrent, or attend to a window only; expected at "
            f"least one of the attention layers {', '.join(map(str, attending))}"
        )
    return first, last


def attending_layers(config: Any) -> list[int]:
    """Numbers of the layers of a language model that attend to the whole prompt.

    The others are recurrent, or attend to a window, which holds the end of a video at most.
    """
    return [at for at, kind in enumerate(_kinds(config)) if kind == "full_attention"]


def mapped_layers(config: Any) -> list[int]:
    """Numbers of the layers that have an attention map, those with a window included."""
    kinds = ("full_attention", "sliding_attention")
    return [at for at, kind in enumerate(_kinds(config)) if kind in kinds]


def _kinds(config: Any) -> list[str]:
    """The kind of each layer."""
    if is_recurrent(config):
        return list(config.layer_types)
    return ["full_attention"] * int(config.num_hidden_layers)
