# SPDX-License-Identifier: Apache-2.0

"""The families that the model of rendered scenes is built and trained in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stvg_lab.training import embedded_model, packed_questions, recurrent_model, vocabulary
from stvg_lab.training.packed_questions import PackedOutput


@dataclass(frozen=True)
class Architecture:
    """What training and evaluation need of a family.

    Attributes:
        build_tokenizer: makes its tokenizer, with the words of hard scenes or without.
        build_model: makes the model for a tokenizer, at random weights.
        prompt: maps tokenizer, model, number of slots and a generator, or None, to what stands
            between visual tokens and questions in the arguments of `run`.
        encode: runs the vision tower, see `packed_questions.encode`.
        run: runs the questions on the videos, see `packed_questions.run`.
        attention_layers: the band whose prompt rows are trained to ground.
        attending_layers: all layers that attend.
        spelled: maps a word inside a sentence to its token.
        preprocessor: preprocessor_config.json.
        settings: stvg.json.
    """

    build_tokenizer: Callable[[bool], Any]
    build_model: Callable[[Any], Any]
    prompt: Callable[..., tuple[Any, ...]]
    encode: Callable[..., Any]
    run: Callable[..., PackedOutput]
    attention_layers: tuple[int, ...]
    attending_layers: tuple[int, ...]
    spelled: Callable[[str], str]
    preprocessor: Mapping[str, object]
    settings: Mapping[str, object]


ARCHITECTURES = {  # model_type of config.json
    "qwen2_vl": Architecture(
        vocabulary.build_tokenizer,
        embedded_model.build_model,
        embedded_model.prompt,
        packed_questions.encode,
        packed_questions.run,
        embedded_model.ATTENTION_LAYERS,
        tuple(range(embedded_model.LAYERS)),
        str,
        embedded_model.PREPROCESSOR,
        embedded_model.SETTINGS,
    ),
    "qwen3_5": Architecture(
        recurrent_model.build_tokenizer,
        recurrent_model.build_model,
        recurrent_model.prompt,
        recurrent_model.encode,
        recurrent_model.run,
        recurrent_model.ATTENTION_LAYERS,
        recurrent_model.ATTENTION_LAYERS,
        recurrent_model.spelled,
        recurrent_model.PREPROCESSOR,
        recurrent_model.SETTINGS,
    ),
}
