# SPDX-License-Identifier: Apache-2.0

"""Into how many tokens a frame is cut: the families' own bounds, and those of their files."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import (
    cosmos3_edge,
    glm4v,
    internvl,
    lfm2_vl,
    llava_next_video,
    llava_onevision,
    load_mllm,
    minicpmv4_6,
    molmo2,
    perception_lm,
    qwen2_vl,
    qwen3_vl,
    smolvlm,
    video_llama_3,
)
from stvg_ros.models.families import FAMILIES
from stvg_ros.models.settings import ModelConfig

FULL_HD, CAMERA, SMALL = (1080, 1920), (480, 640), (60, 80)
# Of Qwen2-VL's released file, for single images: 4 to 16,384 tokens.
RELEASED = {"shortest_edge": 56 * 56, "longest_edge": 12_845_056}


@pytest.mark.parametrize(
    ("family", "image", "total", "size", "tokens"),
    [
        # 128 to 768 tokens a frame, whatever the video's length and a file's larger bound.
        (qwen2_vl, FULL_HD, 1, {}, (20, 36)),
        (qwen2_vl, FULL_HD, 20, {}, (20, 36)),
        (qwen2_vl, CAMERA, 20, {}, (17, 23)),
        (qwen2_vl, SMALL, 20, {}, (10, 14)),
        (qwen2_vl, FULL_HD, 20, RELEASED, (20, 36)),
        (qwen2_vl, SMALL, 20, RELEASED, (2, 3)),
        (qwen2_vl, CAMERA, 20, {"longest_edge": 100 * 28**2}, (8, 11)),
        (qwen2_vl, SMALL, 20, {"shortest_edge": 10**9}, (24, 32)),
        # 128 to 768 tokens for the frames of the video together, pairs counted whole.
        (qwen3_vl, FULL_HD, 2, {}, (14, 26)),
        (qwen3_vl, FULL_HD, 6, {}, (8, 15)),
        (qwen3_vl, CAMERA, 1, {}, (15, 20)),
        (qwen3_vl, SMALL, 2, {}, (7, 10)),
        (qwen3_vl, SMALL, 6, {}, (4, 6)),
        (qwen3_vl, CAMERA, 6, {"longest_edge": 78_400}, (3, 4)),
        # At least 128 a frame, at most 768 for the video.
        (video_llama_3, FULL_HD, 1, {}, (20, 36)),
        (video_llama_3, FULL_HD, 2, {}, (14, 26)),
        (video_llama_3, FULL_HD, 6, {}, (8, 15)),
        (video_llama_3, SMALL, 1, {}, (10, 14)),
        (video_llama_3, SMALL, 6, {}, (10, 14)),
        (video_llama_3, SMALL, 1, RELEASED, (2, 3)),
        (video_llama_3, FULL_HD, 2, {"longest_edge": 78_400}, (5, 9)),
        # At and beside the bounds.
        (qwen2_vl, (60, 63), 1, {}, (12, 12)),
        (qwen2_vl, (60, 67), 1, {}, (11, 12)),
        (qwen2_vl, (672, 896), 1, {}, (24, 32)),
        (qwen2_vl, (687, 859), 1, {}, (24, 30)),
        (qwen3_vl, (60, 60), 2, {}, (8, 8)),
        (qwen3_vl, (60, 76), 2, {}, (8, 10)),
        (qwen3_vl, (500, 752), 2, {}, (16, 24)),
        (qwen3_vl, (500, 813), 2, {}, (15, 24)),
        (video_llama_3, (60, 63), 1, {}, (12, 12)),
        (video_llama_3, (60, 67), 1, {}, (11, 12)),
        (video_llama_3, (658, 882), 1, {}, (24, 32)),
        (video_llama_3, (687, 859), 1, {}, (24, 30)),
        # 112 x 112 to 28 x 28 x 2 x 30,000 pixels for the frames of the video together.
        (glm4v, (28, 56), 1, {}, (2, 4)),
        (glm4v, (28, 88), 1, {}, (2, 6)),
        (glm4v, (4200, 5600), 2, {}, (150, 200)),  # at the bound
        (glm4v, (532, 44_212), 2, {}, (18, 1578)),  # a pair of tokens more
        (glm4v, FULL_HD, 20, {}, (39, 69)),
        (glm4v, FULL_HD, 60, {}, (23, 42)),
        (glm4v, (20, 300), 2, {"longest_edge": 10**6}, (1, 15)),  # no side below a token
        # 64 x 64 to 24 x 1024 x 1024 pixels for the frames of the video together.
        (cosmos3_edge, (32, 32), 1, {}, (2, 2)),
        (cosmos3_edge, (32, 73), 1, {}, (2, 4)),
        (cosmos3_edge, (4096, 6144), 1, {}, (128, 192)),  # at the bound
        (cosmos3_edge, (3840, 6560), 1, {}, (119, 204)),  # 24 tokens more
        (cosmos3_edge, FULL_HD, 1, {}, (34, 60)),
        (cosmos3_edge, FULL_HD, 30, {}, (21, 38)),
        (cosmos3_edge, SMALL, 1, {"shortest_edge": 10**5}, (9, 12)),
    ],
)
def test_rows_and_columns_of_a_frame(
    family: Any, image: tuple[int, int], total: int, size: dict[str, int], tokens: tuple[int, int]
) -> None:
    patch = 16 if family in (qwen3_vl, cosmos3_edge) else 14
    given = ImagePreprocessing.from_json({"size": size, "patch_size": patch}, "test")
    height, width = family.frame_size(given, *image, total)
    assert (height / (2 * patch), width / (2 * patch)) == tokens


@pytest.mark.parametrize(
    ("image", "values", "merge", "tokens"),
    [
        # 64 to 256 tokens a frame, whatever the video's length.
        (FULL_HD, {}, 2, (12, 21)),
        (SMALL, {}, 2, (7, 10)),
        (CAMERA, {}, 2, (13, 18)),
        ((60, 60), {}, 2, (8, 8)),
        ((60, 76), {}, 2, (8, 10)),
        ((480, 606), {}, 2, (14, 17)),
        ((480, 608), {}, 2, (14, 18)),
        (CAMERA, {"min_image_tokens": 4, "max_image_tokens": 12}, 2, (3, 4)),
        (SMALL, {"min_image_tokens": 100, "max_image_tokens": 200}, 2, (9, 12)),
        (CAMERA, {}, 1, (13, 18)),
        (CAMERA, {}, 4, (8, 10)),
    ],
)
def test_tokens_of_a_frame_of_lfm2(
    image: tuple[int, int], values: dict[str, int], merge: int, tokens: tuple[int, int]
) -> None:
    given = ImagePreprocessing.from_json({"encoder_patch_size": 16, **values}, "test")
    height, width = lfm2_vl.frame_size(given, *image, merge)
    assert (height / (16 * merge), width / (16 * merge)) == tokens


@pytest.mark.parametrize(
    ("image", "values", "merge", "tokens"),
    [
        ((448, 448), {}, 4, (8, 8)),
        (CAMERA, {}, 4, (7, 9)),
        (FULL_HD, {}, 4, (6, 11)),
        ((1920, 1080), {}, 4, (11, 6)),
        (FULL_HD, {}, 2, (12, 21)),
        ((2, 1000), {}, 4, (1, 179)),  # no side below a token
        ((100, 114), {}, 4, (7, 9)),  # a pixel more or less of the square gives others
        ((448, 448), {"scale_resolution": 224}, 4, (4, 4)),
    ],
)
def test_tokens_of_a_frame_of_minicpm(
    image: tuple[int, int], values: dict[str, int], merge: int, tokens: tuple[int, int]
) -> None:
    given = ImagePreprocessing.from_json({"patch_size": 14, **values}, "test")
    height, width = minicpmv4_6.frame_size(given, *image, merge)
    assert (height / (14 * merge), width / (14 * merge)) == tokens


@pytest.mark.parametrize(
    ("image", "longest", "size"),
    [
        (FULL_HD, 1536, (864, 1536)),
        ((1920, 1080), 1536, (1536, 864)),
        ((480, 480), 512, (512, 512)),
        ((480, 480), 511, (512, 511)),
        ((360, 480), 512, (384, 512)),
        ((479, 640), 512, (384, 512)),  # 383.2, made even upwards
        ((640, 479), 512, (512, 384)),
        ((2, 1000), 100, (1, 100)),  # at least one pixel
        ((1000, 2), 100, (100, 1)),
        ((333, 500), None, (334, 500)),  # a checkpoint without a size: the image's own
        ((500, 333), None, (500, 334)),
    ],
)
def test_frames_of_smolvlm_keep_their_shape_first(
    image: tuple[int, int], longest: int | None, size: tuple[int, int]
) -> None:
    values = {} if longest is None else {"size": {"longest_edge": longest}}
    assert smolvlm.frame_size(ImagePreprocessing.from_json(values, "test"), *image) == size


class ReceivedError(Exception):
    """What a vision tower is given, in place of a pass."""


def tower_of(config: dict[str, Any]) -> Any:
    def features(pixels: torch.Tensor, *rest: Any) -> None:
        raise ReceivedError(tuple(pixels.shape))

    inner = SimpleNamespace(get_image_features=features, get_video_features=features)
    return SimpleNamespace(
        model=inner, config=SimpleNamespace(vision_config=SimpleNamespace(**config)),
        device=torch.device("cpu"), dtype=torch.float32,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("family", "config", "more", "shape"),
    [
        (internvl, {"image_size": [28, 28], "patch_size": [14, 14]}, {"downsample_ratio": 0.5},
         (1, 3, 28, 28)),
        (llava_onevision, {"image_size": 28, "patch_size": 14}, {}, (1, 1, 3, 28, 28)),
        (llava_next_video, {"image_size": 28, "patch_size": 14}, {"spatial_pool_stride": 2},
         (1, 1, 3, 28, 28)),
        (perception_lm, {}, {}, (1, 1, 3, 448, 448)),
        (molmo2, {"image_size": [28, 28]}, {"image_patch_id": 0}, (1, 4, 14 * 14 * 3)),
        (smolvlm, {"image_size": 28, "patch_size": 14}, {"scale_factor": 2}, (1, 1, 3, 28, 28)),
    ],
)  # fmt: skip
def test_a_tower_of_one_size_where_the_file_has_none(
    family: Any, config: dict[str, Any], more: dict[str, Any], shape: tuple[int, ...]
) -> None:
    model = tower_of(config)
    vars(model.config).update(more)
    model.get_input_embeddings = lambda: SimpleNamespace(weight=torch.zeros(1, 8))
    given = ImagePreprocessing.from_json({"patch_size": 14, "resample": 2}, "test")
    with pytest.raises(ReceivedError) as caught:
        family.encode(model, given, [np.zeros((30, 40, 3), np.uint8)], 1)
    assert caught.value.args == (shape,)


def test_frames_of_another_shape_than_the_trained_one_are_padded(tmp_path: Path) -> None:
    folder = tiny_models.save("qwen2_5_vl", FAMILIES["qwen2_5_vl"].class_name, tmp_path)
    (folder / "stvg.json").write_text('{"aspect_ratio": 2.0}')
    numbers = json.loads((folder / "preprocessor_config.json").read_text())
    numbers["size"] = {"shortest_edge": 256, "longest_edge": 32 * 64}
    (folder / "preprocessor_config.json").write_text(json.dumps(numbers))
    mllm = load_mllm(ModelConfig(path=str(folder), device="cpu"), AttentionConfig())
    draw = np.random.default_rng(0)
    wide, square = (draw.integers(0, 256, (32, width, 3), np.uint8) for width in (64, 32))
    whole = mllm.encode([wide])
    assert (whole.grid, whole.picture) == ((1, 4, 8), None)
    padded = mllm.encode([square])
    assert (padded.grid, padded.picture) == ((1, 4, 8), (slice(0, 4), slice(2, 6)))
    by_hand = np.full_like(wide, 128)
    by_hand[:, 16:48] = square
    assert torch.equal(padded.features, mllm.encode([by_hand]).features)
