# SPDX-License-Identifier: Apache-2.0

"""Estimates of the memory of passes through a language model, from its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from stvg_ros.models.architectures import is_recurrent


def graph_bytes(config: Any, tokens: int, itemsize: int) -> int:
    """Bytes that a pass keeps for its backward pass without recomputation.

    Args:
        config: of the language model.
        tokens: number of tokens of the pass.
        itemsize: bytes of one value in the precision of the weights.
    """
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = config.num_attention_heads + config.num_key_value_heads
    # Per layer: queries, keys, values and attention output; the MLP's two halves and the
    # activation of the first; the inputs of two norms in float32.
    attention = 2 * heads * size * itemsize
    rest = 3 * _mlp_width(config) * itemsize + 2 * 4 * config.hidden_size
    mixing = config.num_hidden_layers * attention
    if is_recurrent(config):
        count = sum(config.layer_types.count(kind) for kind in ("linear_attention", "conv"))
        mixing += count * (_recurrent_bytes(config, itemsize) - attention)
    return int(tokens * (mixing + config.num_hidden_layers * rest))


def pass_bytes(config: Any, layers: int, tokens: int, itemsize: int) -> float:
    """Bytes of a pass without a gradient through the first `layers` layers."""
    # Keys and values of all layers are kept; a layer needs its states and the MLP's two halves.
    values = 2 * layers * config.hidden_size + 8 * config.hidden_size + 3 * _mlp_width(config)
    working = _recurrent_bytes(config, itemsize) if is_recurrent(config) else 0
    return float(1.5 * tokens * (values * itemsize + working))


def free_bytes(layers: Sequence[torch.device]) -> float:
    """Memory for passes, in bytes; infinite on a CPU.

    Args:
        layers: device of each layer. Of several, the one that a pass fills first decides.
    """
    if layers[0].type != "cuda":
        return float("inf")
    return min(_free(device) * len(layers) / layers.count(device) for device in set(layers))


def _free(device: torch.device) -> int:
    free = torch.cuda.mem_get_info(device)[0]
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def _mlp_width(config: Any) -> int:
    """Width of the MLP, or of all experts that a token passes."""
    width = getattr(config, "intermediate_size", None)
    if width is None:
        chosen = config.num_experts_per_tok * config.moe_intermediate_size
        width = chosen + config.shared_expert_intermediate_size
    return int(width)


def _recurrent_bytes(config: Any, itemsize: int) -> int:
    """Bytes of a token in a recurrent layer, by the library's implementation in PyTorch.

    Queries, keys, values and their products with gates in float32, and maps of 64 x 64 tokens. Of a
    convolution: two gates and its input, and three products of them.
    """
    if "conv" in config.layer_types:
        return int(6 * config.hidden_size * itemsize)
    width = config.linear_num_value_heads * config.linear_value_head_dim
    maps = 4 * 64 * config.linear_num_value_heads
    return int(12 * 4 * width + 13 * itemsize * width + 4 * maps)
