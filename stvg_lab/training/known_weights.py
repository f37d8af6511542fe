# SPDX-License-Identifier: Apache-2.0

"""Weights of trained models, put into a model in training.

The tower of the model in the package is frozen; all weights of another checkpoint are a start.
The towers of Qwen2-VL and Qwen3.5 compute the same but for the names of their weights, a bias of
the patches, learned positions, and the activation.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, Qwen2VLForConditionalGeneration
from transformers.activations import ACT2FN

from stvg_ros.models.embedded_checkpoint import FOLDER

ACTIVATION = "quick_gelu"
_NAMES = (  # of Qwen2-VL, of Qwen3.5
    ("mlp.fc", "mlp.linear_fc"),
    ("merger.ln_q", "merger.norm"),
    ("merger.mlp.0", "merger.linear_fc1"),
    ("merger.mlp.2", "merger.linear_fc2"),
)
_PREFIX = "visual."
_LOOKING = re.compile(r"language_model\..*\.[qk]_proj\.")


def copy_tower(model: Any) -> None:
    """Gives a model the tower, frozen. What the package's tower does not have becomes zero."""
    tower = model.model.visual
    own = tower.state_dict()
    weights = {name: torch.zeros_like(value) for name, value in own.items()}
    for name, value in load_file(FOLDER / "model.safetensors").items():
        if name.startswith(_PREFIX):
            target = name.removeprefix(_PREFIX)
            if target not in own:
                for theirs, ours in _NAMES:
                    target = target.replace(theirs, ours)
            weights[target] = value
    tower.load_state_dict(weights)
    tower.requires_grad_(False)
    model.config.vision_config.hidden_act = ACTIVATION
    for block in tower.blocks:
        name = "act" if hasattr(block.mlp, "act") else "act_fn"
        setattr(block.mlp, name, ACT2FN[ACTIVATION])


def copy_weights(model: Any, tokenizer: Any, folder: Path, attention: bool = True) -> None:
    """Gives a model of the family Qwen2-VL the weights of a checkpoint of the same size.

    Words are found by their spelling; those that the checkpoint does not know keep their weights.

    Args:
        model: changed.
        tokenizer: its words.
        folder: of the checkpoint.
        attention: whether the queries and keys of the language model are copied as well.

    Raises:
        ValueError: weights of other shapes.
    """
    theirs = Qwen2VLForConditionalGeneration.from_pretrained(folder)
    known = AutoTokenizer.from_pretrained(folder).get_vocab()
    shared = [(at, known[word]) for word, at in tokenizer.get_vocab().items() if word in known]
    ours, others = torch.tensor(shared).T
    own = model.state_dict()
    for name, value in theirs.state_dict().items():
        if not attention and _LOOKING.search(name):
            continue
        target = own[name]
        if name.endswith(("embed_tokens.weight", "lm_head.weight")):
            target[ours] = value[others]
        elif target.shape == value.shape:
            target.copy_(value)
        else:
            raise ValueError(
                f"{folder}: expected {name} of shape {tuple(target.shape)}, "
                f"got {tuple(value.shape)}; start from a checkpoint of this size"
            )
