# SPDX-License-Identifier: Apache-2.0

"""Families for small boards, whose files are not published here, with the library's own classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
import transformers
from tiny_small_models import NUMBERS

from stvg_ros.cli.model_verification import verified
from stvg_ros.models.families import FAMILIES

pytest.importorskip("torchvision", reason="torchvision is missing: make libraries")
torch.set_num_threads(1)
COMPARED = ["prompt", "pixels", "positions", "rows", "answer"]


def minicpmv4_6(tokenizer: Any) -> Any:
    numbers = {**NUMBERS["minicpmv4_6"], "patch_size": 4}
    image = transformers.MiniCPMV4_6ImageProcessor(**numbers)
    return transformers.MiniCPMV4_6Processor(
        image, transformers.MiniCPMV4_6VideoProcessor(**numbers), tokenizer
    )


def minicpmv4_6_without_number(tokenizer: Any) -> Any:
    made = minicpmv4_6(tokenizer)
    made.image_processor.use_image_id = False
    made.default_use_image_id = False
    return made


def minicpmv4_7(tokenizer: Any) -> Any:
    numbers = {**NUMBERS["minicpmv4_7"], "patch_size": 4}
    image = transformers.MiniCPMV4_6ImageProcessor(**numbers)
    return transformers.MiniCPMV4_7Processor(
        image, transformers.MiniCPMV4_6VideoProcessor(**numbers), tokenizer
    )


def lfm2_vl(tokenizer: Any) -> Any:
    numbers = {**NUMBERS["lfm2_vl"], "tile_size": 16}
    return transformers.Lfm2VlProcessor(transformers.Lfm2VlImageProcessor(**numbers), tokenizer)


def lfm3_vl(tokenizer: Any) -> Any:
    sizes = {**NUMBERS["lfm3_vl"], "patch_size": 4, "merge_size": 2}
    return transformers.Lfm3VlProcessor(
        transformers.Qwen2VLImageProcessor(**sizes), tokenizer,
        transformers.Qwen3VLVideoProcessor(**sizes),
    )  # fmt: skip


@pytest.mark.parametrize(
    "make",
    [minicpmv4_6, minicpmv4_6_without_number, minicpmv4_7, lfm2_vl, lfm3_vl],
)
def test_the_librarys_processor_and_forward_pass(make: Any, tmp_path: Path) -> None:
    kind = make.__name__.partition("_without")[0]
    folder = tiny_models.save(kind, FAMILIES[kind].class_name, tmp_path)
    (folder / "preprocessor_config.json").unlink()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    make(tokenizer).save_pretrained(folder)
    found = {item.about: item for item in verified(str(folder), "cpu")}
    assert list(found) == ["weights", "answers", "candidates", *COMPARED, "grounding"], found
    assert not {about: item.text for about, item in found.items() if item.level != "ok"}
