# SPDX-License-Identifier: Apache-2.0

"""The order of pixels and patches for the towers that have their own, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.models.cosmos3_edge import interleaved
from stvg_ros.models.lfm2_vl import flat_patches
from stvg_ros.models.minicpmv4_6 import strips
from stvg_ros.models.molmo2 import patches_of, pooled_patches
from stvg_ros.models.smolvlm import pixels_of

RAW = {"do_normalize": False, "do_rescale": False}


def frames(count: int, height: int, width: int) -> torch.Tensor:
    """`(T, 3, H, W)`: each value is another."""
    return torch.arange(count * 3 * height * width, dtype=torch.float32).view(
        count, 3, height, width
    )


@pytest.mark.parametrize("patch", [1, 2, 3])
def test_pixels_of_cosmos_lie_together(patch: int) -> None:
    found = interleaved(torch.arange(2.0 * 3 * patch**2).view(2, -1))
    for row, values in enumerate(found.tolist()):
        begin = row * 3 * patch**2
        expected = [begin + c * patch**2 + at for at in range(patch**2) for c in range(3)]
        assert values == expected


@pytest.mark.parametrize(("patch", "rows", "columns"), [(2, 2, 3), (3, 1, 2), (1, 3, 1)])
def test_patches_of_lfm2_are_flat(patch: int, rows: int, columns: int) -> None:
    pixels = frames(2, rows * patch, columns * patch)
    found = flat_patches(pixels, patch)
    assert found.shape == (2, rows * columns, 3 * patch**2)
    for t, row, column in np.ndindex(2, rows, columns):
        top, left = row * patch, column * patch
        cut = pixels[t, :, top : top + patch, left : left + patch]
        assert torch.equal(found[t, row * columns + column], cut.permute(1, 2, 0).flatten())


@pytest.mark.parametrize(("patch", "rows", "columns"), [(2, 2, 3), (3, 1, 2), (1, 3, 1)])
def test_patches_of_minicpm_are_a_strip(patch: int, rows: int, columns: int) -> None:
    pixels = frames(2, rows * patch, columns * patch)
    found = strips(pixels, patch)
    assert found.shape == (1, 3, patch, 2 * rows * columns * patch)
    for t, row, column in np.ndindex(2, rows, columns):
        top, left = row * patch, column * patch
        cut = pixels[t, :, top : top + patch, left : left + patch]
        begin = ((t * rows + row) * columns + column) * patch
        assert torch.equal(found[0, :, :, begin : begin + patch], cut)


@pytest.mark.parametrize(("patch", "side"), [(2, 6), (3, 3), (1, 4)])
def test_patches_of_molmo2(patch: int, side: int) -> None:
    draw = np.random.default_rng(0)
    images = [draw.integers(0, 256, (side, side, 3), np.uint8) for _ in range(2)]
    numbers = ImagePreprocessing.from_json({**RAW, "patch_size": patch, "resample": 2}, "test")
    found = patches_of(numbers, images, side)
    count = side // patch
    assert found.shape == (2, count**2, 3 * patch**2)
    for t, row, column in np.ndindex(2, count, count):
        top, left = row * patch, column * patch
        cut = images[t][top : top + patch, left : left + patch]
        assert found[t, row * count + column].tolist() == cut.flatten().tolist()


@pytest.mark.parametrize(
    ("resample", "expected"),
    [(0, [0, 200]), (2, [50, 150]), (3, [45, 155])],  # the two in the middle of four
)
def test_frames_of_molmo2_are_enlarged_within_their_levels(
    resample: int, expected: list[int]
) -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[:, 1] = 200
    values = {**RAW, "patch_size": 1, "resample": resample}
    found = patches_of(ImagePreprocessing.from_json(values, "test"), [image], 4)
    assert found[0, 1:3, 0].tolist() == expected
    assert found.min() >= 0 and found.max() <= 255 and torch.equal(found, found.round())
    image[:, 1] = 255  # a cubic filter swings beyond both ends
    found = patches_of(ImagePreprocessing.from_json(values, "test"), [image], 4)
    assert (found.min(), found.max()) == (0, 255)


@pytest.mark.parametrize(
    ("side", "pool", "tokens"),
    [
        (2, (1, 1), [[0], [1], [2], [3]]),
        (2, (2, 1), [[0, 2], [1, 3]]),
        (3, (2, 2), [[0, 1, 3, 4], [2, -1, 5, -1], [6, 7, -1, -1], [8, -1, -1, -1]]),
        (3, (1, 5), [[-1, 0, 1, 2, -1], [-1, 3, 4, 5, -1], [-1, 6, 7, 8, -1]]),
        (3, (5, 4), [[-1] * 4 + [0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1] + [-1] * 4]),
        (2, (5, 2), [[-1, -1, 0, 1, 2, 3, -1, -1, -1, -1]]),  # one above, two below
    ],
)
def test_patches_of_a_token_of_molmo2(
    side: int, pool: tuple[int, int], tokens: list[list[int]]
) -> None:
    found = pooled_patches(2, side, pool).tolist()
    assert found == tokens + [[n + side**2 * (n >= 0) for n in each] for each in tokens]


@pytest.mark.parametrize(("height", "width"), [(40, 60), (60, 40), (50, 50)])
def test_frames_of_smolvlm_are_resized_twice(height: int, width: int) -> None:
    draw = np.random.default_rng(0)
    image = draw.integers(0, 256, (height, width, 3), np.uint8)
    values = {**RAW, "size": {"longest_edge": 30}, "resample": 2}
    (found,) = pixels_of(ImagePreprocessing.from_json(values, "test"), [image], 12)
    between = {(40, 60): (30, 20), (60, 40): (20, 30), (50, 50): (30, 30)}[height, width]
    bilinear = Image.Resampling.BILINEAR
    expected = Image.fromarray(image).resize(between, bilinear).resize((12, 12), bilinear)
    assert found.permute(1, 2, 0).tolist() == np.asarray(expected).tolist()
