# SPDX-License-Identifier: Apache-2.0

"""Many questions about one video in one pass: the arithmetic of the library's model, batched.

Dimensions: B videos, S slots, h x w visual tokens per slot, M = S * h * w, P prefix tokens,
Q questions of L tokens (padded), H heads, D hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import Qwen2VLForConditionalGeneration
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLDecoderLayer

PATCH, PAIR, MERGE = 8, 2, 2
ROWS, COLUMNS = 6, 8
HEIGHT, WIDTH = ROWS * PATCH * MERGE, COLUMNS * PATCH * MERGE


@dataclass(frozen=True)
class PackedOutput:
    """The inputs of the losses.

    Attributes:
        logits: `(B, Q, L, vocabulary)`.
        visual: `(B, M, D)` the visual tokens.
        middle: `(B, M, D)` hidden states of the visual tokens halfway through the layers.
        attention: `(layers, B, Q, L, M)` mean over heads, for each requested layer.
        words: `(B, Q, L, L)` a question's attention to its own tokens, mean over the heads of the
            layer before the upper half; None if that layer is recurrent.
    """

    logits: Tensor
    visual: Tensor
    middle: Tensor
    attention: Tensor
    words: Tensor | None


def patches_of(frames: Tensor) -> Tensor:
    """`(B, T, HEIGHT, WIDTH, 3)` uint8 to `(B * S, 4 * ROWS * COLUMNS, 3 * 2 * 8 * 8)`.

    Scaled to -1..1; the order within a slot is that of Qwen2-VL's image processor.
    """
    clips, count = frames.shape[:2]
    x = frames.float() / 127.5 - 1
    x = x.reshape(clips * count // PAIR, PAIR, ROWS, MERGE, PATCH, COLUMNS, MERGE, PATCH, 3)
    x = x.permute(0, 2, 5, 3, 6, 8, 1, 4, 7)
    return x.reshape(len(x), ROWS * COLUMNS * MERGE * MERGE, -1)


def encode(model: Qwen2VLForConditionalGeneration, patches: Tensor) -> Tensor:
    """Vision tower over slots, `(N, h * w, D)`; no attention between slots."""
    tower = model.model.visual
    count, length = patches.shape[:2]
    x = tower.patch_embed(patches.reshape(count * length, -1)).view(count, length, -1)
    cos, sin = _vision_rope(model, x)
    for block in tower.blocks:
        y = block.norm1(x)
        heads = block.attn.num_heads
        q, k, v = block.attn.qkv(y).view(count, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        q, k = q * cos + _half_turned(q) * sin, k * cos + _half_turned(k) * sin
        y = attended(q, k, v)
        x = x + block.attn.proj(y.transpose(1, 2).reshape(count, length, -1))
        x = x + block.mlp(block.norm2(x))
    merged: Tensor = tower.merger(x.reshape(count * length, -1))
    return merged.view(count, length // (MERGE * MERGE), -1)


def _vision_rope(model: Qwen2VLForConditionalGeneration, x: Tensor) -> tuple[Tensor, Tensor]:
    """Rotary factors `(length, head)` in the merged order of the patches."""
    cell = torch.arange(ROWS * COLUMNS * MERGE * MERGE)
    block, inner = cell // (MERGE * MERGE), cell % (MERGE * MERGE)
    y = block // COLUMNS * MERGE + inner // MERGE
    x_ = block % COLUMNS * MERGE + inner % MERGE
    cos, sin = model.model.visual.rotary_pos_emb(x, torch.stack([y, x_], dim=-1))
    return cos, sin


def attended(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax attention in plain products: the CPU's fused kernel is slower at this size."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if mask is not None:
        scores = scores + mask.to(scores.dtype)
    return scores.softmax(-1).to(v.dtype) @ v


def _half_turned(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat([-second, first], dim=-1)


def positions(before: int, slots: int, after: int, question: int) -> tuple[Tensor, Tensor]:
    """Qwen2-VL's three-fold positions of the prefix `(3, P)` and of a question `(3, L)`."""
    head = torch.arange(before).expand(3, -1)
    t, y, x = torch.meshgrid(
        torch.arange(slots), torch.arange(ROWS), torch.arange(COLUMNS), indexing="ij"
    )
    video = torch.stack([t, y, x]).reshape(3, -1) + before
    start = before + max(ROWS, COLUMNS)
    rest = torch.arange(start, start + after + question).expand(3, -1)
    return torch.cat([head, video, rest[:, :after]], dim=1), rest[:, after:]


def run(
    model: Qwen2VLForConditionalGeneration,
    visual: Tensor,
    head_ids: Tensor,
    tail_ids: Tensor,
    questions: Tensor,
    attention_layers: tuple[int, ...],
) -> PackedOutput:
    """Runs B prefixes and Q questions on each; a question attends to its prefix and itself.

    Args:
        model: the model with the weights.
        visual: `(B, S, h * w, D)`.
        head_ids: prompt tokens before the video, `(n,)`.
        tail_ids: prompt tokens between the video and the question, `(n,)`.
        questions: `(B, Q, L)` ids, padded at the right (only padding attends to padding).
        attention_layers: layers whose attention is returned, counted from 0.
    """
    text = model.get_decoder()
    clips, slots = visual.shape[:2]
    count, length = questions.shape[1:]
    visual = visual.flatten(1, 2)
    before, tokens = len(head_ids), visual.shape[1]
    prefix_at, question_at = positions(before, slots, len(tail_ids), length)
    head = text.embed_tokens(head_ids).expand(clips, -1, -1)
    tail = text.embed_tokens(tail_ids).expand(clips, -1, -1)
    x = torch.cat([head, visual, tail], dim=1)  # (B, P, D)
    y = text.embed_tokens(questions)  # (B, Q, L, D)
    rope_x = text.rotary_emb(x, prefix_at[:, None])
    rope_y = text.rotary_emb(x, question_at[:, None])
    future = torch.full((length, length), float("-inf")).triu(1)
    past = torch.full((x.shape[1], x.shape[1]), float("-inf")).triu(1)
    middle, maps = x, []
    words = torch.empty(0)
    for index, layer in enumerate(text.layers):
        last = index == len(text.layers) - 1
        qx, kx, vx = _projected(layer, x, rope_x)
        qy, ky, vy = _projected(layer, y.flatten(0, 1), rope_y)  # (B * Q, H, L, d)
        attention = layer.self_attn
        heads, size = attention.num_heads, attention.head_dim
        grouped = qy.view(clips, count, heads, length, size).transpose(1, 2)
        far = torch.einsum("bhqld,bhpd->bhqlp", grouped, kx)
        own = (qy @ ky.transpose(-1, -2)).view(clips, count, heads, length, length).transpose(1, 2)
        scores = torch.cat([far * size**-0.5, own * size**-0.5 + future], dim=-1)
        weights = scores.softmax(-1)
        if index in attention_layers:
            maps.append(weights[..., before : before + tokens].mean(1))
        y = y + attention.o_proj(_mixed(weights, vx, vy))
        y = y + layer.mlp(layer.post_attention_layernorm(y))
        if not last:
            seen = attended(qx, kx, vx, past)
            x = x + attention.o_proj(seen.transpose(1, 2).reshape(clips, x.shape[1], -1))
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        if index == len(text.layers) // 2 - 1:
            middle, words = x, weights[..., x.shape[1] :].mean(1)
    logits = model.lm_head(text.norm(y))
    return PackedOutput(
        logits, visual, middle[:, before : before + tokens], torch.stack(maps), words
    )


def _mixed(weights: Tensor, prefix_values: Tensor, question_values: Tensor) -> Tensor:
    """Values of the prefix `(B, H, P, d)` and of the questions `(B * Q, H, L, d)`, mixed by
    `weights` `(B, H, Q, L, P + L)` to `(B, Q, L, H * d)`.
    """
    clips, heads, count, length = weights.shape[:4]
    parts = weights.split((prefix_values.shape[2], length), dim=-1)
    mixed = torch.einsum("bhqlp,bhpd->bqlhd", parts[0], prefix_values)
    own = question_values.view(clips, count, heads, length, -1)
    mixed = mixed + torch.einsum("bhqlk,bqhkd->bqlhd", parts[1], own)
    return mixed.reshape(clips, count, length, -1)


def _projected(
    layer: Qwen2VLDecoderLayer, x: Tensor, rope: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Rotated queries and keys, and values, each `(N, H, length, d)`."""
    attention = layer.self_attn
    x = layer.input_layernorm(x)
    shape = (*x.shape[:2], -1, attention.head_dim)
    q, k, v = (
        projection(x).view(shape).transpose(1, 2)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    cos, sin = rope[0].unsqueeze(1), rope[1].unsqueeze(1)
    return q * cos + _half_turned(q) * sin, k * cos + _half_turned(k) * sin, v
