# SPDX-License-Identifier: Apache-2.0

"""Precision, quantization and device of a model, without the libraries that quantize."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models
import torch
import transformers
from torch import nn

from stvg_ros.checkpoints.weights import LoadedWeights
from stvg_ros.errors import ConfigError, ModelError
from stvg_ros.models import loading, quantized_formats
from stvg_ros.models.attention_capture import NAME
from stvg_ros.models.embedded_checkpoint import FOLDER, SCOPE
from stvg_ros.models.loading import KEPT_WHOLE, checkpoint_folder, dtype_of, frozen
from stvg_ros.models.settings import ModelConfig
from stvg_ros.models.vision_tower import PatchProduct

LIBRARIES = ("bitsandbytes", "accelerate")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    return tiny_models.save("qwen2_vl", "Qwen2VLForConditionalGeneration", folder)


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


class Model(nn.Module):
    """A model of transformers with its language model."""

    def __init__(self, language_model: nn.Module) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.language_model = language_model
        language_model.config = SimpleNamespace()  # type: ignore[assignment]

    def get_decoder(self) -> Any:
        return self.model.language_model


class Layer(nn.Linear):
    """A layer of bitsandbytes with its CPU format."""

    support_avx512bf16_for_cpu = True


@pytest.fixture
def loaded(monkeypatch: Any) -> dict[str, Any]:
    """What the weights were loaded with; the model is a stand-in."""
    given: dict[str, Any] = {}

    def weights(files: Any, class_name: str, setting: str, dtype: Any, **options: Any) -> Any:
        given.update(class_name=class_name, setting=setting, dtype=dtype, **options)
        given["model"] = Model(Layer(2, 2))
        return LoadedWeights(given["model"], ("extra.weight",))

    for module in (loading, quantized_formats):
        monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: object())
    for kind in ("BitsAndBytesConfig", "FineGrainedFP8Config"):
        monkeypatch.setattr(transformers, kind, lambda kind=kind, **named: (kind, named))
    monkeypatch.setattr(loading, "loaded_weights", weights)
    return given


def stored(folder: Path, quantization: Any) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["quantization_config"] = quantization
    (folder / "config.json").write_text(json.dumps(values))


def load(folder: Path, quantization: str = "none", **more: Any) -> Any:
    return loading.load(
        ModelConfig(path=str(folder), device="cpu", quantization=quantization, **more)
    )


@pytest.mark.parametrize(
    ("name", "device", "dtype"),
    [
        ("auto", "cpu", torch.float32),
        ("auto", "cuda", torch.bfloat16),
        ("float16", "cpu", torch.float16),
        ("float32", "cuda", torch.float32),
        ("bfloat16", "cpu", torch.bfloat16),
    ],
)
def test_the_precision(name: str, device: str, dtype: torch.dtype) -> None:
    assert dtype_of(name, torch.device(device)) is dtype


def test_weights_in_full_precision_are_not_quantized(folder: Path, loaded: dict[str, Any]) -> None:
    found = load(folder, dtype="float16")
    assert "quantization_config" not in loaded and "device_map" not in loaded
    assert loaded["dtype"] is torch.float16
    assert loaded["class_name"] == "Qwen2VLForConditionalGeneration"
    assert loaded["attn_implementation"] == "sdpa"
    assert loaded["model"].model.language_model.support_avx512bf16_for_cpu
    assert (found.name, found.path, found.unused) == ("model", str(folder), ("extra.weight",))


@pytest.mark.parametrize("kind", ["4bit", "8bit"])
def test_quantizing_keeps_the_small_parts_and_a_layout_with_a_gradient(
    folder: Path, loaded: dict[str, Any], kind: str
) -> None:
    load(folder, kind, dtype="bfloat16")
    name, options = loaded["quantization_config"]
    assert name == "BitsAndBytesConfig"
    assert options.pop("llm_int8_skip_modules") == KEPT_WHOLE
    if kind == "8bit":
        assert options == {"load_in_8bit": True}
    else:
        assert options == {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_compute_dtype": torch.bfloat16,
        }
    assert loaded["device_map"] == {"": torch.device("cpu")}
    assert loaded["model"].model.language_model.support_avx512bf16_for_cpu is False


@pytest.mark.parametrize("lacking", LIBRARIES)
def test_a_library_that_is_missing_is_named(
    folder: Path, loaded: dict[str, Any], monkeypatch: Any, lacking: str
) -> None:
    monkeypatch.setattr(
        loading.importlib.util,  # type: ignore[attr-defined]
        "find_spec",
        lambda name: None if name == lacking else object(),
    )
    with pytest.raises(ConfigError, match=f"'4bit' needs the package {lacking}.*choose 'none'"):
        load(folder, "4bit")
    stored(folder, {"quant_method": "bitsandbytes"})
    with pytest.raises(ModelError, match=f"'bitsandbytes', which needs {lacking}; install"):
        load(folder)
    stored(folder, {"quant_method": "fp8"})
    if lacking == "accelerate":
        with pytest.raises(ModelError, match="'fp8', which needs accelerate; install"):
            load(folder)
    else:
        load(folder)


@pytest.mark.parametrize("method", ["bitsandbytes", "fp8"])
def test_weights_that_are_stored_quantized(
    folder: Path, loaded: dict[str, Any], method: str
) -> None:
    stored(folder, {"quant_method": method})
    load(folder)
    assert loaded["device_map"] == {"": torch.device("cpu")}
    assert loaded["model"].model.language_model.support_avx512bf16_for_cpu is False
    if method == "fp8":
        assert loaded["quantization_config"] == ("FineGrainedFP8Config", {"dequantize": True})
    else:
        assert "quantization_config" not in loaded
    with pytest.raises(ConfigError, match="whose weights are quantized already, got '4bit'"):
        load(folder, "4bit")


@pytest.mark.parametrize("method", ["awq", "gptq", "compressed-tensors", "exl2"])
def test_formats_that_are_not_read_are_refused_before_their_weights(
    folder: Path, loaded: dict[str, Any], method: str
) -> None:
    stored(folder, {"quant_method": method})
    with pytest.raises(ModelError, match=f"quantized by '{method}': .*no backward pass.*'4bit'"):
        load(folder)
    assert loaded == {}


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.json", "tokenizer.model"])
def test_files_of_a_tokenizer(
    folder: Path, loaded: dict[str, Any], monkeypatch: Any, name: str
) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer\.json; expected the tokenizer's files"):
        load(folder)
    (folder / name).write_text("{}")
    with pytest.raises(ModelError, match="the tokenizer cannot be loaded"):
        load(folder)


def test_the_embedded_model_says_its_scope() -> None:
    assert checkpoint_folder("embedded") == FOLDER
    found = loading.load(ModelConfig(path="embedded", device="cpu"))
    assert found.name.endswith(f"({SCOPE})")
    assert not found.model.training
    assert {str(p.dtype) for p in found.model.parameters()} == {"torch.float32"}


def test_the_folder_of_a_checkpoint(folder: Path, tmp_path: Path) -> None:
    assert checkpoint_folder(str(folder)) == folder
    with pytest.raises(ModelError, match=r"no config\.json"):
        checkpoint_folder(str(tmp_path))


def test_a_frozen_model_has_no_gradient_and_its_attention_can_be_captured() -> None:
    model = Model(nn.Linear(2, 2))
    model.model.visual = nn.Module()
    model.model.visual.patch_embed = nn.Module()
    model.model.visual.patch_embed.proj = nn.Conv3d(3, 4, (2, 2, 2), (2, 2, 2), bias=False)
    assert frozen(model) is model
    assert not model.training
    assert not any(one.requires_grad for one in model.parameters())
    assert model.model.language_model.config._attn_implementation == NAME  # type: ignore
    assert isinstance(model.model.visual.patch_embed.proj, PatchProduct)
    model.model.visual.patch_embed.proj = nn.Linear(3, 4)
    frozen(model)
    assert isinstance(model.model.visual.patch_embed.proj, nn.Linear)


def test_an_odd_configuration_is_refused(folder: Path, loaded: dict[str, Any]) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["text_config"] = 7
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"config\.json is not as transformers expects it"):
        load(folder)
