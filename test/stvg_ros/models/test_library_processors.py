# SPDX-License-Identifier: Apache-2.0

"""Our resizing, normalising and cutting of patches against the library's own video processors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.models.cosmos3_edge import frame_size as size_of_cosmos3_edge
from stvg_ros.models.cosmos3_edge import interleaved
from stvg_ros.models.glm4v import frame_size as size_of_glm4v
from stvg_ros.models.molmo2 import patches_of, pooled_patches
from stvg_ros.models.preprocess import centre_cropped, normalised, patches, square_size
from stvg_ros.models.qwen2_vl import frame_size as size_of_qwen2
from stvg_ros.models.qwen3_vl import frame_size as size_of_qwen3
from stvg_ros.models.smolvlm import number_words, pixels_of
from stvg_ros.models.video_llama_3 import frame_size as size_of_video_llama

pytest.importorskip("torchvision", reason="torchvision is missing: make libraries")
SHAPES = [(48, 64, 4), (480, 640, 4), (200, 100, 5), (240, 426, 20), (90, 160, 7), (448, 448, 2)]
# Two filters of the same name, PIL's and torchvision's, round 8-bit pixels a little differently.
LEVELS = 4


def frames(height: int, width: int, count: int) -> list[NDArray[np.uint8]]:
    """Waves with some noise, as smooth as images are."""
    draw = np.random.default_rng(height)
    y, x = np.mgrid[0:height, 0:width]
    return [
        np.clip(
            127
            + np.stack([90 * np.sin(x / 17 + k + c) + 20 * np.cos(y / 11) for c in range(3)], -1)
            + draw.normal(0, 6, (height, width, 3)),
            0,
            255,
        ).astype(np.uint8)
        for k in range(count)
    ]


def theirs(processor: Any, images: list[NDArray[np.uint8]]) -> Any:
    video = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return processor([video], return_tensors="pt", do_sample_frames=False)


def assert_close(ours: torch.Tensor, expected: torch.Tensor, numbers: ImagePreprocessing) -> None:
    assert ours.shape == expected.shape
    difference = (ours - expected).abs()
    level = numbers.rescale / min(numbers.std)
    assert difference.max() <= LEVELS * level
    assert difference.mean() <= 0.5 * level


@pytest.mark.parametrize(("height", "width", "count"), SHAPES)
@pytest.mark.parametrize(
    ("name", "size_of"),
    [
        ("Qwen2VLVideoProcessor", size_of_qwen2),
        ("Qwen3VLVideoProcessor", size_of_qwen3),
        ("VideoLlama3VideoProcessor", size_of_video_llama),
        ("Glm4vVideoProcessor", size_of_glm4v),
        ("Glm46VVideoProcessor", size_of_glm4v),
        ("Cosmos3EdgeVideoProcessor", size_of_cosmos3_edge),
    ],
)
def test_patches(name: str, size_of: Any, height: int, width: int, count: int) -> None:
    processor = getattr(transformers, name)()
    numbers = ImagePreprocessing.from_json(processor.to_dict(), name)
    images = frames(height, width, count)
    expected = theirs(processor, images)
    rows, columns = size_of(numbers, height, width, count)
    grid = expected["video_grid_thw"][0].tolist()
    assert grid == [-(-count // numbers.pair), rows // numbers.patch, columns // numbers.patch]
    ours = patches(images, rows, columns, numbers)
    if name == "Cosmos3EdgeVideoProcessor":
        ours = interleaved(ours)
    assert_close(ours, expected["pixel_values_videos"], numbers)


@pytest.mark.parametrize("name", ["LlavaOnevisionVideoProcessor", "InternVLVideoProcessor"])
def test_square_frames(name: str) -> None:
    processor = getattr(transformers, name)()
    numbers = ImagePreprocessing.from_json(processor.to_dict(), name)
    for shape in SHAPES:
        images = frames(*shape)
        expected = theirs(processor, images)["pixel_values_videos"][0]
        assert_close(normalised(images, *square_size(numbers, 0), numbers), expected, numbers)


@pytest.mark.parametrize("edge", [224, 230, 336])
def test_the_middle_square_of_llava_next_video(edge: int) -> None:
    processor = transformers.LlavaNextVideoVideoProcessor(size={"shortest_edge": edge})
    numbers = ImagePreprocessing.from_json(processor.to_dict(), "test")
    for shape in [*SHAPES, (720, 1281, 2), (333, 250, 3)]:
        images = frames(*shape)
        expected = theirs(processor, images)["pixel_values_videos"][0]
        cut, _ = centre_cropped(images, numbers)
        assert_close(normalised(cut, 224, 224, numbers), expected, numbers)


@pytest.mark.parametrize("longest_edge", [384, 512])
def test_frames_of_smolvlm_are_resized_twice(longest_edge: int) -> None:
    values = {"max_image_size": {"longest_edge": 384}, "size": {"longest_edge": 1536}}
    values["video_sampling"] = {
        "video_size": {"longest_edge": longest_edge}, "max_frames": 64, "fps": 1,
    }  # fmt: skip
    processor = transformers.SmolVLMVideoProcessor(**values)
    numbers = ImagePreprocessing.from_json({**processor.to_dict(), **values}, "test")
    for shape in SHAPES:
        images = frames(*shape)
        expected = theirs(processor, images)["pixel_values"][0]
        assert_close(pixels_of(numbers, images, 384), expected, numbers)


def test_patches_of_molmo2() -> None:
    processor = transformers.Molmo2VideoProcessor(do_rescale=True, do_normalize=True)
    numbers = ImagePreprocessing.from_json(processor.to_dict(), "test")
    assert (numbers.patch, numbers.pooling) == (14, (3, 3))
    for shape in SHAPES:
        images = frames(*shape)
        expected = theirs(processor, images)
        assert expected["video_grids"].tolist() == [[len(images), 9, 9]]
        torch.testing.assert_close(
            patches_of(numbers, images, 378), expected["pixel_values_videos"], atol=1e-6, rtol=0
        )
        ours = pooled_patches(len(images), 27, (3, 3))
        assert torch.equal(ours, expected["video_token_pooling"].to(ours))


def test_numbers_in_words() -> None:
    library = pytest.importorskip("num2words", reason="num2words is missing: make libraries")
    assert all(number_words(number) == library.num2words(number) for number in range(1000))
