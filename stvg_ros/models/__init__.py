# SPDX-License-Identifier: Apache-2.0

"""Adapters from transformers video models to the `Mllm` protocol, one file a family."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stvg_ros.method.interfaces import Mllm
    from stvg_ros.method.settings import AttentionConfig
    from stvg_ros.models.settings import ModelConfig


def load_mllm(model: ModelConfig, attention: AttentionConfig) -> Mllm:
    """Loads a checkpoint: frozen, on its device, ready for inference.

    Raises:
        ModelError: the checkpoint is absent, incomplete, damaged, or of an unknown family.
        ConfigError: a setting that does not fit the checkpoint or the machine.
    """
    from stvg_ros.models.hf_common import HfMllm
    from stvg_ros.models.loading import load
    from stvg_ros.models.prompt_check import check_prompt

    mllm = HfMllm(load(model), attention, model.gradient_checkpointing, model.batch_passes)
    check_prompt(mllm)
    return mllm


def load_untrained(model: ModelConfig, attention: AttentionConfig, seed: int) -> Mllm:
    """The checkpoint's model with random weights; see `load_mllm`."""
    from stvg_ros.models.hf_common import HfMllm
    from stvg_ros.models.loading import load, untrained

    fresh = untrained(load(model), seed)
    return HfMllm(fresh, attention, model.gradient_checkpointing, model.batch_passes)
