# SPDX-License-Identifier: Apache-2.0

"""What autograd keeps of a forward pass, without computing it (device meta)."""

from __future__ import annotations

from typing import Any

import torch


def saved_bytes(model: Any, tokens: int, masks: dict[str, None]) -> int:
    """Bytes that a pass over T tokens saves for the backward pass, weights apart.

    Args:
        model: on the device meta, of width `config.hidden_size`.
        tokens: T.
        masks: the mask of each kind of layer.
    """
    weights = {each.untyped_storage()._cdata for each in model.parameters()}
    found: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        found[tensor.untyped_storage()._cdata] = tensor
        return tensor

    shape = 1, tokens, model.config.hidden_size
    hidden = torch.empty(shape, dtype=model.dtype, device="meta", requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(
            inputs_embeds=hidden,
            position_ids=torch.zeros(1, tokens, dtype=torch.long, device="meta"),
            attention_mask=masks,
        )
    sizes = {key: each.untyped_storage().nbytes() for key, each in found.items()}
    return sum(size for key, size in sizes.items() if key not in weights)
