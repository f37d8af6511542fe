# SPDX-License-Identifier: Apache-2.0

"""What a model that was trained on rendered scenes does not know: words, and other pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stvg_ros.method.interfaces import ModelLimits
from stvg_ros.method.rendered_pictures import looks_rendered

OTHER_PICTURES = (
    "the embedded model knows rendered scenes only, and these pictures are not rendered; name a "
    "model with model.path (--model), such as Qwen/Qwen2.5-VL-7B-Instruct"
)


def unknown_words(tokenizer: Any, texts: Sequence[str]) -> tuple[str, ...]:
    """The words that a tokenizer maps to its unknown token, in order, each once."""
    if tokenizer.unk_token_id is None:
        return ()
    found = (word.lower() for text in texts for word in re.findall(r"\w+(?:['\u2019]\w+)*", text))
    # Of "who's" and "man's" the first part counts; "isn't" is no word of a description.
    negated = ("'t", "\u2019t")
    words = dict.fromkeys(
        re.split("['\u2019]", word)[0] for word in found if not word.endswith(negated)
    )
    return tuple(
        word
        for word in words
        if tokenizer.unk_token_id in tokenizer(word, add_special_tokens=False).input_ids
    )


def limits_of(tokenizer: Any, texts: Sequence[str], image: NDArray[np.uint8]) -> ModelLimits:
    """What limits the embedded model's answer to these texts about pictures like `image`."""
    sentences = []
    words = unknown_words(tokenizer, texts)
    if words:
        sentences.append(f"the embedded model does not know: {', '.join(words)}")
    rendered = looks_rendered(image)
    if not rendered:
        sentences.append(OTHER_PICTURES)
    return ModelLimits(tuple(sentences), rendered, words)
