# SPDX-License-Identifier: Apache-2.0

"""Pictures of scenes: the same at every call, and people drawn inside their true boxes."""

from dataclasses import replace

import numpy as np
import pytest

from stvg_lab.rendered.character import Prop
from stvg_lab.rendered.render import render, render_all
from stvg_lab.rendered.scene import Scene


def test_shape_type_and_equality_of_two_calls() -> None:
    scene = Scene.from_seed(5, difficulty=1.0)
    image = render(scene, 3)
    assert image.shape == (480, 640, 3)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, render(Scene.from_seed(5, difficulty=1.0), 3))
    assert render(scene, 3, 96, 80).shape == (80, 96, 3)


def test_a_frame_outside_the_scene_and_an_empty_image_are_refused() -> None:
    scene = Scene.from_seed(0)
    for frame in (-1, 80):
        with pytest.raises(ValueError, match=f"expected 0 to 79, got {frame}"):
            render(scene, frame)
    with pytest.raises(ValueError, match="got 0 x 80"):
        render(scene, 0, 0, 80)


def test_all_frames_are_rendered_in_order() -> None:
    scene = Scene.from_seed(1, duration_s=2.0)
    images = render_all(scene, 64, 48)
    assert images.shape == (20, 48, 64, 3)
    np.testing.assert_array_equal(images[7], render(scene, 7, 64, 48))


@pytest.mark.parametrize("seed", range(4))
def test_boxes_contain_what_is_drawn_of_each_person(seed: int) -> None:
    scene = Scene.from_seed(seed, difficulty=1.0)
    people = tuple(
        replace(
            p, box_side=0, acts=tuple(a for a in p.acts if a.name not in ("pick_up", "put_down"))
        )
        for p in scene.people
    )
    scene = replace(scene, people=people, foreground=())
    for index in range(len(scene.people)):
        alone = replace(scene, people=(scene.people[index],))
        nobody = replace(scene, people=())
        for frame in range(0, 80, 11):
            changed = (render(alone, frame) != render(nobody, frame)).any(-1)
            ys, xs = np.nonzero(changed)
            x1, y1, x2, y2 = scene.boxes_xyxy_px[index, frame]
            drawn = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
            # Anti-aliasing and the rounding of a limb may add two pixels.
            np.testing.assert_allclose(drawn, [x1, y1, x2, y2], atol=3)
            assert drawn[0] >= x1 - 2
            assert drawn[1] >= y1 - 2
            assert drawn[2] <= x2 + 2
            assert drawn[3] <= y2 + 2


def test_small_pictures_show_what_large_ones_do() -> None:
    scene = Scene.from_seed(2, difficulty=0.0)
    large = render(scene, 30).astype(float).reshape(120, 4, 160, 4, 3).mean((1, 3))
    small = render(scene, 30, 160, 120).astype(float)
    assert np.abs(large - small).mean() < 3


def test_standing_people_sway_enough_to_be_seen() -> None:
    scene = Scene.from_seed(1, difficulty=0.0)
    still = replace(scene, people=tuple(replace(p, acts=()) for p in scene.people))
    moved = (render(still, 0) != render(still, 12)).any(-1)
    for box in still.boxes_xyxy_px[:, 0].astype(int):
        assert moved[box[1] : box[3], box[0] : box[2]].sum() > 20


def test_what_stands_in_front_hides_people() -> None:
    scene = Scene.from_seed(1, difficulty=0.0)
    x1, y1, x2, y2 = scene.boxes_xyxy_px[0, 0]
    block = Prop(np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)]), 0.0, (1, 2, 3), body=False)
    hidden = render(replace(scene, foreground=(block,)), 0)
    middle = hidden[round(float(y1 + y2) / 2), round(float(x1 + x2) / 2)]
    assert (
        middle.tolist()
        != render(scene, 0)[round(float(y1 + y2) / 2), round(float(x1 + x2) / 2)].tolist()
    )
    assert np.abs(middle.astype(int) - np.array((1, 2, 3)) * scene.gain).max() <= 1
