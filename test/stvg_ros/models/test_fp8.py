# SPDX-License-Identifier: Apache-2.0

"""FP8 releases are read in the precision of model.dtype, with the gradient of their weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from safetensors.torch import load_file, save_file

from stvg_ros.errors import ConfigError
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.settings import ModelConfig

pytest.importorskip("accelerate", reason="accelerate is missing: make libraries")
BLOCK = 16
LARGEST = 448.0  # of the FP8 numbers


def rounded(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """FP8 numbers, a scale for each block, and their product."""
    rows, columns = (-(-side // BLOCK) for side in weight.shape)
    scales = torch.ones(rows, columns)
    numbers = torch.zeros_like(weight, dtype=torch.float8_e4m3fn)
    back = torch.zeros_like(weight)
    for row in range(rows):
        for column in range(columns):
            at = (
                slice(row * BLOCK, (row + 1) * BLOCK),
                slice(column * BLOCK, (column + 1) * BLOCK),
            )
            scales[row, column] = weight[at].abs().max() / LARGEST
            numbers[at] = (weight[at] / scales[row, column]).to(torch.float8_e4m3fn)
            back[at] = numbers[at].float() * scales[row, column]
    return numbers, scales, back


def reading(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    mllm = load_mllm(ModelConfig(path=str(folder), device="cpu"), AttentionConfig())
    assert isinstance(mllm, HfMllm)
    random = np.random.default_rng(0)
    visual = mllm.encode([random.integers(0, 256, (16, 24, 3)).astype(np.uint8) for _ in range(4)])
    offset = torch.zeros(visual.features.shape, requires_grad=True)
    found = mllm.ask(mllm.prefill(visual, offset), ["Is there a man in red in this video?"])[0]
    return found.rows, torch.autograd.grad(found.margin, offset)[0]


def test_rows_and_gradient_are_those_of_the_rounded_weights(tmp_path: Path) -> None:
    whole = tiny_models.save("qwen2_vl", "Qwen2VLForConditionalGeneration", tmp_path / "whole")
    stored = Path(shutil.copytree(whole, tmp_path / "fp8"))
    weights = load_file(whole / "model.safetensors")
    packed = {}
    for name, weight in list(weights.items()):
        if "_proj.weight" in name and "visual" not in name:
            numbers, scales, weights[name] = rounded(weight)
            packed |= {name: numbers, f"{name}_scale_inv": scales}
        else:
            packed[name] = weight
    assert len(packed) > len(weights)
    save_file(packed, stored / "model.safetensors", {"format": "pt"})
    save_file(weights, whole / "model.safetensors", {"format": "pt"})
    values = json.loads((stored / "config.json").read_text())
    values["quantization_config"] = {
        "quant_method": "fp8",
        "weight_block_size": [BLOCK, BLOCK],
        "modules_to_not_convert": ["visual", "lm_head"],
    }
    (stored / "config.json").write_text(json.dumps(values))
    for ours, expected in zip(reading(stored), reading(whole), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)
    with pytest.raises(ConfigError, match="quantized already, got '4bit'"):
        load_mllm(
            ModelConfig(path=str(stored), device="cpu", quantization="4bit"), AttentionConfig()
        )
