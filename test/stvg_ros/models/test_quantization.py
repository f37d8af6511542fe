# SPDX-License-Identifier: Apache-2.0

"""Weights in 4 and 8 bits on a CPU: the language model alone, with gradients to V."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
import transformers

from stvg_ros.errors import ConfigError
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.loading import KEPT_WHOLE
from stvg_ros.models.settings import ModelConfig

functional = pytest.importorskip(
    "bitsandbytes.functional", reason="bitsandbytes is missing: make libraries"
)
pytest.importorskip("accelerate", reason="accelerate is missing: make libraries")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save(
        "qwen2_vl", "Qwen2VLForConditionalGeneration", tmp_path_factory.mktemp("whole")
    )


def loaded(folder: Path, kind: str) -> HfMllm:
    mllm = load_mllm(
        ModelConfig(path=str(folder), device="cpu", quantization=kind), AttentionConfig()
    )
    assert isinstance(mllm, HfMllm)
    return mllm


def rows_and_gradient(mllm: HfMllm) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows of a question, and d margin / dV."""
    random = np.random.default_rng(0)
    visual = mllm.encode([random.integers(0, 256, (16, 24, 3)).astype(np.uint8) for _ in range(4)])
    question = "Is there a man in red in this video?"
    with torch.no_grad():  # repacks weights where the backward pass is not thought of
        mllm.ask(mllm.prefill(visual), [question])
    offset = torch.zeros(visual.features.shape, requires_grad=True)
    reading = mllm.ask(mllm.prefill(visual, offset), [question])[0]
    (grad,) = torch.autograd.grad(reading.margin, offset)
    return reading.rows, grad


def quantised(mllm: HfMllm) -> dict[str, torch.nn.Module]:
    kinds = ("Linear8bitLt", "Linear4bit")
    return {n: m for n, m in mllm._model.named_modules() if type(m).__name__ in kinds}


def test_eight_bits_keep_the_gradient_nearly(folder: Path) -> None:
    mllm, whole = loaded(folder, "8bit"), loaded(folder, "none")
    (rows, grad), (true_rows, true_grad) = rows_and_gradient(mllm), rows_and_gradient(whole)
    assert {name.split(".")[1] for name in quantised(mllm)} == {"language_model"}
    assert quantised(whole) == {}
    agreement = torch.cosine_similarity(grad.flatten(), true_grad.flatten(), dim=0)
    assert float(agreement) > 0.95
    torch.testing.assert_close(rows, true_rows, atol=0.02, rtol=0)


def test_four_bits_have_the_gradient_of_the_rounded_weights(folder: Path) -> None:
    mllm = loaded(folder, "4bit")
    rows, grad = rows_and_gradient(mllm)
    layers = quantised(mllm)
    assert {name.split(".")[1] for name in layers} == {"language_model"}
    for name, layer in layers.items():
        weight: Any = layer.weight
        plain = torch.nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
        plain.weight.data = functional.dequantize_4bit(weight.data, weight.quant_state).float()
        if layer.bias is not None:
            plain.bias.data = layer.bias.data.float()
        mllm._model.set_submodule(name, plain.requires_grad_(False))
    rounded_rows, rounded_grad = rows_and_gradient(mllm)
    torch.testing.assert_close(rows, rounded_rows, atol=1e-5, rtol=0)
    torch.testing.assert_close(grad, rounded_grad, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("kind", ["4bit", "8bit"])
def test_weights_that_were_stored_quantized_are_those_of_quantizing_now(
    folder: Path, tmp_path: Path, kind: str
) -> None:
    bits = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    config = transformers.BitsAndBytesConfig(
        **(bits if kind == "4bit" else {"load_in_8bit": True}), llm_int8_skip_modules=KEPT_WHOLE
    )
    model = transformers.Qwen2VLForConditionalGeneration.from_pretrained(
        folder, quantization_config=config, device_map={"": "cpu"}, dtype=torch.float32
    )
    stored = Path(shutil.copytree(folder, tmp_path / "stored"))
    (stored / "model.safetensors").unlink()
    model.save_pretrained(stored)
    (rows, grad), (now_rows, now_grad) = (
        rows_and_gradient(loaded(stored, "none")),
        rows_and_gradient(loaded(folder, kind)),
    )
    torch.testing.assert_close(rows, now_rows, atol=1e-5, rtol=0)
    torch.testing.assert_close(grad, now_grad, atol=1e-4, rtol=1e-3)
    with pytest.raises(ConfigError, match="quantized already, got '4bit'"):
        loaded(stored, "4bit")
