# SPDX-License-Identifier: Apache-2.0

"""The vision tower's own ways against the library's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from torch import nn

from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm
from stvg_ros.models.families import FAMILIES
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.preprocess import patches
from stvg_ros.models.settings import ModelConfig
from stvg_ros.models.vision_tower import PatchProduct, attend

# 3 slots of 4 x 6 patches, which Qwen2.5-VL's windows of 4 x 4 patches do not divide evenly.
GRID = (3, 4, 6)


@pytest.fixture(params=["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "video_llama_3"])
def mllm(request: pytest.FixtureRequest, tmp_path: Path) -> HfMllm:
    folder = tiny_models.save(request.param, FAMILIES[request.param].class_name, tmp_path)
    loaded = load_mllm(ModelConfig(path=str(folder), device="cpu"), AttentionConfig())
    assert isinstance(loaded, HfMllm)
    return loaded


def as_the_library_does(mllm: HfMllm, pixels: torch.Tensor) -> torch.Tensor:
    """Features with the library's attention, positions and convolution."""
    model = mllm.checkpoint.model.model
    more = []
    if hasattr(model, "visual"):
        product = model.visual.patch_embed.proj
        assert isinstance(product, PatchProduct)
        size = product.weight.shape
        whole = nn.Conv3d(size[1], size[0], size[2:], size[2:], bias=product.bias is not None)
        whole.weight, whole.bias = product.weight, product.bias
        model.visual.patch_embed.proj = whole
    else:
        more = [torch.tensor([mllm.checkpoint.preprocessing.merge])]
    tower = model.visual if hasattr(model, "visual") else model.vision_model
    tower.config._attn_implementation = "sdpa"
    output = model.get_video_features(pixels, torch.tensor([GRID]), *more)
    return torch.cat(output.pooler_output)


def test_slots_as_a_batch_give_the_librarys_features(
    mllm: HfMllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = GRID[0] * mllm.frames_per_slot
    draw = np.random.default_rng(0)
    images = [draw.integers(0, 256, (16, 24, 3), dtype=np.uint8) for _ in range(frames)]
    calls = []
    fused = nn.functional.scaled_dot_product_attention

    def counted(*given: Any, **named: Any) -> torch.Tensor:
        calls.append(given[0].shape)
        return fused(*given, **named)

    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", counted)
    ours = mllm.encode(images).features
    once = len(calls)
    numbers = mllm.checkpoint.preprocessing
    if mllm.frames_per_slot == 1:
        numbers = type(numbers)(**{**vars(numbers), "pair": 1})
    with torch.no_grad():
        theirs = as_the_library_does(mllm, patches(images, 16, 24, numbers))
    assert 0 < once < len(calls) - once  # the library attends slot by slot
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_sequences_of_one_length_share_a_product() -> None:
    draw = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 1, 2, 10, 4, generator=draw)
    ends = torch.tensor([0, 3, 5, 8, 10])
    found, _ = attend(None, query, key, value, None, cu_seq_lens_q=ends)
    for start, stop in ((0, 3), (3, 5), (5, 8), (8, 10)):
        parts = (each[:, :, start:stop] for each in (query, key, value))
        alone = nn.functional.scaled_dot_product_attention(*parts)
        torch.testing.assert_close(found[:, start:stop], alone.transpose(1, 2))
