# SPDX-License-Identifier: Apache-2.0

"""The table of selected heads in stvg.json: read, checked against the model, and required."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from stvg_ros.errors import ConfigError, ModelError
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm
from stvg_ros.models.embedded_checkpoint import read_settings
from stvg_ros.models.families import FAMILIES
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.settings import ModelConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kind = "qwen3_5"  # of its three layers the second alone attends
    return tiny_models.save(kind, FAMILIES[kind].class_name, tmp_path_factory.mktemp(kind))


def load(folder: Path, table: dict[str, Any], heads: str = "mean", **band: int) -> HfMllm:
    (folder / "stvg.json").write_text(json.dumps(table))
    attention = AttentionConfig(heads=heads, **band)
    found = load_mllm(ModelConfig(path=str(folder), device="cpu"), attention)
    assert isinstance(found, HfMllm)
    return found


def test_a_table_is_read(tmp_path: Path) -> None:
    file = tmp_path / "stvg.json"
    file.write_text(json.dumps({"grounding_heads": [[20, 3], [27, 0]]}))
    settings = read_settings(file)
    assert (settings.grounding_heads, settings.temporal_heads) == (((20, 3), (27, 0)), ())


@pytest.mark.parametrize("table", [5, [5], [[1]], [[1, 2, 3]], [[1, 2.0]], [[True, 0]], {"1": 2}])
def test_what_is_no_table_is_refused(tmp_path: Path, table: Any) -> None:
    file = tmp_path / "stvg.json"
    file.write_text(json.dumps({"temporal_heads": table}))
    with pytest.raises(
        ModelError, match=r"temporal_heads = .*expected \[\[layer, head\], \.\.\.\]"
    ):
        read_settings(file)


@pytest.mark.parametrize("head", [[0, 1], [3, 1], [1, 4], [1, -1]])
def test_a_head_that_the_model_lacks_is_refused(folder: Path, head: list[int]) -> None:
    with pytest.raises(ModelError, match="with a layer of 1 and a head of 0 to 3, got .*again"):
        load(folder, {"grounding_heads": [[1, 1], head]})


def test_selected_heads_need_a_table(folder: Path) -> None:
    with pytest.raises(ConfigError, match="attention.heads 'selected': expected a table of heads"):
        load(folder, {}, "selected")
    assert load(folder, {"temporal_heads": [[1, 0]]}, "selected").band == (0, 2)


def test_layers_run_up_to_the_highest_that_is_read(folder: Path) -> None:
    band = {"first_layer": 0, "last_layer": 1}
    assert len(load(folder, {"grounding_heads": [[1, 0]]}, **band)._lower.layers) == 2
