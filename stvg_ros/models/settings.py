# SPDX-License-Identifier: Apache-2.0

"""Settings of the multimodal language model."""

from __future__ import annotations

from dataclasses import dataclass

from stvg_ros.setting import Group, setting


@dataclass(frozen=True)
class ModelConfig(Group):
    """The multimodal language model."""

    group_name = "model"
    path: str = setting(
        "embedded", "local folder, hub id, or 'embedded' for the model in the package"
    )
    device: str = setting(
        "auto",
        "'auto', 'cpu', 'cuda', 'cuda:1', ...; 'balanced' spreads the layers of a model in full "
        "precision over all GPUs",
    )
    dtype: str = setting(
        "auto",
        "precision of the weights; auto is bfloat16 on a GPU and float32 on a CPU",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    quantization: str = setting(
        "none", "weights in 4 or 8 bits (needs bitsandbytes)", choices=("none", "4bit", "8bit")
    )
    gradient_checkpointing: bool = setting(
        False,
        "always recompute activations in re-attention: slower, less memory; if false, only when "
        "they do not fit the free memory of the GPU",
    )
    batch_passes: int | None = setting(
        None,
        "passes over the video that share a batch after tuning; 0 is as many as fit the free "
        "memory of the GPU, and one on a CPU",
        sentinel=0,
        minimum=1,
        maximum=16,
    )
