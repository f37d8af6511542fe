# SPDX-License-Identifier: Apache-2.0

"""Drawn pictures have more flat areas than those of a camera."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_ros.method.rendered_pictures import flat_share, looks_rendered


def stripes(width: int = 64, height: int = 64, share: float = 1.0) -> np.ndarray:
    """Columns of blocks of 4 px, of which a share differ from their neighbours, at the right."""
    image = np.full((height, width, 3), 100, np.uint8)
    blocks = width // 4
    first = round(blocks * (1 - share))
    for block in range(first, blocks):
        image[:, 4 * block : 4 * block + 4] = 100 if block % 2 else 180
    return image


def test_a_picture_of_one_colour_is_flat_whatever_its_shape() -> None:
    for height, width in ((32, 32), (32, 100), (67, 33)):
        assert flat_share(np.full((height, width, 3), 7, np.uint8)) == 1.0


@pytest.mark.parametrize(("height", "width"), [(31, 64), (64, 31), (0, 0), (4, 4)])
def test_a_picture_that_is_too_small_says_nothing(height: int, width: int) -> None:
    assert flat_share(np.full((height, width, 3), 7, np.uint8)) == 0.0


def test_half_of_the_steps_of_stripes_are_flat() -> None:
    # Of 16 x 16 blocks: 15 steps a row, all of which differ, and 15 a column, none of which does.
    assert flat_share(stripes()) == pytest.approx(0.5)
    assert not looks_rendered(stripes())
    # 7 of 15 steps of a row differ where the right half has stripes: 8 with its edge.
    assert flat_share(stripes(share=0.5)) == pytest.approx(1 - 8 / 30, abs=0.02)
    assert looks_rendered(stripes(share=0.5))


def test_the_border_between_drawn_and_photographed() -> None:
    for share, rendered in ((0.55, True), (0.75, False)):
        assert looks_rendered(stripes(share=share)) == rendered


@pytest.mark.parametrize(("step", "flat"), [(0, True), (18, True), (20, False), (40, False)])
def test_steps_within_the_noise_are_flat(step: int, flat: bool) -> None:
    """A chequer of +-16 in every block: noise 16 / 4, so steps up to 4.5 * 4 + 0.9 = 18.9."""
    image = np.where(stripes() == 180, 100 + step, 100)
    rows, columns = np.indices((64, 64))
    image = image + np.where((rows + columns) % 2, 16, -16)[..., None]
    assert flat_share(image.astype(np.uint8)) == pytest.approx(1.0 if flat else 0.5)


@pytest.mark.parametrize("spread", [2, 6, 12, 25])
def test_even_noise_is_flat(spread: int) -> None:
    noise = np.random.default_rng(0).normal(0, spread, (96, 96, 3))
    assert flat_share(np.clip(128 + noise, 0, 255).astype(np.uint8)) > 0.9


def test_texture_is_not_taken_for_noise() -> None:
    """A quarter of the picture is quiet; the rest differs from block to block."""
    chance = np.random.default_rng(0)
    image = np.repeat(np.repeat(chance.integers(0, 255, (24, 24, 1)), 4, 0), 4, 1)
    image = np.clip(image + chance.normal(0, 30, (96, 96, 3)), 0, 255).astype(np.uint8)
    image[:, :28] = 120
    assert flat_share(image) < 0.4


@pytest.mark.parametrize("step", [0, 1, 2, 5, 20])
def test_without_noise_only_equal_blocks_are_flat(step: int) -> None:
    levels = (np.arange(16) * step % 200).astype(np.uint8)
    image = np.tile(np.repeat(levels, 4)[None, :, None], (64, 1, 3))
    assert flat_share(image) == pytest.approx(1.0 if step == 0 else 0.5, abs=0.01)


def test_the_colours_count_alike() -> None:
    image = stripes(share=1.0)
    for channel in range(3):
        one = np.full_like(image, 100)
        one[..., channel] = image[..., channel]
        assert flat_share(one) == pytest.approx(0.5)
