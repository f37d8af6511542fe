# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""Adapters from transformers video models to the `Mllm` protocol, one file a family."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stvg_ros.config import AttentionConfig, ModelConfig
    from stvg_ros.core.interfaces import Mllm


def load_mllm(model: ModelConfig, attention: AttentionConfig) -> Mllm:
    """Loads a checkpoint: frozen, on its device, ready to be asked.

    Raises:
        ModelError: the checkpoint is absent, incomplete, damaged, or of no known family.
        ConfigError: a setting that does not fit the checkpoint or the machine.
    """
    from stvg_ros.mllm.hf_common import HfMllm
    from stvg_ros.mllm.loading import load

    return HfMllm(load(model), attention, model.gradient_checkpointing, model.batch_passes)


def load_untrained(model: ModelConfig, attention: AttentionConfig, seed: int) -> Mllm:
    """The checkpoint's model at random weights; see `load_mllm`."""
    from stvg_ros.mllm.hf_common import HfMllm
    from stvg_ros.mllm.loading import load, untrained

    fresh = untrained(load(model), seed)
    return HfMllm(fresh, attention, model.gradient_checkpointing, model.batch_passes)
