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
        "embedded", "a local folder, a hub id, or 'embedded' for the model in the package"
    )
    device: str = setting("auto", "'auto', 'cpu', 'cuda', 'cuda:1', ...")
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
        "recompute activations in re-attention always: slower, less memory; without it, only where "
        "a GPU's free memory could not keep them",
    )
    batch_passes: int | None = setting(
        None,
        "passes over the video that share a batch after tuning; 0 takes as many as a GPU's free "
        "memory allows, and one at a time on a CPU",
        sentinel=0,
        minimum=1,
        maximum=16,
    )
