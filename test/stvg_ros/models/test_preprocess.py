# SPDX-License-Identifier: Apache-2.0

"""Sizes at the bounds, and slots that lack a frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.errors import ModelError
from stvg_ros.models.preprocess import (
    centre_cropped,
    fitted_size,
    normalised,
    patches,
    slots_of,
    square_size,
)


@pytest.mark.parametrize(
    ("frames", "pair", "counted"),
    [(1, 1, 1), (4, 2, 4), (5, 2, 4), (7, 2, 8), (6, 2, 6), (3, 2, 4), (9, 2, 8), (11, 2, 12),
     (5, 1, 5), (2, 2, 2)],
)  # fmt: skip
def test_bounds_count_the_frames_of_whole_pairs(frames: int, pair: int, counted: int) -> None:
    # As round() of the library does; an image of 4 x 6 tokens is at the bound, or above it.
    pixels = counted * 24 * 28**2
    size = 4 * 28, 6 * 28
    assert fitted_size(*size, 28, 1, pixels, frames, pair) == size
    shrunk = fitted_size(*size, 28, 1, pixels - 1, frames, pair)
    if frames <= counted:
        assert shrunk[0] * shrunk[1] < size[0] * size[1] or frames < counted
    assert fitted_size(*size, 28, pixels, 10**9, frames, pair) == size
    grown = fitted_size(*size, 28, pixels + 1, 10**9, frames, pair)
    assert grown[0] * grown[1] > size[0] * size[1] or frames > counted


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("pair", [2, 3])
def test_a_slot_that_lacks_frames_repeats_the_last(count: int, pair: int) -> None:
    values = {"temporal_patch_size": pair, "patch_size": 4, "merge_size": 2}
    preprocessing = ImagePreprocessing.from_json(values, "test")
    draw = np.random.default_rng(count)
    images = [draw.integers(0, 255, (8, 16, 3), dtype=np.uint8) for _ in range(count)]
    padded = images + [images[-1]] * (-count % pair)
    found, expected = patches(images, 8, 16, preprocessing), patches(padded, 8, 16, preprocessing)
    assert torch.equal(found, expected)
    assert len(found) == len(padded) // pair * 2 * 4


@pytest.mark.parametrize(("width", "height"), [(2000, 8), (16384, 1), (1, 16384), (3000, 14)])
def test_images_of_impossible_shape_are_named(width: int, height: int) -> None:
    with pytest.raises(ModelError, match=f"{width} x {height} px.*crop"):
        fitted_size(height, width, 28, 1, 10**6)


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ({"size": {"height": 24, "width": 36}}, (24, 36)),
        ({"size": {"shortest_edge": 30}}, (30, 30)),
        ({"size": 30}, (30, 30)),
        ({}, (99, 99)),
        ({"do_center_crop": False, "crop_size": 20, "size": 30}, (30, 30)),
    ],
)
def test_the_size_of_towers_that_take_one(values: dict, size: tuple[int, int]) -> None:
    preprocessing = ImagePreprocessing.from_json(values, "test")
    assert square_size(preprocessing, 99) == size


@pytest.mark.parametrize(
    ("size_px", "values", "left", "top", "crop"),
    [  # width, height; left and top are pixels of the image, 2 to a pixel of the crop
        ((16, 8), {"size": 4}, 4, 0, (0.25, 0.0, 0.75, 1.0)),
        ((8, 16), {"size": 4}, 0, 4, (0.0, 0.25, 1.0, 0.75)),
        ((8, 8), {"size": 4}, 0, 0, None),
        ((8, 8), {"size": 6}, 1, 1, (1 / 6, 1 / 6, 5 / 6, 5 / 6)),
        ((16, 8), {"size": {"height": 4, "width": 4}}, 2, 1, None),
    ],
)
def test_the_middle_of_images(
    size_px: tuple[int, int], values: dict, left: int, top: int, crop: tuple[float, ...] | None
) -> None:
    width, height = size_px
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    image = np.stack([x, y, x * 0], -1).astype(np.uint8)
    values = {**values, "do_center_crop": True, "crop_size": 4, "resample": 0}
    numbers = ImagePreprocessing.from_json(values, "test")
    (cut, _), found = centre_cropped([image, image], numbers)
    assert (cut.shape, found) == ((4, 4, 3), crop)
    assert abs(int(cut[0, 0, 0]) - left) <= 1 and abs(int(cut[0, 0, 1]) - top) <= 1


def test_a_crop_that_is_larger_than_the_image_is_refused() -> None:
    values = {"size": 4, "do_center_crop": True, "crop_size": {"height": 4, "width": 6}}
    numbers = ImagePreprocessing.from_json(values, "test")
    with pytest.raises(ModelError, match="crop of 6 x 4 px is larger than .* 4 x 4 px"):
        centre_cropped([np.zeros((8, 8, 3), np.uint8)], numbers)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"do_normalize": False}, 51 / 255),
        ({"do_normalize": False, "image_mean": [0.5] * 3}, 51 / 255),
        ({"image_mean": [0.2] * 3, "image_std": [0.5] * 3}, 0.0),
        ({"image_mean": [0.1] * 3, "image_std": [0.5] * 3}, 0.2),
        ({"image_mean": [0.0] * 3, "image_std": [1.0] * 3, "rescale_factor": 1 / 51}, 1.0),
    ],
)
def test_levels_are_normalised(values: dict, expected: float) -> None:
    image = np.full((4, 4, 3), 51, np.uint8)
    found = normalised([image], 4, 4, ImagePreprocessing.from_json(values, "test"))
    torch.testing.assert_close(found, torch.full((1, 3, 4, 4), expected), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("given", "size"),
    [  # height, width, factor, bounds, frames and pair
        ((100, 150, 28, 1, 10**9), (112, 140)),
        ((14, 2800, 14, 1, 10**9), (14, 2800)),  # a ratio of 200
        ((2800, 14, 14, 1, 10**9), (2800, 14)),
        ((1000, 500, 28, 1, 100_000), (420, 196)),
        ((500, 1000, 28, 1, 100_000), (196, 420)),
        ((1000, 500, 28, 1, 400_000, 4, 2), (420, 196)),
        ((2800, 28, 28, 1, 3000), (532, 28)),  # no side below one token
        ((28, 2800, 28, 1, 3000), (28, 532)),
        ((10, 20, 28, 100_000, 10**9), (224, 448)),
        ((20, 10, 28, 100_000, 10**9), (448, 224)),
        ((10, 20, 28, 400_000, 10**9, 4, 2), (224, 448)),
        ((56, 84, 28, 56 * 84, 56 * 84), (56, 84)),
    ],
)
def test_sizes_within_the_bounds(given: tuple[int, ...], size: tuple[int, int]) -> None:
    assert fitted_size(*given) == size


def test_a_ratio_above_200_is_refused() -> None:
    for size in ((14, 2801), (2801, 14)):
        with pytest.raises(ModelError, match="ratio below 200"):
            fitted_size(*size, 14, 1, 10**9)


@pytest.mark.parametrize(("patch", "merge", "pair"), [(2, 2, 2), (3, 1, 1), (2, 3, 1), (1, 2, 3)])
def test_patches_of_a_token_lie_together(patch: int, merge: int, pair: int) -> None:
    size = patch * merge
    height, width, frames = 2 * size, 3 * size, 2 * pair
    draw = np.random.default_rng(0)
    images = draw.integers(0, 255, (frames, height, width, 3), dtype=np.uint8)
    values = {
        "temporal_patch_size": pair, "patch_size": patch, "merge_size": merge,
        "do_normalize": False, "rescale_factor": 1.0,
    }  # fmt: skip
    found = patches(list(images), height, width, ImagePreprocessing.from_json(values, "test"))
    rows = iter(found.numpy())
    for slot in range(2):
        for row, column, down, right in np.ndindex(2, 3, merge, merge):
            top, left = row * size + down * patch, column * size + right * patch
            cut = images[slot * pair : (slot + 1) * pair, top : top + patch, left : left + patch]
            np.testing.assert_array_equal(next(rows), cut.transpose(3, 0, 1, 2).ravel())
    assert next(rows, None) is None


def test_images_of_another_size_are_stretched_whole() -> None:
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, 4:] = 255
    values = {"do_normalize": False, "rescale_factor": 1.0, "resample": 0}
    found = normalised([image], 6, 4, ImagePreprocessing.from_json(values, "test"))
    assert found.shape == (1, 3, 6, 4)
    assert (found[..., :2] == 0).all() and (found[..., 2:] == 255).all()


@pytest.mark.parametrize(
    ("frames", "pair", "slots"),
    [
        (1, 1, ((0,),)), (3, 1, ((0,), (1,), (2,))), (1, 2, ((0,),)), (4, 2, ((0, 1), (2, 3))),
        (5, 2, ((0, 1), (2, 3), (4,))),
    ],
)  # fmt: skip
def test_slots_hold_all_frames_in_order(
    frames: int, pair: int, slots: tuple[tuple[int, ...], ...]
) -> None:
    assert slots_of(frames, pair) == slots
