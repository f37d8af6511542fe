"""Adapters from transformers video models to the `Mllm` protocol, one file a family."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stvg_ros.config import AttentionConfig, ModelConfig
    from stvg_ros.core.interfaces import Mllm


def load_mllm(model: ModelConfig, attention: AttentionConfig) -> Mllm:
    """See `stvg_ros.mllm.loading.load_mllm`; transformers is imported here, not before."""
    from stvg_ros.mllm.loading import load_mllm as load

    return load(model, attention)
