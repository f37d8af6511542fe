# SPDX-License-Identifier: Apache-2.0

"""Into how many tokens a frame is cut: the families' own bounds, and those of their files."""

from __future__ import annotations

from typing import Any

import pytest

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.models import qwen2_vl, qwen3_vl, video_llama_3

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
    ],
)
def test_rows_and_columns_of_a_frame(
    family: Any, image: tuple[int, int], total: int, size: dict[str, int], tokens: tuple[int, int]
) -> None:
    patch = 16 if family is qwen3_vl else 14
    given = ImagePreprocessing.from_json({"size": size, "patch_size": patch}, "test")
    height, width = family.frame_size(given, *image, total)
    assert (height / (2 * patch), width / (2 * patch)) == tokens
