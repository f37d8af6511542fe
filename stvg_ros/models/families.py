# SPDX-License-Identifier: Apache-2.0

"""The supported families; a new one is a new module and one line here."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TIMM_TOWER = "timm_wrapper"  # model_type of a vision tower of the library timm


@dataclass(frozen=True)
class FamilyEntry:
    """Properties of a family that are available without importing its code.

    Attributes:
        module: full name of the module with `FAMILY`.
        title: the family's name.
        class_name: its class in transformers.
        tokens: visual tokens of one slot.
        pairs: two frames share a slot.
        rehearsed: whose published files were run with random weights (test/rehearsal).
        packages: packages that the vision tower of its release needs besides those of this project.
    """

    module: str
    title: str
    class_name: str
    tokens: str
    pairs: bool
    rehearsed: str = "the class only"
    packages: tuple[str, ...] = ()


FAMILIES = {  # model_type of config.json
    "qwen2_vl": FamilyEntry(
        "stvg_ros.models.qwen2_vl",
        "Qwen2-VL",
        "Qwen2VLForConditionalGeneration",
        "by image size",
        True,
        "olmOCR-7B (a Qwen2-VL-7B)",
    ),
    "qwen2_5_vl": FamilyEntry(
        "stvg_ros.models.qwen2_vl",
        "Qwen2.5-VL",
        "Qwen2_5_VLForConditionalGeneration",
        "by image size",
        True,
        "Qwen2.5-VL-7B-Instruct",
    ),
    "qwen3_vl": FamilyEntry(
        "stvg_ros.models.qwen3_vl",
        "Qwen3-VL",
        "Qwen3VLForConditionalGeneration",
        "by image size",
        True,
        "Cosmos-Reason2-8B (a Qwen3-VL-8B)",
    ),
    "qwen3_vl_moe": FamilyEntry(
        "stvg_ros.models.qwen3_vl",
        "Qwen3-VL-MoE",
        "Qwen3VLMoeForConditionalGeneration",
        "by image size",
        True,
    ),
    "qwen3_5": FamilyEntry(
        "stvg_ros.models.qwen3_5",
        "Qwen3.5",
        "Qwen3_5ForConditionalGeneration",
        "by image size",
        True,
    ),
    "qwen3_5_moe": FamilyEntry(
        "stvg_ros.models.qwen3_5",
        "Qwen3.5-MoE",
        "Qwen3_5MoeForConditionalGeneration",
        "by image size",
        True,
        "language model and template of Qwen3.5-18B-REAP-A3B",
    ),
    "llava_onevision": FamilyEntry(
        "stvg_ros.models.llava_onevision",
        "LLaVA-OneVision",
        "LlavaOnevisionForConditionalGeneration",
        "14 x 14 at 384 px",
        False,
        "the class; the chat template of its release",
    ),
    "llava_next_video": FamilyEntry(
        "stvg_ros.models.llava_next_video",
        "LLaVA-NeXT-Video",
        "LlavaNextVideoForConditionalGeneration",
        "12 x 12 at 336 px",
        False,
        "LLaVA-NeXT-Video-7B-32K-hf",
    ),
    "video_llama_3": FamilyEntry(
        "stvg_ros.models.video_llama_3",
        "VideoLLaMA3",
        "VideoLlama3ForConditionalGeneration",
        "by image size",
        False,
    ),
    "internvl": FamilyEntry(
        "stvg_ros.models.internvl",
        "InternVL3",
        "InternVLForConditionalGeneration",
        "16 x 16 at 448 px",
        False,
    ),
    "cosmos3_edge": FamilyEntry(
        "stvg_ros.models.cosmos3_edge",
        "Cosmos3-Edge",
        "Cosmos3EdgeForConditionalGeneration",
        "by image size",
        False,
    ),
    "glm4v": FamilyEntry(
        "stvg_ros.models.glm4v",
        "GLM-4.1V",
        "Glm4vForConditionalGeneration",
        "by image size",
        True,
    ),
    "glm46v": FamilyEntry(
        "stvg_ros.models.glm4v",
        "GLM-4.6V",
        "Glm46VForConditionalGeneration",
        "by image size",
        True,
    ),
    "smolvlm": FamilyEntry(
        "stvg_ros.models.smolvlm",
        "SmolVLM2",
        "SmolVLMForConditionalGeneration",
        "9 x 9 at 384 px",
        False,
    ),
    "perception_lm": FamilyEntry(
        "stvg_ros.models.perception_lm",
        "PerceptionLM",
        "PerceptionLMForConditionalGeneration",
        "16 x 16 at 448 px",
        False,
        packages=("timm", "torchvision"),
    ),
    "molmo2": FamilyEntry(
        "stvg_ros.models.molmo2",
        "Molmo2",
        "Molmo2ForConditionalGeneration",
        "9 x 9 at 378 px",
        False,
    ),
    "minicpmv4_6": FamilyEntry(
        "stvg_ros.models.minicpmv4_6",
        "MiniCPM-V 4.6",
        "MiniCPMV4_6ForConditionalGeneration",
        "64, by image shape",
        False,
    ),
    "minicpmv4_7": FamilyEntry(
        "stvg_ros.models.minicpmv4_7",
        "MiniCPM-V 4.7",
        "MiniCPMV4_7ForConditionalGeneration",
        "64, by image shape",
        False,
    ),
    "lfm2_vl": FamilyEntry(
        "stvg_ros.models.lfm2_vl",
        "LFM2-VL",
        "Lfm2VlForConditionalGeneration",
        "64 to 256, by image size",
        False,
    ),
    "lfm3_vl": FamilyEntry(
        "stvg_ros.models.lfm3_vl",
        "LFM3-VL",
        "Lfm3VlForConditionalGeneration",
        "by image size",
        True,
    ),
}

# Files of the authors' own code for a supported family, and the repositories with the same weights
# for transformers.
ORIGINALS = {
    "internvl_chat": ("InternVL3", "OpenGVLab/InternVL3-8B-hf and others that end in -hf"),
    "videollama3_qwen2": ("VideoLLaMA3", "lkhl/VideoLLaMA3-2B-Image-HF and others that end in -HF"),
    "llava_qwen": ("LLaVA-OneVision", "llava-hf/llava-onevision-qwen2-7b-ov-hf and others of it"),
    "llava_llama": ("LLaVA-NeXT-Video", "llava-hf/LLaVA-NeXT-Video-7B-hf and others of it"),
}


_WINDOWS = "some of its layers attend to a window, which the mask of packed questions would replace"
# Families of transformers that would run wrongly, or not at all.
UNFIT = {
    "gemma3": _WINDOWS,
    "gemma4": _WINDOWS,
    "exaone4_5": _WINDOWS,
}
# Checkpoints of several models, of which the one that sees has no adapter: title, and what to use.
NO_ADAPTER = {
    "qwen3_omni_moe": ("Qwen3-Omni", "a Qwen3-VL-MoE"),
    "qwen2_5_omni": ("Qwen2.5-Omni", "a Qwen2.5-VL"),
}
# Known by their authors' own code only, which is never run here.
OWN_CODE = {"minicpmv": "MiniCPM-V up to 4.5", "minicpmo": "MiniCPM-o", "molmo": "Molmo"}


def missing_packages(values: Mapping[str, Any]) -> list[str]:
    """Packages that a checkpoint needs and that are not installed, by a config.json's content."""
    vision = values.get("vision_config")
    tower = vision.get("model_type") if isinstance(vision, Mapping) else None
    row = FAMILIES[str(values.get("model_type"))]
    if tower not in (None, TIMM_TOWER):
        return []  # another tower than the release's
    return [name for name in row.packages if importlib.util.find_spec(name) is None]


def unsupported(model_type: str) -> str:
    """Why a `model_type` that is not in `FAMILIES` cannot be used, and what to use instead."""
    if model_type in UNFIT:
        return f"model_type {model_type!r} is refused: {UNFIT[model_type]}"
    if model_type in NO_ADAPTER:
        title, instead = NO_ADAPTER[model_type]
        return (
            f"model_type {model_type!r} is refused: {title} is a checkpoint of several models, and "
            f"the one that sees has no adapter here; use {instead}"
        )
    if model_type in OWN_CODE:
        return (
            f"model_type {model_type!r}: {OWN_CODE[model_type]} has no class in transformers, only "
            "its authors' own code, which is never run here"
        )
    if model_type not in ORIGINALS:
        return f"unknown model_type {model_type!r}"
    title, others = ORIGINALS[model_type]
    return (
        f"model_type {model_type!r} is the layout of {title}'s own code, which is never run here; "
        f"use the same weights for transformers: {others}"
    )


def original_of(hub_id: str) -> str | None:
    """The model_type of a hub id that is known to hold the authors' own layout; else None."""
    owner, _, name = hub_id.partition("/")
    if name.lower().endswith("-hf"):
        return None
    for model_type, whose, begin in (
        ("internvl_chat", "OpenGVLab", "InternVL"),
        ("videollama3_qwen2", "DAMO-NLP-SG", "VideoLLaMA3"),
    ):
        if owner == whose and name.startswith(begin):
            return model_type
    return None


def families_table() -> list[tuple[str, str, str, str, str, str]]:
    """Rows of the docs: family, model_type, class, tokens and frames a slot, published files."""
    return [
        (row.title, kind, row.class_name, row.tokens, "2" if row.pairs else "1", row.rehearsed)
        for kind, row in FAMILIES.items()
    ]
