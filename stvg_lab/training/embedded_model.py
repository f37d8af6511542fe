# SPDX-License-Identifier: Apache-2.0

"""The architecture of the embedded model, and its Hugging Face folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)

from stvg_lab.training.clip_pool import FRAMES
from stvg_lab.training.packed_questions import HEIGHT, MERGE, PAIR, PATCH, WIDTH
from stvg_ros.models.vision_tower import PatchProduct

LAYERS = 4
ATTENTION_LAYERS = (2, 3)  # the band whose prompt rows are trained to ground
PREPROCESSOR = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "patch_size": PATCH,
    "temporal_patch_size": PAIR,
    "merge_size": MERGE,
    # 640 x 480 is resized to 128 x 96; an image of that size is kept.
    "min_pixels": 12288,
    "max_pixels": 13000,
    "size": {"shortest_edge": 12288, "longest_edge": 13000},
    "do_resize": True,
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "do_convert_rgb": True,
}
SETTINGS = {  # stvg.json; `stvg-ros calibrate --write` adds the presence threshold
    "first_layer": ATTENTION_LAYERS[0],
    "last_layer": ATTENTION_LAYERS[-1],
    "frame_count": FRAMES,
    "split": "rules",
    "step": "rms",
    "learning_rate": 0.05,
    "aspect_ratio": round(WIDTH / HEIGHT, 4),
    "rendered_only": True,
}


def build_model(
    tokenizer: PreTrainedTokenizerFast, hidden: int = 128, vision: int = 96
) -> Qwen2VLForConditionalGeneration:
    """A `Qwen2VLForConditionalGeneration` of about a million parameters, at random weights."""

    def token(name: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(name))

    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": hidden,
            "intermediate_size": 3 * hidden,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "max_position_embeddings": 2048,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [4, 6, 6],
            },
            "bos_token_id": None,
            "eos_token_id": token("<|im_end|>"),
            "pad_token_id": token("<|endoftext|>"),
        },
        vision_config={
            "depth": 3,
            "embed_dim": vision,
            "hidden_size": hidden,
            "num_heads": 4,
            "mlp_ratio": 2,
            "patch_size": PATCH,
            "temporal_patch_size": PAIR,
            "spatial_merge_size": MERGE,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
    )
    config.stvg_attention_layers = list(ATTENTION_LAYERS)
    model = Qwen2VLForConditionalGeneration(config)
    embedding = model.model.visual.patch_embed
    embedding.proj = PatchProduct(embedding.proj)  # the library's convolution is slow without it
    return model


def prompt(
    tokenizer: PreTrainedTokenizerFast, model: Any, slots: int, rng: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids before and behind the visual tokens; the same for any number of slots."""
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": [{"type": "video"}]}], tokenize=False
    )
    before, after = str(text).split("<|video_pad|>")
    parts = (before, after.removesuffix("<|im_end|>\n"))
    ids = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in parts)
    head, tail = (torch.tensor(each) for each in ids)
    return head, tail


def save_folder(
    folder: Path,
    model: Any,
    weights: dict[str, torch.Tensor],
    tokenizer: PreTrainedTokenizerFast,
    files: Mapping[str, Mapping[str, object]],
    card: str,
) -> None:
    """Writes a complete folder for `from_pretrained` with these `weights` and JSON `files`."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, state_dict=dict(weights))  # it empties what it is given
    tokenizer.save_pretrained(folder)
    for name, values in files.items():
        (folder / name).write_text(json.dumps(values, indent=2) + "\n")
    (folder / "README.md").write_text(card)
