# SPDX-License-Identifier: Apache-2.0

"""Models with the shapes of released ones and random weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers import AutoTokenizer

from stvg_ros.checkpoints.image_preprocessing import CLIP_MEAN, CLIP_STD, ImagePreprocessing
from stvg_ros.method.interfaces import MllmSettings
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models.embedded_checkpoint import FOLDER
from stvg_ros.models.family import LoadedCheckpoint
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.loading import frozen
from stvg_ros.models.qwen2_vl import FAMILY

PATCH, MERGE = 14, 2
CELL_PX = PATCH * MERGE  # one visual token


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


@dataclass(frozen=True)
class Tower:
    """Dimensions of a vision tower; `windows` as in Qwen2.5-VL."""

    depth: int
    width: int
    heads: int
    intermediate: int
    windows: bool = False


SHAPES = {
    "tiny": Shape(1000, 64, 128, 3, 4, 2),
    "small": Shape(32000, 384, 1536, 8, 6, 2),
    "0.5b": Shape(151936, 896, 4864, 24, 14, 2),
    # The language models of Qwen2-VL-2B, Qwen2.5-VL-3B and both 7B, by their config.json.
    "2b": Shape(151936, 1536, 8960, 28, 12, 2),
    "3b": Shape(151936, 2048, 11008, 36, 16, 2),
    "7b": Shape(152064, 3584, 18944, 28, 28, 4, tied=False),
}
# Both schedules of the comparison run the tower once, so a small one is sufficient.
SMALL_TOWER = Tower(2, 64, 2, 128)
TOWERS = {  # of the released 7B models
    "Qwen2-VL": Tower(32, 1280, 16, 5120),
    "Qwen2.5-VL": Tower(32, 1280, 16, 3420, windows=True),
}


MOST_TOKENS = 32_768  # of a prompt, as of the released models


def random_mllm(
    name: str,
    device: torch.device,
    dtype: torch.dtype,
    tower: Tower = SMALL_TOWER,
    gradient_checkpointing: bool = False,
) -> HfMllm:
    """A Qwen2-VL or Qwen2.5-VL with the language model of `SHAPES[name]`.

    The tokenizer is that of the embedded model; the rest of the vocabulary has no words.
    """
    tokenizer = AutoTokenizer.from_pretrained(
        FOLDER, local_files_only=True, model_max_length=MOST_TOKENS
    )
    kind = transformers.Qwen2_5_VLForConditionalGeneration
    kind = kind if tower.windows else transformers.Qwen2VLForConditionalGeneration
    torch.manual_seed(0)
    with _defaults(device, dtype):
        model = kind(_config(SHAPES[name], tower, tokenizer))
    bounds = {"shortest_edge": CELL_PX**2, "longest_edge": CELL_PX**2 * 768}
    preprocessing = ImagePreprocessing(
        bounds, None, CLIP_MEAN, CLIP_STD, 1 / 255, 3, PATCH, MERGE, 2
    )
    checkpoint = LoadedCheckpoint(
        f"random {name}", name, frozen(model), tokenizer, preprocessing, FAMILY, MllmSettings()
    )
    return HfMllm(checkpoint, AttentionConfig(), gradient_checkpointing)


def _config(shape: Shape, tower: Tower, tokenizer: Any) -> Any:
    """The library's configuration."""

    def token(word: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(word))

    size = shape.hidden // shape.heads
    vision: dict[str, Any] = {
        "depth": tower.depth,
        "num_heads": tower.heads,
        "patch_size": PATCH,
        "temporal_patch_size": 2,
        "spatial_merge_size": MERGE,
    }
    if tower.windows:
        kind = transformers.Qwen2_5_VLConfig
        vision |= {"hidden_size": tower.width, "intermediate_size": tower.intermediate}
        vision |= {"out_hidden_size": shape.hidden, "window_size": 4 * CELL_PX}
        vision["fullatt_block_indexes"] = list(range(7, tower.depth, 8))
    else:
        kind = transformers.Qwen2VLConfig
        vision |= {"embed_dim": tower.width, "hidden_size": shape.hidden}
        vision["mlp_ratio"] = tower.intermediate // tower.width
    return kind(
        text_config={
            "vocab_size": shape.vocabulary,
            "hidden_size": shape.hidden,
            "intermediate_size": shape.intermediate,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.key_heads,
            "max_position_embeddings": 32768,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": [size // 8, size // 16 * 3, size // 16 * 3],
            },
            "bos_token_id": None,
            "eos_token_id": token("<|im_end|>"),
            "pad_token_id": token("<|endoftext|>"),
        },
        vision_config=vision,
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        tie_word_embeddings=shape.tied,
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
    )


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
