# SPDX-License-Identifier: Apache-2.0

"""Pictures as cameras take them."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_lab.rendered.picture_conditions import CONDITIONS, PictureCondition, taken

EDGE = np.zeros((48, 64, 3), np.uint8)
EDGE[:, 32:] = 200


def test_a_clean_picture_is_the_picture() -> None:
    assert taken(EDGE, CONDITIONS["clean"]) is EDGE


@pytest.mark.parametrize("name", [name for name in CONDITIONS if name != "clean"])
def test_every_condition_changes_the_picture_the_same_way_each_time(name: str) -> None:
    picture = np.random.default_rng(3).integers(0, 255, (48, 64, 3), np.uint8)
    changed = taken(picture, CONDITIONS[name])
    assert changed.shape == picture.shape and changed.dtype == np.uint8
    assert not np.array_equal(changed, picture)
    assert np.array_equal(changed, taken(picture, CONDITIONS[name]))


def test_light_is_a_factor_of_linear_levels() -> None:
    red, green, blue = taken(EDGE, PictureCondition((1.0, 0.5, 0.25)))[0, 40].tolist()
    assert red == 200
    assert green == pytest.approx(200 * 0.5 ** (1 / 2.2), abs=1)
    assert blue == pytest.approx(200 * 0.25 ** (1 / 2.2), abs=1)


def test_blur_softens_an_edge_and_noise_has_its_deviation() -> None:
    def step(condition: PictureCondition) -> int:
        row = taken(EDGE, condition)[24, :, 0].astype(int)
        return int(np.abs(np.diff(row)).max())

    assert step(PictureCondition(blur=0.05)) < 100
    assert step(PictureCondition(motion=0.1)) < 150
    flat = np.full((64, 64, 3), 128, np.uint8)
    assert taken(flat, PictureCondition(noise=4.0)).std() == pytest.approx(4, abs=0.2)
    assert not np.array_equal(
        taken(flat, PictureCondition(noise=4.0)), taken(flat, PictureCondition(noise=4.0), seed=1)
    )
