# SPDX-License-Identifier: Apache-2.0

"""The architecture of the embedded model, and its Hugging Face folder."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)

from stvg_lab.training.clip_pool import FRAMES
from stvg_lab.training.packed_questions import HEIGHT, MERGE, PAIR, PATCH, WIDTH

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
    return Qwen2VLForConditionalGeneration(config)


def save_folder(
    folder: Path,
    model: Qwen2VLForConditionalGeneration,
    weights: dict[str, torch.Tensor],
    tokenizer: PreTrainedTokenizerFast,
    report: dict[str, object],
    card: str,
) -> None:
    """Writes a complete folder for `from_pretrained` with these `weights`."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, state_dict=weights)
    tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR, indent=2) + "\n")
    (folder / "stvg.json").write_text(json.dumps(SETTINGS, indent=2) + "\n")
    (folder / "training_report.json").write_text(json.dumps(report, indent=2) + "\n")
    (folder / "README.md").write_text(card)
