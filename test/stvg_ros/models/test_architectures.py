# SPDX-License-Identifier: Apache-2.0

"""Language models that families may have: exact ones are used, the others are refused."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
import transformers
from library_reference import QUESTIONS, images, reference

from stvg_ros.cli.doctor import model_findings
from stvg_ros.config import Config
from stvg_ros.errors import ModelError
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm
from stvg_ros.models.families import FAMILIES, OWN_CODE, UNFIT
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.settings import ModelConfig

torch.set_num_threads(1)


def saved(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **text: Any) -> Path:
    """A tiny model of a family with another language model."""
    plain = tiny_models.config_of

    def changed(kind: str, tokenizer: Any) -> Any:
        config = plain(kind, tokenizer)
        values = {**config.text_config.to_dict(), **text}
        values.pop("layer_types", None)
        if "layer_types" in text:
            values["layer_types"] = text["layer_types"]
        same = values["model_type"] == config.text_config.model_type
        kind_of = type(config.text_config) if same else transformers.AutoConfig.for_model
        config.text_config = kind_of(**values)
        return config

    monkeypatch.setattr(tiny_models, "config_of", changed)
    return tiny_models.save(kind, FAMILIES[kind].class_name, folder)


def load(folder: Path) -> HfMllm:
    mllm = load_mllm(ModelConfig(path=str(folder), device="cpu"), AttentionConfig())
    assert isinstance(mllm, HfMllm)
    return mllm


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("internvl", {"model_type": "qwen3", "head_dim": 8}),
        ("internvl", {"model_type": "llama"}),
        ("llava_next_video", {"model_type": "mistral", "sliding_window": None}),
        ("llava_onevision", {"model_type": "qwen2", "use_sliding_window": False}),
        (  # Molmo2-O
            "molmo2",
            {"model_type": "molmo2_text", "qk_norm_type": "olmo", "norm_after": True,
             "rope_scaling_layers": [1], "rope_parameters": {
                 "rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}},
        ),
    ],
)  # fmt: skip
def test_rows_and_gradient_are_exact(
    kind: str, text: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mllm = load(saved(kind, tmp_path, monkeypatch, **text))
    assert mllm._text.config.model_type == text["model_type"]
    visual = mllm.encode(images(4)).reversed()
    offset = torch.zeros(visual.features.shape, requires_grad=True)
    readings = mllm.ask(mllm.prefill(visual, offset), QUESTIONS)
    for question, reading in zip(QUESTIONS, readings, strict=True):
        _, rows, yes, no = reference(mllm, visual, question, offset)
        torch.testing.assert_close(reading.rows.flatten(1), rows.detach(), atol=1e-5, rtol=0)
        ours, theirs = (
            torch.autograd.grad(margin, offset, retain_graph=True)[0]
            for margin in (reading.margin, yes - no)
        )
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 8,
             "layer_types": ["full_attention", "sliding_attention", "full_attention"]},
            "qwen2.*layers of sliding_attention",
        ),
        ({"model_type": "mistral", "sliding_window": 8}, "mistral.*layers of sliding_attention"),
        ({"model_type": "gemma"}, "is gemma; expected one of .*llama"),
    ],
)  # fmt: skip
def test_others_are_refused_before_their_weights_are_read(
    text: dict[str, Any], said: str, tmp_path: Path
) -> None:
    folder = tiny_models.save("internvl", FAMILIES["internvl"].class_name, tmp_path)
    values = json.loads((folder / "config.json").read_text())
    values["text_config"] |= text
    (folder / "config.json").write_text(json.dumps(values))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=said):
        load(folder)


@pytest.mark.parametrize("kind", UNFIT)
def test_families_with_other_layers_are_refused_with_the_reason(kind: str, tmp_path: Path) -> None:
    assert kind not in FAMILIES
    config = transformers.AutoConfig.for_model(kind).get_text_config()
    assert {*config.layer_types} - {"full_attention"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(ModelError, match=f"'{kind}' is refused: .*layers"):
        load(tmp_path)


@pytest.mark.parametrize("kind", OWN_CODE)
def test_families_without_a_class_of_the_library_are_refused_by_name(
    kind: str, tmp_path: Path
) -> None:
    assert kind not in transformers.CONFIG_MAPPING
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(ModelError, match=f"{OWN_CODE[kind]} has no class in transformers"):
        load(tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
@pytest.mark.parametrize("more", [{}, {"label_names": [], "num_classes": 0}])
def test_a_tower_whose_library_is_missing(more: dict[str, Any], tmp_path: Path) -> None:
    folder = tiny_models.save("perception_lm", FAMILIES["perception_lm"].class_name, tmp_path)
    values = json.loads((folder / "config.json").read_text())
    values["vision_config"] = {
        "model_type": "timm_wrapper", "architecture": "vit_pe_core_large_patch14_336",
        "model_args": {"embed_dim": 16}, **more,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match="needs a library that is not installed .*timm"):
        load(folder)
    config = Config.from_flat({"model.path": str(folder), "model.device": "cpu"})
    *_, found = model_findings(config)
    assert (found.level, "PerceptionLM needs timm" in found.text) == ("bad", True)
