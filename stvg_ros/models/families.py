# SPDX-License-Identifier: Apache-2.0

"""The supported families; a new one is a new module and one line here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FamilyEntry:
    """Properties of a family that are available without importing its code.

    Attributes:
        module: full name of the module with `FAMILY`.
        title: the family's name.
        class_name: its class in transformers.
        tokens: visual tokens of one slot.
        pairs: two frames share a slot.
    """

    module: str
    title: str
    class_name: str
    tokens: str
    pairs: bool


FAMILIES = {  # model_type of config.json
    "qwen2_vl": FamilyEntry(
        "stvg_ros.models.qwen2_vl",
        "Qwen2-VL",
        "Qwen2VLForConditionalGeneration",
        "by image size",
        True,
    ),
    "qwen2_5_vl": FamilyEntry(
        "stvg_ros.models.qwen2_vl",
        "Qwen2.5-VL",
        "Qwen2_5_VLForConditionalGeneration",
        "by image size",
        True,
    ),
    "qwen3_vl": FamilyEntry(
        "stvg_ros.models.qwen3_vl",
        "Qwen3-VL",
        "Qwen3VLForConditionalGeneration",
        "by image size",
        True,
    ),
    "qwen3_vl_moe": FamilyEntry(
        "stvg_ros.models.qwen3_vl",
        "Qwen3-VL-MoE",
        "Qwen3VLMoeForConditionalGeneration",
        "by image size",
        True,
    ),
    "llava_onevision": FamilyEntry(
        "stvg_ros.models.llava_onevision",
        "LLaVA-OneVision",
        "LlavaOnevisionForConditionalGeneration",
        "14 x 14 at 384 px",
        False,
    ),
    "llava_next_video": FamilyEntry(
        "stvg_ros.models.llava_next_video",
        "LLaVA-NeXT-Video",
        "LlavaNextVideoForConditionalGeneration",
        "12 x 12 at 336 px",
        False,
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
}


def families_table() -> list[tuple[str, str, str, str, str]]:
    """Rows for the table of the docs: family, model_type, class, tokens a slot, frames a slot."""
    return [
        (row.title, kind, row.class_name, row.tokens, "2" if row.pairs else "1")
        for kind, row in FAMILIES.items()
    ]
