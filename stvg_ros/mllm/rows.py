"""Attention rows beside fused attention (method, section 7): R x N values are computed, not N x N."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "stvg_rows"


@dataclass(eq=False)
class Recorder:
    """Sums attention rows over heads and a band of layers.

    Attributes:
        rows: `(R,)` positions of the wanted queries in the tokens that run now.
        columns: `(M,)` positions of the wanted keys, the visual tokens.
        first_layer: the band's first layer.
        last_layer: the band's last layer, included.
        total: `(R, M)` float32, sum over the band of the mean over heads.
        layers: how many layers were summed.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    first_layer: int
    last_layer: int
    total: torch.Tensor | None = None
    layers: int = 0

    def mean(self) -> torch.Tensor:
        """`(R, M)` average over heads and layers.

        Raises:
            RuntimeError: no layer of the band ran.
        """
        if self.total is None:
            raise RuntimeError(
                f"no attention layer from {self.first_layer} to {self.last_layer} was recorded"
            )
        return self.total / self.layers


_RECORDER: ContextVar[Recorder | None] = ContextVar("stvg_ros_rows", default=None)


@contextmanager
def recording(recorder: Recorder) -> Iterator[Recorder]:
    """Records the rows of every attention layer of the band that runs inside."""
    token = _RECORDER.set(recorder)
    try:
        yield recorder
    finally:
        _RECORDER.reset(token)


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """SDPA for the output; softmax of the recorded rows alone on the side, without gradient."""
    recorder = _RECORDER.get()
    layer = int(getattr(module, "layer_idx", -1) or 0)
    if recorder is not None and recorder.first_layer <= layer <= recorder.last_layer:
        with torch.no_grad():
            _record(recorder, query, key, attention_mask, kwargs.get("scaling"))
    output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    return output, None


def _record(
    recorder: Recorder,
    query: torch.Tensor,
    key: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
) -> None:
    """Adds one layer: query `(1, H, Q, d)`, key `(1, H_kv, K, d)`, mask `(1, 1, Q, K)` or None."""
    heads, kv_heads, width = query.shape[1], key.shape[1], query.shape[3]
    wanted = query[0, :, recorder.rows].float().reshape(kv_heads, heads // kv_heads, -1, width)
    scores = torch.einsum("ghrd,gkd->ghrk", wanted, key[0].float())
    scores *= width**-0.5 if scaling is None else scaling
    if mask is None:
        past = key.shape[2] - query.shape[2]
        allowed = torch.arange(key.shape[2], device=key.device) <= recorder.rows[:, None] + past
        scores = scores.masked_fill(~allowed, float("-inf"))
    elif mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask[0, 0, recorder.rows], float("-inf"))
    else:
        scores = scores + mask[0, 0, recorder.rows].float()
    layer = scores.softmax(-1)[..., recorder.columns].mean((0, 1))
    recorder.total = layer if recorder.total is None else recorder.total + layer
    recorder.layers += 1


def register() -> None:
    """Makes `attn_implementation="stvg_rows"` known to transformers; repeating it is harmless."""
    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
