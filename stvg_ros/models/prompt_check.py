# SPDX-License-Identifier: Apache-2.0

"""Tries the prompt of a loaded model, so that files that do not fit are refused while loading."""

from __future__ import annotations

import torch

from stvg_ros.checkpoints.files import first_line
from stvg_ros.errors import ModelError
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.chat_template import QUESTION
from stvg_ros.models.hf_common import HfMllm


def check_prompt(mllm: HfMllm) -> None:
    """Writes the prompt of one slot of 2 x 2 visual tokens.

    Raises:
        ModelError: the chat template or the tokenizer does not fit the model.
    """
    checkpoint = mllm.checkpoint
    size = checkpoint.model.get_decoder().config.hidden_size
    features = torch.zeros(4, size, device=checkpoint.model.device)
    visual = VisualTokens(features, (1, 2, 2), (tuple(range(mllm.frames_per_slot)),))
    try:
        layout = mllm.inputs([(visual, None)]).layout
    except (AttributeError, TypeError) as error:
        raise ModelError(
            f"{checkpoint.path}: the tokenizer lacks a token that the model's prompt needs "
            f"({first_line(error)}); expected the tokens that config.json and "
            "tokenizer_config.json of the release name; download both files again"
        ) from error
    mllm.prompt.suffix(layout, QUESTION)
