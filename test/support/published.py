# SPDX-License-Identifier: Apache-2.0

"""Checkpoint folders from the published files of released models, with tiny random weights."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from paths import shared
from safetensors.torch import load_file

CLASSES = {
    "qwen2_vl": "Qwen2VLForConditionalGeneration",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
    "llava_next_video": "LlavaNextVideoForConditionalGeneration",
    "qwen3_5_moe": "Qwen3_5MoeForConditionalGeneration",
}
_PROCESSOR = ("preprocessor_config.json", "video_preprocessor_config.json", "chat_template.json")
LAYERS, HIDDEN, HEADS = 3, 64, 4
TEXT = {
    "hidden_size": HIDDEN,
    "intermediate_size": 96,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 2,
    "head_dim": HIDDEN // HEADS,
}
RECURRENT_TEXT = {
    "head_dim": 64, "num_hidden_layers": 4, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    "linear_key_head_dim": 16, "linear_value_head_dim": 16, "num_experts": 4,
    "num_experts_per_tok": 2, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32,
}  # fmt: skip
VISION = {
    "qwen2_vl": {"depth": 2, "embed_dim": 32, "num_heads": 2, "hidden_size": HIDDEN},
    "qwen2_5_vl": {
        "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
        "out_hidden_size": HIDDEN, "fullatt_block_indexes": [1],
    },
    "qwen3_vl": {
        "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
        "out_hidden_size": HIDDEN, "deepstack_visual_indexes": [0, 1],
        "num_position_embeddings": 64,
    },
    "qwen3_5_moe": {
        "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
        "out_hidden_size": HIDDEN, "num_position_embeddings": 64,
    },
    "llava_next_video": {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 2, "projection_dim": 16,
    },
}  # fmt: skip


def material(name: str) -> Path:
    """A folder of published files; without it the test is skipped."""
    return shared(f"checkpoints/{name}")


def rehearsed(name: str, to: Path) -> Path:
    """A whole checkpoint of the published folder `name`; all but weights and sizes are real."""
    source = material(name)
    to.mkdir(parents=True, exist_ok=True)
    _copy(source, to, "SOURCES.txt", "model.safetensors.index.json", "tokenizer_head.json")
    if name == "llava_next_video_32k":
        _complete_llava(source, to)
    if name == "qwen3_5_moe":
        _complete_qwen3_5(to)
    if name == "v5_saved_processor":  # without the files that version 5 no longer writes
        _copy(material("qwen3_vl"), to, *_PROCESSOR, *(file.name for file in source.iterdir()))
    values = json.loads((to / "config.json").read_text())
    small = _small(values)
    (to / "config.json").write_text(json.dumps(small))
    save_weights(to)
    return to


def _copy(source: Path, to: Path, *left_out: str) -> None:
    for file in source.iterdir():
        if file.name not in left_out:
            shutil.copyfile(file, to / file.name)


def save_weights(folder: Path) -> None:
    """Random weights for a folder's config.json, under the names of the published files."""
    torch.manual_seed(0)
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    config = transformers.AutoConfig.from_pretrained(folder)
    model = getattr(transformers, CLASSES[kind])(config)
    with torch.no_grad():  # the default weights are too small for attention to differ
        for name, parameter in model.get_decoder().named_parameters():
            if parameter.ndim > 1 and "embed" not in name:
                parameter.mul_(5)
    model.save_pretrained(folder / "saved")  # in the names of the released files
    (folder / "saved" / "model.safetensors").rename(folder / "model.safetensors")
    shutil.rmtree(folder / "saved")


def published_names(name: str) -> set[str]:
    """The names of the released weights, without those of layers that the tiny model lacks."""
    index = json.loads((material(name) / "model.safetensors.index.json").read_text())
    layers = RECURRENT_TEXT["num_hidden_layers"] if name == "qwen3_5_moe" else LAYERS
    depth = {"blocks": 2, "layers": layers, "deepstack_merger_list": 2, "experts": 4}

    def kept(weight: str) -> bool:
        return all(
            int(number) < depth[group]
            for group, number in re.findall(rf"\b({'|'.join(depth)})\.(\d+)\.", weight)
        )

    return {weight for weight in index["weight_map"] if kept(weight)}


def saved_names(folder: Path) -> set[str]:
    """The names of a folder's weights."""
    return set(load_file(folder / "model.safetensors"))


def _small(values: dict[str, Any]) -> dict[str, Any]:
    """The published configuration with small numbers."""
    kind = values["model_type"]
    small = {name: item for name, item in values.items() if name != "quantization_config"}
    vision = {**values["vision_config"], **VISION[kind]}
    text: dict[str, Any] = {**values.get("text_config", values), **TEXT}
    if kind == "qwen3_5_moe":
        text |= RECURRENT_TEXT
        text["layer_types"] = text["layer_types"][: RECURRENT_TEXT["num_hidden_layers"]]
        text["rope_parameters"] = {**text["rope_parameters"], "mrope_section": [3, 3, 2]}
        del text["intermediate_size"]
    rope = text.get("rope_scaling") or {}
    if "mrope_section" in rope:
        text["rope_scaling"] = {**rope, "mrope_section": [4, 2, 2]}
    if "text_config" in values:
        return {**small, "vision_config": vision, "text_config": text}
    return {**small, **text, "vision_config": vision}


def _complete_llava(source: Path, to: Path) -> None:
    """The tokenizer from its published head and Llama 2's vocabulary; the published template."""
    head = json.loads((source / "tokenizer_head.json").read_text())
    whole = json.loads((material("llama_tokenizer_phi3") / "tokenizer.json").read_text())
    whole |= head
    whole["model"]["vocab"] = {
        word: number for word, number in whole["model"]["vocab"].items() if number < 32000
    }
    (to / "tokenizer.json").write_text(json.dumps(whole))
    template = (material("chat_templates") / "llava_next_video_7b_32k.jinja").read_text()
    values = {
        "chat_template": template, "patch_size": 14, "vision_feature_select_strategy": "default",
        "processor_class": "LlavaNextVideoProcessor",
    }  # fmt: skip
    (to / "processor_config.json").write_text(json.dumps(values))


def _complete_qwen3_5(to: Path) -> None:
    """The published language model with what Qwen3-VL has published: tokens and image sizes."""
    _copy_some(material("qwen3_vl"), to, *_PROCESSOR[:2])
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(material("qwen3_vl"))
    tokenizer.backend_tokenizer.save(str(to / "tokenizer.json"))
    text = json.loads((to / "config.json").read_text())
    names = {
        "image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>",
    }  # fmt: skip
    ids = {key: tokenizer.convert_tokens_to_ids(token) for key, token in names.items()}
    whole = {"architectures": text.pop("architectures"), "text_config": text, "vision_config": {}}
    (to / "config.json").write_text(json.dumps({"model_type": "qwen3_5_moe", **whole, **ids}))


def _copy_some(source: Path, to: Path, *names: str) -> None:
    for name in names:
        shutil.copyfile(source / name, to / name)
