# SPDX-License-Identifier: Apache-2.0

"""Photographs as backgrounds: the part that is seen, and files that are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from stvg_lab.rendered.photo_backdrop import (
    PhotoBackdrop,
    draw_photo_backdrop,
    photos_in,
)
from stvg_lab.rendered.render import render
from stvg_lab.rendered.scene import Scene


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """300 x 200 pixels; red grows to the right, green downwards."""
    image = np.zeros((200, 300, 3), np.uint8)
    image[..., 2] = np.linspace(0, 250, 300)[None]
    image[..., 1] = np.linspace(0, 250, 200)[:, None]
    path = tmp_path / "photos" / "ramp.png"
    path.parent.mkdir()
    cv2.imwrite(str(path), image)
    return path


def test_the_whole_of_the_images_shape_is_seen_at_share_one(photo: Path) -> None:
    seen = PhotoBackdrop(photo, (0.5, 0.5), 1.0, False).picture(150, 100)
    assert seen.shape == (100, 150, 3)
    assert seen[0, 0, 0] < 3 and seen[0, -1, 0] > 247  # the full width, in RGB
    assert seen[0, 0, 1] < 3 and seen[-1, 0, 1] > 247
    square = PhotoBackdrop(photo, (1.0, 0.0), 1.0, False).picture(80, 80)
    assert abs(int(square[0, 0, 0]) - 250 / 3) < 4  # the right 200 of 300 columns
    assert square[0, -1, 0] > 245


def test_a_part_lies_inside_and_may_be_mirrored(photo: Path) -> None:
    part = PhotoBackdrop(photo, (0.0, 1.0), 0.5, False).picture(60, 40)
    assert part[0, -1, 0] < 127 and part[0, 0, 1] > 120
    other = PhotoBackdrop(photo, (0.0, 1.0), 0.5, True).picture(60, 40)
    assert np.array_equal(other, part[:, ::-1])


def test_drawn_parts_differ_and_are_seeded(photo: Path) -> None:
    found = {draw_photo_backdrop(np.random.default_rng(seed), [photo]) for seed in range(8)}
    assert len(found) == 8
    assert draw_photo_backdrop(np.random.default_rng(3), [photo]) in found
    for one in found:
        assert one.picture(64, 48).shape == (48, 64, 3)


def test_a_scene_is_drawn_in_front_of_it(photo: Path) -> None:
    scene = Scene.from_seed(5, difficulty=0.0)
    before = render(scene, 0, 128, 96)
    after = render(replace(scene, background=PhotoBackdrop(photo, (0, 0), 1.0, False)), 0, 128, 96)
    changed = (before != after).any(-1)
    x1, y1, x2, y2 = (scene.boxes_xyxy_px[0, 0] / 5).astype(int)
    middle = changed[(y1 + y2) // 2 - 3 : (y1 + y2) // 2, (x1 + x2) // 2 - 1 : (x1 + x2) // 2 + 1]
    assert changed.mean() > 0.7 and not middle.all()


def test_photographs_are_found_in_subfolders(photo: Path) -> None:
    (photo.parent / "notes.txt").write_text("no image")
    assert photos_in(photo.parent.parent) == (photo,)


def test_what_is_no_photograph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected images \(.jpg, .*\), found none"):
        photos_in(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"a\.jpg: expected an image, which OpenCV can read"):
        PhotoBackdrop(tmp_path / "a.jpg", (0, 0), 1.0, False).picture(8, 8)
