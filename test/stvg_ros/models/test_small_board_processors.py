# SPDX-License-Identifier: Apache-2.0

"""Pixels, sizes and texts of MiniCPM-V and LFM against the library's own processors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray
from transformers.models.lfm2_vl.processing_lfm2_vl import Lfm2VlProcessor
from transformers.models.lfm3_vl.processing_lfm3_vl import Lfm3VlProcessor
from transformers.models.minicpmv4_6.processing_minicpmv4_6 import MiniCPMV4_6Processor
from transformers.video_utils import VideoMetadata

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models import lfm2_vl, lfm3_vl, minicpmv4_6
from stvg_ros.models.preprocess import normalised, patches, slots_of
from stvg_ros.models.qwen3_vl import frame_size as size_of_qwen3

SHAPES = [(48, 64), (480, 640), (200, 100), (240, 426), (90, 160), (448, 448), (1080, 1920)]
LEVELS = 4  # PIL's and torchvision's filters round 8-bit pixels a little differently
ROWS, COLUMNS = 2, 3


def frames(height: int, width: int, count: int = 2) -> list[NDArray[np.uint8]]:
    y, x = np.mgrid[0:height, 0:width]
    waves = [
        127 + np.stack([90 * np.sin(x / 17 + k + c) + 20 * np.cos(y / 11) for c in range(3)], -1)
        for k in range(count)
    ]
    return [np.clip(wave, 0, 255).astype(np.uint8) for wave in waves]


def assert_close(ours: torch.Tensor, expected: torch.Tensor, numbers: ImagePreprocessing) -> None:
    assert ours.shape == expected.shape
    difference = (ours - expected).abs()
    level = numbers.rescale / min(numbers.std)
    assert difference.max() <= LEVELS * level
    assert difference.mean() <= 0.5 * level


def loaded(name: str, **given: Any) -> tuple[Any, ImagePreprocessing]:
    """A processor of the library and what is read of its file; needs torchvision."""
    pytest.importorskip("torchvision", reason="torchvision is missing: make libraries")
    processor = getattr(transformers, name)(**given)
    return processor, ImagePreprocessing.from_json(processor.to_dict(), name)


@pytest.mark.parametrize(("height", "width"), SHAPES)
@pytest.mark.parametrize("mode", ["16x", "4x"])
def test_strips_of_minicpm(mode: str, height: int, width: int) -> None:
    processor, numbers = loaded("MiniCPMV4_6VideoProcessor")
    images = frames(height, width)
    video = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    expected = processor(
        [video], return_tensors="pt", do_sample_frames=False, max_slice_nums=1, downsample_mode=mode
    )
    assert numbers.tile == 448 and numbers.patch == 14
    merge = {"16x": 4, "4x": 2}[mode]
    size = minicpmv4_6.frame_size(numbers, height, width, merge)
    grid = [size[0] // 14, size[1] // 14]
    assert expected["target_sizes_videos"].tolist() == [grid] * len(images)
    assert grid[0] % merge == grid[1] % merge == 0
    strips = minicpmv4_6.strips(normalised(images, *size, numbers), 14)
    assert_close(strips, expected["pixel_values_videos"], numbers)


def test_the_library_would_slice_larger_frames() -> None:
    """What the adapter leaves out: tokens of slices are no grid of the frame."""
    processor, _ = loaded("MiniCPMV4_6VideoProcessor")
    video = torch.zeros(1, 3, 1080, 1920, dtype=torch.uint8)
    found = processor([video], return_tensors="pt", do_sample_frames=False)
    assert len(found["target_sizes_videos"]) > 1


@pytest.mark.parametrize(("height", "width"), SHAPES)
@pytest.mark.parametrize("bounds", [(64, 256), (32, 100)])
def test_patches_of_lfm2(bounds: tuple[int, int], height: int, width: int) -> None:
    given = dict(zip(("min_image_tokens", "max_image_tokens"), bounds, strict=True))
    processor, numbers = loaded("Lfm2VlImageProcessor", **given)
    images = frames(height, width)
    expected = processor(images, return_tensors="pt", do_image_splitting=False)
    rows, columns = lfm2_vl.frame_size(numbers, height, width, 2)
    shape = [rows // numbers.patch, columns // numbers.patch]
    assert expected["spatial_shapes"].tolist() == [shape] * len(images)
    ours = lfm2_vl.flat_patches(normalised(images, rows, columns, numbers), numbers.patch)
    assert_close(ours, expected["pixel_values"][:, : shape[0] * shape[1]], numbers)
    assert not expected["pixel_attention_mask"][:, shape[0] * shape[1] :].any()


@pytest.mark.parametrize(("height", "width"), SHAPES[:-1])
def test_patches_of_lfm3(height: int, width: int) -> None:
    processor, numbers = loaded("Qwen3VLVideoProcessor")
    images = frames(height, width, 5)
    video = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    expected = processor([video], return_tensors="pt", do_sample_frames=False)
    rows, columns = size_of_qwen3(numbers, height, width, 5)
    ours = patches(images, rows, columns, numbers)
    assert_close(ours, expected["pixel_values_videos"], numbers)


def tokens(count: int, pair: int = 1, times_s: tuple[float, ...] = ()) -> VisualTokens:
    slots = slots_of(count, pair)
    features = torch.zeros(len(slots) * ROWS * COLUMNS, 8)
    return VisualTokens(features, (len(slots), ROWS, COLUMNS), slots, times_s=times_s)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("given", [{}, {"use_image_id": True}, {"use_image_id": False}])
def test_text_of_minicpm(count: int, given: dict[str, bool]) -> None:
    words = {
        "image_start_token": "<image>", "image_end_token": "</image>", "video_token": "7",
        "image_id_start_token": "<image_id>", "image_id_end_token": "</image_id>",
        "slice_start_token": "<slice>", "slice_end_token": "</slice>",
    }  # fmt: skip
    own = SimpleNamespace(**words, video_slice_mode=True)
    theirs = MiniCPMV4_6Processor.replace_video_token(
        own, {
            "target_sizes_videos": np.array([[4 * ROWS, 4 * COLUMNS]] * count),
            "num_frames_per_video": np.array([count]),
            "grids_videos": np.zeros((count, 2), int),
        }, 0, video_token_divisor=16,
    )  # fmt: skip
    if given.get("use_image_id", True):
        theirs = MiniCPMV4_6Processor._prepend_local_ids(own, ["7"], [theirs], "7")[0]
    spelled = SimpleNamespace(convert_ids_to_tokens=str, **words)
    config = SimpleNamespace(config=SimpleNamespace(video_token_id=7))
    found = minicpmv4_6.layout(spelled, config, tokens(count), **given)
    assert (found.text, found.placeholder) == (theirs, "7")


def test_text_of_lfm2() -> None:
    own = SimpleNamespace(
        image_token="7", image_start_token="<start>", image_end_token="<end>",
        image_thumbnail_token="<small>",
    )  # fmt: skip
    frame = Lfm2VlProcessor._build_image_tokens(own, 1, 1, 9, ROWS * COLUMNS, True, True)
    spelled = SimpleNamespace(
        convert_ids_to_tokens=str, image_start_token="<start>", image_end_token="<end>"
    )
    config = SimpleNamespace(config=SimpleNamespace(image_token_id=7))
    found = lfm2_vl.layout(spelled, config, tokens(3))
    assert (found.text, found.placeholder) == (frame * 3, "7")


@pytest.mark.parametrize("count", [1, 2, 5, 20])
@pytest.mark.parametrize("rate", [0.5, 2.0, 30.0])
def test_stamps_in_the_text_of_lfm3(rate: float, count: int) -> None:
    visual = tokens(count, 2, tuple(frame / rate for frame in range(count)))
    own = SimpleNamespace(
        video_processor=SimpleNamespace(merge_size=2, temporal_patch_size=2),
        vision_start_token="5", video_token="7", vision_end_token="6",
        _calculate_timestamps=lambda *given: Lfm3VlProcessor._calculate_timestamps(own, *given),
    )  # fmt: skip
    times = VideoMetadata(total_num_frames=count, fps=rate, frames_indices=list(range(count)))
    theirs = Lfm3VlProcessor.replace_video_token(
        own, {
            "video_grid_thw": torch.tensor([[visual.grid[0], 2 * ROWS, 2 * COLUMNS]]),
            "video_metadata": [times],
        }, 0,
    )  # fmt: skip
    ids = {"vision_start_token_id": 5, "vision_end_token_id": 6, "video_token_id": 7}
    spelled = SimpleNamespace(convert_ids_to_tokens=str)
    found = lfm3_vl.layout(spelled, SimpleNamespace(config=SimpleNamespace(**ids)), visual)
    assert (found.text, found.placeholder) == (theirs, "7")
