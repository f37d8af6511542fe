"""Tiny random checkpoints of the real transformers classes, written to a folder."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)

WORDS = [
    "Is",
    "there",
    "in",
    "this",
    "video",
    "the",
    "a",
    "person",
    "man",
    "red",
    "blue",
    "who",
    "waves",
    "jumps",
    "Describe",
    "details",
    "yes",
    "no",
    "Yes",
    "No",
    "system",
    "user",
    "assistant",
    "\n",
    ".",
    "?",
    ",",
    "the",
    "one",
]
SPECIAL = [
    "<unk>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|video_pad|>",
    "<|image_pad|>",
    "<video>",
    "<image>",
]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}{% if part['type'] == 'video' %}VIDEO"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FAMILIES = ("qwen2_vl", "qwen2_5_vl", "llava_onevision")
_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}


def tokenizer(video: str, words: list[str] = WORDS) -> PreTrainedTokenizerFast:
    """A word-level tokenizer with a chat template that shows the video before the question."""
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys([*SPECIAL, *words]))}
    inner = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = Split(Regex(r" +"), "removed")
    inner.pre_tokenizer = Split(Regex(r"\n|\w+|[^\w\s]"), "removed", invert=True)
    result = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token="<unk>",
        eos_token="<|im_end|>",
        additional_special_tokens=SPECIAL[1:],
    )
    result.chat_template = TEMPLATE.replace("VIDEO", video)
    return result


def write(folder: Path, family: str, *, words: list[str] = WORDS) -> Path:
    """Writes a checkpoint of `family` with fixed random weights; returns the folder."""
    torch.manual_seed(0)
    if family == "llava_onevision":
        tok = tokenizer("<video>\n", words)
        config = LlavaOnevisionConfig(
            text_config={"model_type": "qwen2", "vocab_size": len(tok), **_TEXT},
            vision_config={
                "model_type": "siglip_vision_model",
                "hidden_size": 16,
                "intermediate_size": 24,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": 32,
                "patch_size": 8,
                "vision_use_head": False,
            },
            video_token_index=tok.convert_tokens_to_ids("<video>"),
            image_token_index=tok.convert_tokens_to_ids("<image>"),
            vision_feature_layer=-1,
        )
        model = LlavaOnevisionForConditionalGeneration(config)
        preprocessor = {"size": {"height": 32, "width": 32}}
    else:
        tok = tokenizer("<|vision_start|><|video_pad|><|vision_end|>", words)
        ids = {
            f"{name}_token_id": tok.convert_tokens_to_ids(f"<|{token}|>")
            for name, token in (
                ("video", "video_pad"),
                ("image", "image_pad"),
                ("vision_start", "vision_start"),
                ("vision_end", "vision_end"),
            )
        }
        rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
        text = {"vocab_size": len(tok), **_TEXT, "rope_parameters": rope}
        shared = {"depth": 2, "num_heads": 2, "patch_size": 4, "temporal_patch_size": 2}
        if family == "qwen2_vl":
            vision = {**shared, "embed_dim": 16, "hidden_size": 32, "mlp_ratio": 2}
            config = Qwen2VLConfig(text_config=text, vision_config=vision, **ids)
            model = Qwen2VLForConditionalGeneration(config)
        else:
            vision = {
                **shared,
                "hidden_size": 16,
                "out_hidden_size": 32,
                "intermediate_size": 24,
                "fullatt_block_indexes": [1],
                "window_size": 16,
                "tokens_per_second": 2,
            }
            config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids)
            model = Qwen2_5_VLForConditionalGeneration(config)
        preprocessor = {
            "patch_size": 4,
            "merge_size": 2,
            "temporal_patch_size": 2,
            "min_pixels": 384,
            "max_pixels": 800,
        }
    with torch.no_grad():
        for parameter in model.parameters():
            # Large enough that attention is far from uniform and answers are not all alike.
            parameter.add_(0.15 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tok.save_pretrained(folder)
    preprocessor |= {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.25], "resample": 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")
    return folder
