# SPDX-License-Identifier: Apache-2.0

"""Configurations of tiny models for small boards: MiniCPM-V and LFM, with their tokens."""

from __future__ import annotations

from typing import Any

import transformers

MINICPM = {
    "image_start_token": "<img>", "image_end_token": "</img>", "slice_start_token": "<slice>",
    "slice_end_token": "</slice>", "image_id_start_token": "<image_id>",
    "image_id_end_token": "</image_id>", "video_token": "<|video_pad|>",
    "image_token": "<|image_pad|>",
}  # fmt: skip
LFM2 = {
    "image_token": "<image>", "image_start_token": "<|image_start|>",
    "image_end_token": "<|image_end|>", "image_thumbnail_token": "<|img_thumbnail|>",
}  # fmt: skip
EXTRA_TOKENS = {"minicpmv4_6": MINICPM, "minicpmv4_7": MINICPM, "lfm2_vl": LFM2}
VISION = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "patch_size": 4,
}  # fmt: skip
NUMBERS = {  # of the image processor
    "minicpmv4_6": {"scale_resolution": 32, "max_slice_nums": 9, "slice_mode": True},
    "minicpmv4_7": {"scale_resolution": 32, "max_slice_nums": 9, "slice_mode": True},
    "lfm2_vl": {
        "encoder_patch_size": 4, "downsample_factor": 2, "min_image_tokens": 4,
        "max_image_tokens": 6, "resample": 2,
    },
    "lfm3_vl": {"temporal_patch_size": 2, "size": {"shortest_edge": 1536, "longest_edge": 2400}},
}  # fmt: skip


def minicpm(kind: str, tokenizer: Any, text: dict[str, Any]) -> Any:
    """Around the language model of Qwen3.5."""

    def token(name: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(name))

    ids = {"image_token_id": token("<|image_pad|>"), "video_token_id": token("<|video_pad|>")}
    vision = {**VISION, "image_size": 24}
    more = {"text_config": text, "vision_config": vision, "insert_layer_id": 0, **ids}
    if kind == "minicpmv4_6":
        return transformers.MiniCPMV4_6Config(**more)
    return transformers.MiniCPMV4_7Config(
        **more, image_start_id=token("<img>"), image_end_id=token("</img>"),
        slice_start_id=token("<slice>"), slice_end_id=token("</slice>"), newline_id=token("\n"),
    )  # fmt: skip


def lfm2_vl(tokenizer: Any, text: dict[str, Any]) -> Any:
    """Convolutions around one layer that attends."""
    types = ["conv", "full_attention", "conv"]
    return transformers.Lfm2VlConfig(
        text_config={**text, "layer_types": types, "block_auto_adjust_ff_dim": False},
        vision_config={**VISION, "num_patches": 16, "vision_use_head": False},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        projector_hidden_size=24,
    )


def lfm3_vl(tokenizer: Any, text: dict[str, Any]) -> Any:
    """A convolution, a layer that attends to everything, and one with a window."""
    names = {
        "image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>",
    }  # fmt: skip
    types = ["conv", "full_attention", "sliding_attention"]
    vision = {"num_key_value_heads": 1, "layer_types": ["conv", "full_attention"]}
    return transformers.Lfm3VlConfig(
        text_config={**text, "head_dim": 8, "layer_types": types, "sliding_window": 8},
        vision_config={**VISION, **vision, "spatial_merge_size": 2, "temporal_patch_size": 2},
        projector_hidden_size=24,
        **{key: tokenizer.convert_tokens_to_ids(name) for key, name in names.items()},
    )
