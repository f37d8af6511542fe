# SPDX-License-Identifier: Apache-2.0

"""What the embedded model does not know: words, and pictures that are not rendered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_ros.method.interfaces import ModelLimits

WIDTH_PX = 160  # the share of flat pixels is measured at this width
STEP = 4.0  # grey levels, of 256, below which two neighbouring pixels are flat
# Rendered pictures have a flat share of 0.91 or more, also as JPEG; photographs have 0.86 or less
# (OpenCV's sample pictures), frames of a surveillance camera 0.5.
FLAT_SHARE = 0.885

OTHER_PICTURES = (
    "the embedded model knows rendered scenes only, and these pictures are not rendered: found or "
    "not found is no more than a guess; name a model with model.path (--model), such as "
    "Qwen/Qwen2.5-VL-7B-Instruct"
)


def flat_share(image: NDArray[np.uint8]) -> float:
    """Share of neighbouring pixels of an RGB image `(h, w, 3)` that are about equally bright."""
    height, width = image.shape[:2]
    size = WIDTH_PX, max(2, round(height * WIDTH_PX / width))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32).mean(axis=2)
    steps = np.concatenate([np.diff(small, axis=axis).ravel() for axis in (0, 1)])
    return float((np.abs(steps) < STEP).mean())


def looks_rendered(images: Sequence[NDArray[np.uint8]]) -> bool:
    """Whether pictures `(h, w, 3)` are as flat as those that this package renders.

    A simple measure: photographs with little in them, such as those of a blank wall, pass as well.
    """
    return bool(np.median([flat_share(image) for image in images]) >= FLAT_SHARE)


def unknown_words(tokenizer: Any, texts: Sequence[str]) -> tuple[str, ...]:
    """The words that a tokenizer maps to its unknown token, in order, each once."""
    if tokenizer.unk_token_id is None:
        return ()
    words = dict.fromkeys(word.lower() for text in texts for word in re.findall(r"\w+", text))
    return tuple(
        word
        for word in words
        if tokenizer.unk_token_id in tokenizer(word, add_special_tokens=False).input_ids
    )


def limits(
    tokenizer: Any, texts: Sequence[str], images: Sequence[NDArray[np.uint8]]
) -> ModelLimits:
    """What limits the embedded model's answer to questions about pictures."""
    sentences = []
    words = unknown_words(tokenizer, texts)
    if words:
        sentences.append(f"the embedded model does not know: {', '.join(words)}")
    rendered = looks_rendered(images)
    if not rendered:
        sentences.append(OTHER_PICTURES)
    return ModelLimits(tuple(sentences), rendered)
