# SPDX-License-Identifier: Apache-2.0

"""Tries a loaded model on one slot, so that files that do not fit are refused while loading."""

from __future__ import annotations

import numpy as np
import torch

from stvg_ros.checkpoints.files import first_line
from stvg_ros.errors import ModelError
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.chat_template import QUESTION
from stvg_ros.models.hf_common import HfMllm

SIDE_PX = 64


def check_prompt(mllm: HfMllm) -> None:
    """Encodes one slot of grey images, and writes its prompt.

    Raises:
        ModelError: the numbers of the images, the tokenizer or the chat template do not fit the
            model.
    """
    path, visual = mllm.checkpoint.path, _encoded(mllm)
    if not torch.isfinite(visual.features).all():
        raise ModelError(
            f"{path}: the vision tower gives NaN or infinity for a grey image; expected the image "
            "processor's numbers of the release and weights in the range of model.dtype"
        )
    try:
        layout = mllm.inputs([(visual, None)]).layout
    except (AttributeError, TypeError) as error:
        raise ModelError(
            f"{path}: the tokenizer lacks a token that the model's prompt needs "
            f"({first_line(error)}); expected the tokens that config.json and "
            "tokenizer_config.json of the release name; download both files again"
        ) from error
    mllm.prompt.suffix(layout, QUESTION)


def _encoded(mllm: HfMllm) -> VisualTokens:
    """Raises: ModelError."""
    grey = np.full((SIDE_PX, SIDE_PX, 3), 128, np.uint8)
    try:
        return mllm.encode([grey] * mllm.frames_per_slot)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(
            f"{mllm.checkpoint.path}: the numbers of its image processor do not fit the vision "
            f"tower ({first_line(error)}); expected patch_size, temporal_patch_size, merge_size "
            "and size of the release; download preprocessor_config.json again"
        ) from error
