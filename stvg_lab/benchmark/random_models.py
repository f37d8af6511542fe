# SPDX-License-Identifier: Apache-2.0

"""Models with the shapes of released ones and random weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import AutoTokenizer

from stvg_ros.checkpoints.image_preprocessing import CLIP_MEAN, CLIP_STD, ImagePreprocessing
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models.embedded_checkpoint import FOLDER
from stvg_ros.models.family import LoadedCheckpoint
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.loading import frozen
from stvg_ros.models.qwen2_vl import FAMILY
from stvg_ros.models.qwen3_vl import FAMILY as DEEP_FAMILY

PATCH, MERGE = 14, 2
CELL_PX = PATCH * MERGE  # one visual token of all but Qwen3-VL
# Pixels of all frames of a video, by Qwen3-VL's video_preprocessor_config.json.
VIDEO_BOUNDS = {"shortest_edge": 4096, "longest_edge": 25_165_824}


@dataclass(frozen=True)
class Shape:
    """Dimensions of a language model, in the order of a config.json."""

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_heads: int
    tied: bool = True  # embeddings and lm_head share weights
    head_size: int = 0  # 0 is hidden / heads


@dataclass(frozen=True)
class Tower:
    """Dimensions of a vision tower; `windows` as in Qwen2.5-VL, `deep` layers as in Qwen3-VL."""

    depth: int
    width: int
    heads: int
    intermediate: int
    windows: bool = False
    deep: tuple[int, ...] = ()

    @property
    def patch(self) -> int:
        """Side of a patch in pixels."""
        return 16 if self.deep else PATCH


SHAPES = {
    "tiny": Shape(1000, 64, 128, 3, 4, 2),
    "small": Shape(32000, 384, 1536, 8, 6, 2),
    "0.5b": Shape(151936, 896, 4864, 24, 14, 2),
    # The language models of Qwen2-VL-2B, Qwen2.5-VL-3B and both 7B, by their config.json.
    "2b": Shape(151936, 1536, 8960, 28, 12, 2),
    "3b": Shape(151936, 2048, 11008, 36, 16, 2),
    "7b": Shape(152064, 3584, 18944, 28, 28, 4, tied=False),
    # Those of Qwen3-VL.
    "3-2b": Shape(151936, 2048, 6144, 28, 16, 8, head_size=128),
    "3-4b": Shape(151936, 2560, 9728, 36, 32, 8, head_size=128),
    "3-8b": Shape(151936, 4096, 12288, 36, 32, 8, tied=False, head_size=128),
}
# Both schedules of the comparison run the tower once, so a small one is sufficient.
SMALL_TOWER = Tower(2, 64, 2, 128)
TOWERS = {  # of the released 7B models
    "Qwen2-VL": Tower(32, 1280, 16, 5120),
    "Qwen2.5-VL": Tower(32, 1280, 16, 3420, windows=True),
}
DEEP_TOWERS = {  # of Qwen3-VL: 2B and 4B, and 8B
    "small": Tower(24, 1024, 16, 4096, deep=(5, 11, 17)),
    "large": Tower(27, 1152, 16, 4304, deep=(8, 16, 24)),
}

MOST_TOKENS = 32_768  # of a prompt, as of the released models


def random_mllm(
    name: str,
    device: torch.device,
    dtype: torch.dtype,
    tower: Tower = SMALL_TOWER,
    gradient_checkpointing: bool = False,
) -> HfMllm:
    """A Qwen2-VL, Qwen2.5-VL or Qwen3-VL with the language model of `SHAPES[name]`.

    The tokenizer is that of the embedded model; the rest of the vocabulary has no words.
    """
    tokenizer = AutoTokenizer.from_pretrained(
        FOLDER, local_files_only=True, model_max_length=MOST_TOKENS
    )
    torch.manual_seed(0)
    with _defaults(device, dtype):
        model = _kind(tower)(_config(SHAPES[name], tower, tokenizer))
    if tower.deep and device.type == "meta":
        text = model.model.language_model
        text._deepstack_process = MethodType(_added_by_number, text)
    cell = tower.patch * MERGE
    bounds = {"shortest_edge": cell**2, "longest_edge": cell**2 * 768}
    preprocessing = ImagePreprocessing(
        VIDEO_BOUNDS if tower.deep else bounds, None, CLIP_MEAN, CLIP_STD, 1 / 255, 3,
        tower.patch, MERGE, 2,
    )  # fmt: skip
    family = DEEP_FAMILY if tower.deep else FAMILY
    checkpoint = LoadedCheckpoint(
        f"random {name}", name, frozen(model), tokenizer, preprocessing, family, MllmSettings()
    )
    return HfMllm(checkpoint, AttentionConfig(), gradient_checkpointing)


def _kind(tower: Tower) -> Any:
    """The library's class of the model."""
    if tower.deep:
        return transformers.Qwen3VLForConditionalGeneration
    if tower.windows:
        return transformers.Qwen2_5_VLForConditionalGeneration
    return transformers.Qwen2VLForConditionalGeneration


def _added_by_number(text: Any, hidden: Tensor, mask: Tensor, features: Tensor) -> Tensor:
    """Takes the place of the library's method where the mask has no values.

    It adds to as many rows as there are features, which has the same memory.
    """
    hidden = hidden.clone()
    rows, places = hidden.flatten(0, 1), torch.arange(len(features), device=hidden.device)
    rows[places] = rows[places] + features
    return hidden


def _config(shape: Shape, tower: Tower, tokenizer: Any) -> Any:
    """The library's configuration."""

    def token(word: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(word))

    return _kind(tower).config_class(
        text_config=_text(shape, tower)
        | {"eos_token_id": token("<|im_end|>"), "pad_token_id": token("<|endoftext|>")},
        vision_config=_vision(shape, tower),
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        tie_word_embeddings=shape.tied,
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
    )


def _text(shape: Shape, tower: Tower) -> dict[str, Any]:
    """The language model's part of the configuration."""
    size = shape.head_size or shape.hidden // shape.heads
    rope: dict[str, Any] = {"rope_type": "default"}
    if tower.deep:
        third = size * 5 // 32
        rope |= {"rope_theta": 5e6, "mrope_interleaved": True}
        rope["mrope_section"] = [size // 2 - 2 * third, third, third]
    else:
        rope["rope_theta"] = 1e6
        rope["mrope_section"] = [size // 8, size // 16 * 3, size // 16 * 3]
    text = {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_heads,
        "max_position_embeddings": 32768,
        "rope_parameters": rope,
        "bos_token_id": None,
    }
    return text | {"head_dim": size} if tower.deep else text


def _vision(shape: Shape, tower: Tower) -> dict[str, Any]:
    """The vision tower's part of the configuration."""
    vision: dict[str, Any] = {
        "depth": tower.depth,
        "num_heads": tower.heads,
        "patch_size": tower.patch,
        "temporal_patch_size": 2,
        "spatial_merge_size": MERGE,
    }
    if not (tower.windows or tower.deep):
        return vision | {
            "embed_dim": tower.width,
            "hidden_size": shape.hidden,
            "mlp_ratio": tower.intermediate // tower.width,
        }
    vision |= {"hidden_size": tower.width, "intermediate_size": tower.intermediate}
    vision["out_hidden_size"] = shape.hidden
    if tower.deep:
        return vision | {"deepstack_visual_indexes": list(tower.deep)}
    full = list(range(7, tower.depth, 8))
    return vision | {"window_size": 4 * CELL_PX, "fullatt_block_indexes": full}


@contextlib.contextmanager
def _defaults(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Creates weights on their device in their precision; 7B would not fit twice."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)
