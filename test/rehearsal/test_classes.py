# SPDX-License-Identifier: Apache-2.0

"""Families whose files are not published here: `models verify` with the library's own classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
import transformers

from stvg_ros.cli.model_verification import verified
from stvg_ros.models.families import FAMILIES

pytest.importorskip("torchvision", reason="torchvision is missing: make libraries")
torch.set_num_threads(1)
SQUARE = {"height": 24, "width": 24}
COMPARED = ["prompt", "pixels", "positions", "rows", "answer"]


def smolvlm(tokenizer: Any) -> Any:
    pytest.importorskip("num2words", reason="num2words is missing: make libraries")
    sizes = {"max_image_size": {"longest_edge": 24}, "size": {"longest_edge": 30}}
    return transformers.SmolVLMProcessor(
        transformers.SmolVLMImageProcessor(**sizes), tokenizer,
        transformers.SmolVLMVideoProcessor(**sizes), image_seq_len=9,
    )  # fmt: skip


def perception_lm(tokenizer: Any) -> Any:
    return transformers.PerceptionLMProcessor(
        transformers.PerceptionLMVideoProcessor(size=SQUARE),
        transformers.PerceptionLMImageProcessor(tile_size=24), tokenizer, patch_size=4,
    )  # fmt: skip


def molmo2(tokenizer: Any, **options: bool) -> Any:
    sizes = {"size": SQUARE, "patch_size": 4, "pooling_size": [3, 3]}
    video = transformers.Molmo2VideoProcessor(**sizes, do_rescale=True, do_normalize=True)
    return transformers.Molmo2Processor(
        transformers.Molmo2ImageProcessor(**sizes), video, tokenizer, **options
    )


def molmo2_as_released(tokenizer: Any) -> Any:
    """With the option of Molmo2-8B that its class does not have."""
    return molmo2(tokenizer, use_frame_special_tokens=False)


def molmo2_with_columns(tokenizer: Any) -> Any:
    return molmo2(tokenizer, video_use_col_tokens=True)


@pytest.mark.parametrize(
    "make", [smolvlm, perception_lm, molmo2, molmo2_as_released, molmo2_with_columns]
)
def test_the_librarys_processor_and_forward_pass(make: Any, tmp_path: Path) -> None:
    kind = "molmo2" if make.__name__.startswith("molmo2") else make.__name__
    folder = tiny_models.save(kind, FAMILIES[kind].class_name, tmp_path)
    (folder / "preprocessor_config.json").unlink()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    make(tokenizer).save_pretrained(folder)
    found = {item.about: item for item in verified(str(folder), "cpu")}
    assert list(found) == ["weights", "answers", "candidates", *COMPARED, "grounding"], found
    assert not {about: item.text for about, item in found.items() if item.level != "ok"}
