# SPDX-License-Identifier: Apache-2.0

"""The model of rendered scenes in the family Qwen3.5: three recurrent layers, one that attends.

Dimensions: B videos, S slots, h x w visual tokens per slot, M = S * h * w, P prefix tokens,
Q questions of L tokens (padded), H heads, D hidden size.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    AttentionInterface,
    PreTrainedTokenizerFast,
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
    Qwen3_5Tokenizer,
)

from stvg_lab.training import embedded_model
from stvg_lab.training.clip_pool import FRAMES
from stvg_lab.training.packed_questions import (
    COLUMNS,
    HEIGHT,
    MERGE,
    PAIR,
    PATCH,
    ROWS,
    WIDTH,
    PackedOutput,
    attended,
)
from stvg_lab.training.vocabulary import CHAT_TEMPLATE, SPECIAL, words
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.prefix_cache import OneLayer, named_cache, repeated
from stvg_ros.models.preprocess import slots_of
from stvg_ros.models.prompt import Prompt
from stvg_ros.models.qwen2_vl import positions
from stvg_ros.models.qwen3_vl import layout
from stvg_ros.models.vision_tower import PatchProduct

LAYER_TYPES = ("linear_attention",) * 3 + ("full_attention",)  # the pattern of the releases
ATTENTION_LAYERS = (3,)
_SLOTS = "stvg_flash_training"  # transformers passes the whole row to names with "flash"
SECONDS = (0.2, 1.0)  # between two frames
_VIDEO_PIXELS = FRAMES * HEIGHT * WIDTH
PREPROCESSOR = {  # the bounds are for all frames of a video
    **{name: value for name, value in embedded_model.PREPROCESSOR.items() if "_pixels" not in name},
    "image_processor_type": "Qwen2VLImageProcessorFast",
    "size": {"shortest_edge": _VIDEO_PIXELS, "longest_edge": _VIDEO_PIXELS + 1000},
}
SETTINGS = {
    **{name: value for name, value in embedded_model.SETTINGS.items() if name != "aspect_ratio"},
    "first_layer": ATTENTION_LAYERS[0],
    "last_layer": ATTENTION_LAYERS[-1],
}


def build_tokenizer(hard: bool = False) -> PreTrainedTokenizerFast:
    """One token a word, as pairs of bytes: transformers reads no other tokenizer in this family.

    Args:
        hard: with the words of the hard scenes' sentences.
    """
    plain = Qwen3_5Tokenizer()
    core = Tokenizer(models.BPE())
    core.normalizer = normalizers.NFC()
    core.pre_tokenizer = plain.backend_tokenizer.pre_tokenizer
    core.decoder = decoders.ByteLevel()
    texts = [*words(hard), *"0123456789", "seconds"]
    texts = [form for text in texts for form in (text, f" {text}", text.capitalize())]
    # Merged until each word is one token.
    trainer = trainers.BpeTrainer(
        vocab_size=20_000, min_frequency=0, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    core.train_from_iterator(texts, trainer)
    model = json.loads(core.to_str())["model"]
    special = ["[UNK]", *SPECIAL]
    known = {token: at for at, token in enumerate([*special, *model["vocab"]])}
    tokenizer = Qwen3_5Tokenizer(
        vocab=known, merges=[tuple(pair) for pair in model["merges"]], unk_token="[UNK]",
        pad_token="<|endoftext|>", eos_token="<|im_end|>", model_max_length=2048,
        additional_special_tokens=list(SPECIAL),
    )  # fmt: skip
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def spelled(word: str) -> str:
    """The token of a word that follows a space."""
    return f"\u0120{word}"


def build_model(
    tokenizer: PreTrainedTokenizerFast, hidden: int = 128, vision: int = 96
) -> Qwen3_5ForConditionalGeneration:
    """A `Qwen3_5ForConditionalGeneration` of the size of the embedded model, at random weights."""

    def token(name: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(name))

    head = hidden // 4
    config = Qwen3_5Config(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": hidden,
            "intermediate_size": 3 * hidden,
            "num_hidden_layers": len(LAYER_TYPES),
            "layer_types": list(LAYER_TYPES),
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "head_dim": head,
            "linear_num_key_heads": 4,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": head,
            "linear_value_head_dim": head,
            "max_position_embeddings": 2048,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 1.0,
                "mrope_interleaved": True,
                "mrope_section": [6, 5, 5],
            },
            "bos_token_id": None,
            "eos_token_id": token("<|im_end|>"),
            "pad_token_id": token("<|endoftext|>"),
        },
        vision_config={
            "depth": 3,
            "hidden_size": vision,
            "intermediate_size": 2 * vision,
            "num_heads": 4,
            "out_hidden_size": hidden,
            "patch_size": PATCH,
            "temporal_patch_size": PAIR,
            "spatial_merge_size": MERGE,
            "num_position_embeddings": 256,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
    )
    config.stvg_attention_layers = list(ATTENTION_LAYERS)
    model = Qwen3_5ForConditionalGeneration(config)
    embedding = model.model.visual.patch_embed
    embedding.proj = PatchProduct(embedding.proj)
    model.get_decoder().config._attn_implementation = "eager"  # its weights are in the losses
    return model


def prompt(
    tokenizer: Any, model: Any, slots: int, rng: np.random.Generator | None
) -> tuple[Tensor, Tensor, int]:
    """Ids `(P,)` and positions `(3, P)` of system and video, and the position that follows.

    Args:
        tokenizer: of the model.
        model: the model.
        slots: S.
        rng: draws the time between the frames; None for one that is usual in scenes.
    """
    step = 0.6 if rng is None else rng.uniform(*SECONDS)
    frames = slots * PAIR
    times = tuple(float(at * step) for at in range(frames))
    grid = (slots, ROWS, COLUMNS)
    visual = VisualTokens(
        torch.empty(slots * ROWS * COLUMNS, 0), grid, slots_of(frames, PAIR), times_s=times
    )
    ids = Prompt(tokenizer, "the model in training").prefix_ids(layout(tokenizer, model, visual))
    at, following = positions(model, ids, visual)
    return ids[0], at[:, 0], following


def encode(model: Any, patches: Tensor) -> Tensor:
    """Vision tower over slots, `(N, h * w, D)`; no attention between slots."""
    tower = model.model.visual
    tower.config._attn_implementation = _SLOTS
    grid = torch.tensor([[len(patches), ROWS * MERGE, COLUMNS * MERGE]])
    output = model.model.get_video_features(patches.flatten(0, 1), grid)
    features: Tensor = torch.cat(tuple(output.pooler_output))
    return features.view(len(patches), ROWS * COLUMNS, -1)


def _within_slots(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    cu_seq_lens_q: Tensor,
    **rest: Any,
) -> tuple[Tensor, None]:
    """Attention of slots of equal length in a row `(1, H, N, d)`; as `attended`."""
    slots = len(cu_seq_lens_q) - 1
    heads = [each[0].unflatten(1, (slots, -1)).transpose(0, 1) for each in (query, key, value)]
    return attended(*heads).transpose(1, 2).flatten(0, 1)[None], None


AttentionInterface.register(_SLOTS, _within_slots)


def run(
    model: Any,
    visual: Tensor,
    ids: Tensor,
    prefix_at: Tensor,
    following: int,
    questions: Tensor,
    attention_layers: tuple[int, ...],
) -> PackedOutput:
    """Runs B prefixes and Q questions on copies of the states of each.

    Args:
        model: the model with the weights.
        visual: `(B, S, h * w, D)`.
        ids: see `prompt`.
        prefix_at: see `prompt`.
        following: see `prompt`.
        questions: `(B, Q, L)` ids, padded at the right.
        attention_layers: layers whose attention is returned, counted from 0.
    """
    text = model.get_decoder()
    clips, (count, length) = len(visual), questions.shape[1:]
    visual = visual.flatten(1, 2)
    seen = (ids == model.config.video_token_id).nonzero()[:, 0]
    embedded = text.embed_tokens(ids).expand(clips, -1, -1)
    x = embedded.index_copy(1, seen, visual.to(embedded.dtype))  # (B, P, D)
    y = text.embed_tokens(questions.flatten(0, 1))  # (B * Q, L, D)
    after = torch.arange(following, following + length).expand(3, 1, -1)
    ropes = text.rotary_emb(x, prefix_at[:, None]), text.rotary_emb(y, after)
    past = torch.full((len(ids), len(ids)), float("-inf")).triu(1)[None, None]
    future = torch.full((length, length), float("-inf")).triu(1)
    future = torch.cat([future.new_zeros(length, len(ids)), future], dim=1)[None, None]
    middle, maps = x, []
    for index, layer in enumerate(text.layers):
        before = OneLayer(None)
        x, _ = _through(layer, x, ropes[0], past, before)
        assert before.added is not None
        shared = OneLayer(repeated(before.added, count))
        y, weights = _through(layer, y, ropes[1], future, shared)
        if index in attention_layers:
            maps.append(weights[..., seen].mean(1).view(clips, count, length, -1))
        if index == len(text.layers) // 2 - 1:
            middle = x
    logits = model.lm_head(text.norm(y)).view(clips, count, length, -1)
    return PackedOutput(logits, visual, middle[:, seen], torch.stack(maps), None)


def _through(
    layer: Any, x: Tensor, rope: tuple[Tensor, Tensor], mask: Tensor, cache: OneLayer
) -> tuple[Tensor, Tensor]:
    """The output of a layer, and its attention `(n, H, L, keys)` if it attends."""
    weights = x.new_empty(0)
    y = layer.input_layernorm(x)
    if layer.block_type == "full_attention":
        y, weights = layer.self_attn(
            y,
            position_embeddings=rope,
            attention_mask=mask,
            **named_cache(layer.self_attn, cache),
        )
    else:
        y = layer.linear_attn(y, cache_params=cache)
    x = x + y
    return x + layer.mlp(layer.post_attention_layernorm(x)), weights
