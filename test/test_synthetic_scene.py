"""Scenes: equal seeds, actions inside the window, and arguments that are refused."""

from dataclasses import replace

import numpy as np
import pytest

from stvg_ros.evaluation.synthetic.figure import figure_box
from stvg_ros.evaluation.synthetic.scene import ACTIONS, SHIRTS, Act, Scene

SEEDS = range(30)


def test_equal_seeds_give_equal_scenes() -> None:
    first, second, other = Scene.from_seed(7), Scene.from_seed(7), Scene.from_seed(8)
    assert first.people == second.people
    assert first.background == second.background
    np.testing.assert_array_equal(first.shake_px, second.shake_px)
    assert first.people != other.people


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed: expected 0 or more, got -1"),
        ({"people": 0}, "people: expected 1 to 4, got 0"),
        ({"people": 5}, "people: expected 1 to 4, got 5"),
        ({"duration_s": 0.0}, "at least 20 frames, got duration_s=0.0"),
        ({"duration_s": float("nan")}, "at least 20 frames"),
        ({"fps": 0.0}, "at least 20 frames"),
        ({"width": 10}, "at least 64 x 64, got 10 x 480"),
        ({"difficulty": 1.5}, "difficulty: expected 0 to 1, got 1.5"),
    ],
)
def test_impossible_scenes_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scene.from_seed(**{"seed": 0, **arguments})  # type: ignore[arg-type]


def test_impossible_actions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Act\.name"):
        Act("swim", 0, 5, 0.0, 1)
    with pytest.raises(ValueError, match=r"got \[5, 5\)"):
        Act("wave", 5, 5, 0.0, 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_actions_lie_in_the_window_and_do_not_overlap(seed: int) -> None:
    scene = Scene.from_seed(seed)
    assert 2 <= len(scene.people) <= 4
    assert any(person.acts for person in scene.people)
    for person in scene.people:
        assert person.shirt in SHIRTS
        ends = [0]
        for act in person.acts:
            assert act.name in ACTIONS
            assert ends[-1] <= act.start_frame < act.end_frame < scene.frame_count
            ends.append(act.end_frame)


@pytest.mark.parametrize("seed", SEEDS)
def test_people_with_the_same_shirt_share_no_action(seed: int) -> None:
    people = Scene.from_seed(seed, people=4).people
    for i, first in enumerate(people):
        for second in people[:i]:
            if first.shirt == second.shirt:
                assert not set(first.actions) & set(second.actions)


@pytest.mark.parametrize("seed", SEEDS)
def test_walks_cross_a_fifth_of_the_image_and_others_stay(seed: int) -> None:
    scene = Scene.from_seed(seed)
    for person in scene.people:
        for act in person.acts:
            moved = person.x_at(act.end_frame) - person.x_at(act.start_frame)
            sign = {"walk_left": -1, "walk_right": 1}.get(act.name, 0)
            assert sign * moved >= 0.2 * scene.width if sign else moved == 0
            assert 0 <= person.x_at(act.end_frame) <= scene.width


def test_boxes_have_the_documented_shape_and_stay_in_the_image() -> None:
    scene = Scene.from_seed(3, people=3, width=320, height=240)
    boxes = scene.boxes_xyxy_px
    assert boxes.shape == (3, 80, 4)
    assert boxes.dtype == np.float32
    assert boxes.min() >= 0
    assert boxes[..., [0, 2]].max() <= 320
    assert boxes[..., [1, 3]].max() <= 240
    assert (boxes[..., 2:] > boxes[..., :2]).all()


def test_figures_have_human_proportions() -> None:
    person = replace(Scene.from_seed(0).people[0], acts=())
    x1, y1, x2, y2 = figure_box(person.figure(0, 10.0))
    assert y2 - y1 == pytest.approx(person.height_px, rel=0.06)
    assert 0.25 < (x2 - x1) / (y2 - y1) < 0.5


def test_a_raised_arm_and_a_crouch_change_the_box() -> None:
    person = replace(Scene.from_seed(0).people[0], acts=(Act("wave", 10, 40, 0.0, 1),))
    standing, waving = (figure_box(person.figure(frame, 10.0)) for frame in (0, 25))
    assert waving[2] - waving[0] > 1.2 * (standing[2] - standing[0])
    person = replace(person, acts=(Act("sit", 10, 40, 0.0, 1),))
    low = figure_box(person.figure(30, 10.0))
    assert low[3] - low[1] < 0.8 * (standing[3] - standing[1])


def test_stamps_are_whole_nanoseconds() -> None:
    stamps = Scene.from_seed(0, fps=30.0).stamps_ns
    assert stamps.dtype == np.int64
    assert stamps[:3].tolist() == [0, 33333333, 66666667]
