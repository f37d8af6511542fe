# SPDX-License-Identifier: Apache-2.0

"""SmolVLM2: a time stamp before each frame, one slot a frame, a square grid."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.family import Family, Layout
from stvg_ros.models.frame_times import begin_times
from stvg_ros.models.llava_onevision import CHUNK, positions
from stvg_ros.models.preprocess import Images, common_size, normalised, slots_of, stretched

FRAMES_PER_SECOND = 1.0  # of frames without times, as in the model's own sampling
_TO_NINETEEN = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def frame_size(preprocessing: ImagePreprocessing, height: int, width: int) -> tuple[int, int]:
    """`(height, width)` px of a frame before it is stretched to the tower's square."""
    longest = preprocessing.size.get("longest_edge", max(height, width))
    if width >= height:
        return _even(longest / (width / height)), longest
    return longest, _even(longest * (width / height))


def pixels_of(preprocessing: ImagePreprocessing, images: Images, side: int) -> Tensor:
    """`(T, 3, side, side)` float32: resized twice, as the library does."""
    small = stretched(images, *frame_size(preprocessing, *common_size(images)), preprocessing)
    return normalised(list(small.numpy()), side, side, preprocessing)


def encode(
    model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
) -> VisualTokens:
    """T frames to T slots, pixel-shuffled by `scale_factor`."""
    vision = model.config.vision_config
    size = preprocessing.tile or vision.image_size
    side = size // vision.patch_size // model.config.scale_factor
    features = []
    for start in range(0, len(images), CHUNK):
        pixels = pixels_of(preprocessing, images[start : start + CHUNK], size)
        features += model.model.get_image_features(pixels[None].to(model.device)).pooler_output
    return VisualTokens(torch.cat(features), (len(images), side, side), slots_of(len(images), 1))


def layout(tokenizer: Any, model: Any, visual: VisualTokens) -> Layout:
    """A sentence with the number of frames, then `Frame from 00:01:` and the tokens of each."""
    token_id = model.config.image_token_id
    run = tokenizer.convert_ids_to_tokens(token_id) * visual.slot_size
    border = getattr(tokenizer, "fake_image_token", "<fake_token_around_image>")
    image = f"{border}{getattr(tokenizer, 'global_image_token', '<global-img>')}{run}{border}"
    times = begin_times(visual, FRAMES_PER_SECOND)
    intro = (
        f"You are provided the following series of {number_words(len(times))} frames from a "
        f"{timedelta(seconds=int(times[-1]))} [H:MM:SS] video.\n"
    )
    frames = (f"\nFrame from {int(t // 60):02d}:{int(t % 60):02d}:{image}" for t in times)
    placeholder = getattr(tokenizer, "video_token", "<video>")
    return Layout(placeholder, intro + "".join(frames), token_id, after="\n\n")


def number_words(number: int) -> str:
    """A whole number below a thousand in words, as `twenty-one` and `one hundred and five`."""
    hundreds, rest = divmod(number, 100)
    if rest < len(_TO_NINETEEN):
        words = _TO_NINETEEN[rest]
    else:
        tens, ones = divmod(rest, 10)
        words = _TENS[tens - 2] + (f"-{_TO_NINETEEN[ones]}" if ones else "")
    if not hundreds:
        return words
    return f"{_TO_NINETEEN[hundreds]} hundred" + (f" and {words}" if rest else "")


def _even(length: float) -> int:
    """The whole part, made even upwards."""
    return max(1, math.floor(length) + math.floor(length) % 2)


FAMILY = Family(encode, layout, positions, template=DEFAULT_CHAT_TEMPLATE)
