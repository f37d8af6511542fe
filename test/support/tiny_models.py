# SPDX-License-Identifier: Apache-2.0

"""Random checkpoints of every family's real class, small enough for a test."""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path
from typing import Any

import tiny_small_models
import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

HIDDEN, PATCH = 32, 4
ROPE = {
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
}
WORDS = [
    "You",
    "are",
    "helpful",
    ".",
    "?",
    "\n",
    ":",
    "system",
    "user",
    "assistant",
    "USER",
    "ASSISTANT",
    "Is",
    "there",
    "a",
    "man",
    "in",
    "red",
    "this",
    "video",
    "Describe",
    "details",
    "Yes",
    "No",
    "yes",
    "no",
    "YES",
    "NO",
    "<",
    ">",
    "seconds",
    "Frame1",
    "Frame2",
    "Frame3",
    "Frame4",
    "Frame5",
    "anything",
]
SPECIAL = [
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<image>",
    "<video>",
    "<img>",
    "</img>",
    "<IMG_CONTEXT>",
    "<s>",
]
MORE_SPECIAL = {
    "smolvlm": ["<fake_token_around_image>", "<global-img>"],
    "molmo2": [
        "<frame_start>", "<frame_end>", "<im_patch>", "<|image|>", "<|video|>", "<im_col>",
        "<im_start>", "<low_res_im_start>", "<im_end>", "<im_low>",
    ],
}  # fmt: skip
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% for c in m['content'] %}{% if c['type'] == 'video' %}VIDEO"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VICUNA = (
    "{% for m in messages %}{{ m['role'].upper() }}: {% for c in m['content'] %}"
    "{% if c['type'] == 'video' %}<video>\n{% else %}{{ c['text'] }}{% endif %}{% endfor %} "
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
VIDEO = {
    "qwen2_vl": "<|vision_start|><|video_pad|><|vision_end|>",
    "qwen2_5_vl": "<|vision_start|><|video_pad|><|vision_end|>",
    "qwen3_vl": "<|vision_start|><|video_pad|><|vision_end|>",
    "qwen3_vl_moe": "<|vision_start|><|video_pad|><|vision_end|>",
    "qwen3_5": "<|vision_start|><|video_pad|><|vision_end|>",
    "qwen3_5_moe": "<|vision_start|><|video_pad|><|vision_end|>",
    "llava_onevision": "<video>",
    "video_llama_3": "<|video_pad|>\\n",
    "internvl": "<video>\\n",
    "cosmos3_edge": "<|vision_start|><|video_pad|><|vision_end|>",
    "glm4v": "<|vision_start|><|video_pad|><|vision_end|>",
    "glm46v": "<|vision_start|><|video_pad|><|vision_end|>",
    "smolvlm": "<video>",
    "molmo2": "<|video|>",
    "perception_lm": "<video>",
    "minicpmv4_6": "<|video_pad|>\\n",
    "minicpmv4_7": "<|video_pad|>\\n",
    "lfm3_vl": "<|video_pad|>",
}


def build_tokenizer(kind: str) -> Any:
    """One token a word; digits and strangers are [UNK], or bytes in Qwen3.5."""
    special = SPECIAL + MORE_SPECIAL.get(kind, [])
    core = _bytes() if kind.startswith("qwen3_5") else _words(special)
    more = {}
    if kind == "internvl":
        more["extra_special_tokens"] = {
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        }
    if kind == "perception_lm":
        more["extra_special_tokens"] = {"image_token": "<image>", "video_token": "<video>"}
    if kind in tiny_small_models.EXTRA_TOKENS:
        more["extra_special_tokens"] = tiny_small_models.EXTRA_TOKENS[kind]
        more["pad_token"] = "[UNK]"
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="[UNK]", eos_token="<|im_end|>", **more
    )
    tokenizer.add_special_tokens({"additional_special_tokens": special} if not more else {})
    if more:
        tokenizer.add_tokens(list(SPECIAL), special_tokens=True)
    if kind == "lfm2_vl":  # takes images only, as its release does
        tokenizer.chat_template = CHAT.replace("VIDEO", "<image>").replace("'video'", "'image'")
    elif kind == "llava_next_video":
        tokenizer.chat_template = VICUNA
    else:
        tokenizer.chat_template = CHAT.replace("VIDEO", VIDEO[kind])
    return tokenizer


def _words(special: list[str]) -> Tokenizer:
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(["[UNK]", *special, *WORDS]))}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\n"), "isolated"),
            pre_tokenizers.Split(Regex(r"[^\S\n]+"), "removed"),
            pre_tokenizers.Split(Regex(r"[^\w\s]"), "isolated"),
        ]
    )
    core.decoder = decoders.Fuse()
    return core


def _bytes() -> Tokenizer:
    """Pairs of bytes, as transformers reads any tokenizer of Qwen3.5; only answers are words."""
    merges = [pair for word in ("yes", "Yes", "YES", "no", "No", "NO") for pair in _merges(word)]
    merges = list(dict.fromkeys(merges))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    known = ["[UNK]", *SPECIAL, *alphabet, *("".join(pair) for pair in merges)]
    core = Tokenizer(models.BPE({word: i for i, word in enumerate(known)}, merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return core


def _merges(word: str) -> list[tuple[str, str]]:
    return [(word[:end], word[end]) for end in range(1, len(word))]


def forget_answers(folder: Path) -> None:
    """Renames the tokens of yes and no, or splits them into bytes."""
    file = folder / "tokenizer.json"
    values = json.loads(file.read_text())
    core = values["model"]
    if core["type"] == "BPE":
        core["merges"] = []
    else:
        answers = ("yes", "Yes", "YES")
        core["vocab"] = {f"q{k}" if k in answers else k: v for k, v in core["vocab"].items()}
    file.write_text(json.dumps(values))


def config_of(kind: str, tokenizer: Any) -> Any:
    """The family's own configuration class with small numbers."""

    def token(name: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(name))

    text: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": HIDDEN,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": token("<|im_end|>"),
    }
    if kind.startswith("lfm"):
        return getattr(tiny_small_models, kind)(tokenizer, text)
    if kind.startswith("minicpm"):
        whole = qwen3_5_config("qwen3_5", {**text, **copy.deepcopy(ROPE), "head_dim": 8}, {}, {})
        return tiny_small_models.minicpm(kind, tokenizer, whole.text_config.to_dict())
    if kind.startswith(("qwen", "glm", "cosmos")):
        text |= copy.deepcopy(ROPE)
        ids = {
            "image_token_id": token("<|image_pad|>"),
            "video_token_id": token("<|video_pad|>"),
            "vision_start_token_id": token("<|vision_start|>"),
            "vision_end_token_id": token("<|vision_end|>"),
        }
        vision: dict[str, Any] = {
            "depth": 2,
            "num_heads": 2,
            "patch_size": PATCH,
            "temporal_patch_size": 2,
            "spatial_merge_size": 2,
        }
        if kind == "cosmos3_edge":
            vision = {
                "hidden_size": 16,
                "intermediate_size": 24,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "patch_size": PATCH,
                "num_patches": 16,
            }
            return transformers.Cosmos3EdgeConfig(
                text_config={**text, "head_dim": 8},
                vision_config=vision,
                projector_hidden_size=32,
                **ids,
            )
        if kind.startswith("glm"):
            ids |= {
                f"{medium}_{side}_token_id": token(name)
                for medium, pair in (
                    ("image", ("<img>", "</img>")),
                    ("video", ("<|vision_start|>", "<|vision_end|>")),
                )
                for side, name in zip(("start", "end"), pair, strict=True)
            }
            del ids["vision_start_token_id"], ids["vision_end_token_id"]
            vision |= {"hidden_size": 16, "intermediate_size": 24, "out_hidden_size": HIDDEN}
            vision["image_size"] = 24
            name = {"glm4v": "Glm4vConfig", "glm46v": "Glm46VConfig"}[kind]
            return getattr(transformers, name)(text_config=text, vision_config=vision, **ids)
        if kind == "qwen2_vl":
            vision |= {"embed_dim": 16, "hidden_size": HIDDEN, "mlp_ratio": 2}
            return transformers.Qwen2VLConfig(text_config=text, vision_config=vision, **ids)
        vision |= {"hidden_size": 16, "intermediate_size": 24, "out_hidden_size": HIDDEN}
        if kind == "qwen2_5_vl":
            vision |= {"window_size": 16, "fullatt_block_indexes": [1], "tokens_per_second": 2}
            return transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids)
        text["head_dim"] = 8
        vision["num_position_embeddings"] = 64
        if kind.startswith("qwen3_5"):
            return qwen3_5_config(kind, text, vision, ids)
        vision["deepstack_visual_indexes"] = [0, 1]
        if kind == "qwen3_vl":
            return transformers.Qwen3VLConfig(text_config=text, vision_config=vision, **ids)
        text |= {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
        return transformers.Qwen3VLMoeConfig(text_config=text, vision_config=vision, **ids)
    vision = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": PATCH,
        "image_size": 24,
    }
    if kind == "video_llama_3":
        vision.pop("image_size")
        return transformers.VideoLlama3Config(
            text_config={"model_type": "qwen2", **text},
            vision_config=vision,
            image_token_id=token("<|image_pad|>"),
            video_token_id=token("<|video_pad|>"),
        )
    if kind == "internvl":
        vision |= {"image_size": [24, 24], "patch_size": [PATCH, PATCH]}
        return transformers.InternVLConfig(
            text_config={"model_type": "qwen2", **text},
            vision_config=vision,
            image_token_id=token("<IMG_CONTEXT>"),
            image_seq_length=9,
        )
    if kind == "smolvlm":
        return transformers.SmolVLMConfig(
            text_config={"model_type": "llama", **text},
            vision_config=vision,
            image_token_id=token("<image>"),
        )
    if kind == "perception_lm":
        if importlib.util.find_spec("timm") is None:
            tower = {**vision, "model_type": "clip_vision_model", "model_args": {"embed_dim": 16}}
        else:  # the released one, smaller
            tower = {
                "model_type": "timm_wrapper", "architecture": "vit_pe_core_large_patch14_336",
                "num_classes": 0, "label_names": [], "model_args": {
                    "embed_dim": 16, "depth": 2, "num_heads": 2, "patch_size": PATCH,
                    "img_size": [24, 24], "ref_feat_shape": [6, 6], "global_pool": "",
                    "init_values": 0.1, "use_post_transformer_norm": False,
                },
            }  # fmt: skip
        return transformers.PerceptionLMConfig(
            text_config={"model_type": "llama", **text},
            vision_config=tower,
            projector_pooling_ratio=2,
            image_token_id=token("<image>"),
            video_token_id=token("<video>"),
        )
    if kind == "molmo2":
        heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8}
        return transformers.Molmo2Config(
            text_config={**text, "head_dim": 8, "additional_vocab_size": 4},
            vision_config={**vision, **heads, "image_size": [24, 24]},
            adapter_config={
                "vision_feature_layer": [1, 0], "hidden_size": 16, "intermediate_size": 24,
                "text_hidden_size": HIDDEN, **heads,
            },
            image_patch_id=token("<im_patch>"),
            frame_start_token_id=token("<frame_start>"),
            frame_end_token_id=token("<frame_end>"),
            image_start_token_id=token("<im_start>"),
            image_end_token_id=token("<im_end>"),
            low_res_image_start_token_id=token("<low_res_im_start>"),
        )  # fmt: skip
    if kind == "llava_onevision":
        return transformers.LlavaOnevisionConfig(
            text_config={"model_type": "qwen2", **text},
            vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **vision},
            image_token_index=token("<image>"),
            video_token_index=token("<video>"),
        )
    return transformers.LlavaNextVideoConfig(
        text_config={"model_type": "llama", **text},
        vision_config={"model_type": "clip_vision_model", "projection_dim": 16, **vision},
        image_token_index=token("<image>"),
        video_token_index=token("<video>"),
    )


def qwen3_5_config(
    kind: str, text: dict[str, Any], vision: dict[str, Any], ids: dict[str, int]
) -> Any:
    """Recurrent layers around one that attends; values have more heads than keys."""
    text |= {
        "layer_types": ["linear_attention", "full_attention", "linear_attention"],
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
    }
    text["rope_parameters"] |= {"partial_rotary_factor": 1.0, "mrope_interleaved": True}
    if kind == "qwen3_5":
        return transformers.Qwen3_5Config(text_config=text, vision_config=vision, **ids)
    del text["intermediate_size"]
    text |= {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
    text["shared_expert_intermediate_size"] = 24
    return transformers.Qwen3_5MoeConfig(text_config=text, vision_config=vision, **ids)


def save(kind: str, class_name: str, folder: Path) -> Path:
    """A whole checkpoint in `folder`."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer(kind)
    model = getattr(transformers, class_name)(config_of(kind, tokenizer))
    with torch.no_grad():  # the default weights are too small for attention to differ
        for name, parameter in model.get_decoder().named_parameters():
            if parameter.ndim > 1:  # a state multiplies what it is computed from
                few = "linear_attn" in name or kind.startswith("lfm")
                parameter.mul_(3 if few else 8)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    pair = 1 if kind == "cosmos3_edge" else 2
    numbers: dict[str, Any] = {"patch_size": PATCH, "merge_size": 2, "temporal_patch_size": pair}
    if kind.startswith(("qwen", "glm", "cosmos")):
        total = 1 if kind.startswith("qwen2") else 6
        numbers["size"] = {"shortest_edge": 256 * total, "longest_edge": 400 * total}
    elif kind in tiny_small_models.NUMBERS:
        numbers |= tiny_small_models.NUMBERS[kind]
    elif kind == "video_llama_3":
        numbers["size"] = {"shortest_edge": 256, "longest_edge": 2400}
    elif kind == "llava_next_video":
        numbers |= {"size": {"shortest_edge": 24}, "crop_size": {"height": 24, "width": 24}}
        numbers["do_center_crop"] = True
    elif kind == "smolvlm":
        numbers |= {"max_image_size": {"longest_edge": 24}, "size": {"longest_edge": 30}}
    else:
        numbers["size"] = {"height": 24, "width": 24}
        if kind == "molmo2":
            numbers |= {"merge_size": None, "pooling_size": [3, 3]}
    (folder / "preprocessor_config.json").write_text(json.dumps(numbers))
    return folder
