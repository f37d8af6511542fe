# SPDX-License-Identifier: Apache-2.0

"""The layers whose attention is read: the settings, the checkpoint's, and all of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from stvg_ros.errors import ConfigError
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models.attention_band import attention_band


def band(given: dict[str, Any], own: dict[str, Any] | None = None) -> tuple[int, int]:
    """Of a language model of four layers."""
    text = SimpleNamespace(layers=[None] * 4, config=SimpleNamespace(num_hidden_layers=4))
    return attention_band(AttentionConfig(**given), MllmSettings(**(own or {})), text)


@pytest.mark.parametrize(
    ("given", "own", "found"),
    [
        ({}, {}, (0, 3)),
        ({}, {"first_layer": 1, "last_layer": 2}, (1, 2)),
        ({"first_layer": 0}, {"first_layer": 1, "last_layer": 2}, (0, 2)),
        ({"last_layer": 0}, {"last_layer": 2}, (0, 0)),
        ({"first_layer": 3, "last_layer": 3}, {}, (3, 3)),
    ],
)
def test_settings_precede_those_of_the_checkpoint(
    given: dict[str, Any], own: dict[str, Any], found: tuple[int, int]
) -> None:
    assert band(given, own) == found


@pytest.mark.parametrize(
    "given", [{"last_layer": 4}, {"first_layer": 4}, {"first_layer": 2, "last_layer": 1}]
)
def test_layers_that_the_model_lacks(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected 0 <= first <= last <= 3 for a model of 4"):
        band(given)
