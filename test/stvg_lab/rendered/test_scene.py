# SPDX-License-Identifier: Apache-2.0

"""Scenes: equal seeds, actions inside the window, and arguments that are refused."""

from dataclasses import replace

import numpy as np
import pytest

from stvg_lab.rendered.character import CARTON_REACH, Prop, figure_box
from stvg_lab.rendered.scene import ACTIONS, SHIRTS, Act, Person, Scene

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
        ({"people": 0}, "people: expected 1 to 6, got 0"),
        ({"people": 7}, "people: expected 1 to 6, got 7"),
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
    assert 2 <= len(scene.people) <= 6
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
    person = Scene.from_seed(0).people[0]
    person = replace(person, acts=(), box_side=0, look=replace(person.look, bag=None, hat_rgb=None))
    x1, y1, x2, y2 = figure_box(person.figure(0, 10.0))
    assert y2 - y1 == pytest.approx(person.height_px, rel=0.06)
    assert 0.25 < (x2 - x1) / (y2 - y1) < 0.5


def test_a_raised_arm_and_a_crouch_change_the_box() -> None:
    person = Scene.from_seed(0).people[0]
    plain = replace(person.look, bag=None, hat_rgb=None)
    person = replace(person, look=plain, acts=(Act("wave", 10, 40, 0.0, 1),))
    standing, waving = (figure_box(person.figure(frame, 10.0)) for frame in (0, 25))
    assert waving[2] - waving[0] > 1.2 * (standing[2] - standing[0])
    person = replace(person, acts=(Act("sit", 10, 40, 0.0, 1),))
    low = figure_box(person.figure(30, 10.0))
    assert low[3] - low[1] < 0.8 * (standing[3] - standing[1])


def test_stamps_are_whole_nanoseconds() -> None:
    stamps = Scene.from_seed(0, fps=30.0).stamps_ns
    assert stamps.dtype == np.int64
    assert stamps[:3].tolist() == [0, 33333333, 66666667]


def first_with(action: str, people: int | None = None) -> tuple[Scene, Person, Act]:
    for seed in range(400):
        scene = Scene.from_seed(seed, people=people)
        for person in scene.people:
            for act in person.acts:
                if act.name == action:
                    return scene, person, act
    raise AssertionError(f"no scene with {action}")


def carton(person: Person, frame: int) -> Prop:
    (found,) = [prop for prop in person.figure(frame, 10.0) if not prop.body]
    return found


@pytest.mark.parametrize(("action", "before", "after"), [("pick_up", 0, 1), ("put_down", 1, 0)])
def test_a_carton_changes_between_floor_and_hands(action: str, before: int, after: int) -> None:
    _, person, act = first_with(action)
    middles = [carton(person, frame).points_px.mean(0) for frame in (0, 79)]
    floor = (
        person.x_at(act.start_frame) + act.side * CARTON_REACH * person.height_px,
        person.ground_y_px,
    )
    for middle, carried in zip(middles, (before, after), strict=True):
        if carried:
            assert person.ground_y_px - middle[1] > 0.4 * person.height_px
        else:
            np.testing.assert_allclose(middle, floor, atol=0.1 * person.height_px)
    assert [person.carries(0), person.carries(79)] == [bool(before), bool(after)]
    names = [other.name for other in person.acts]
    assert names.index(action) == (len(names) - 1 if action == "pick_up" else 0)


def test_nobody_lifts_and_lays_down() -> None:
    for seed in SEEDS:
        for person in Scene.from_seed(seed, people=6).people:
            assert not {"pick_up", "put_down"} <= set(person.actions)


def test_one_who_turns_shows_no_face() -> None:
    _, person, act = first_with("turn")

    def skin(frame: int) -> list[float]:
        props = person.figure(frame, 10.0)
        top = person.ground_y_px - 0.9 * person.height_px
        return [
            p.radius_px for p in props if p.rgb == person.look.skin_rgb and p.points_px[0, 1] < top
        ]

    assert skin(0)
    assert not skin((act.start_frame + act.end_frame) // 2)


def test_two_meet_at_the_same_time_and_their_hands_touch() -> None:
    seen = 0
    for seed in range(60):
        scene = Scene.from_seed(seed)
        met = [(p, a) for p in scene.people for a in p.acts if a.name == "meet"]
        assert len(met) in (0, 2)
        if met:
            (left, first), (right, second) = sorted(met, key=lambda pair: pair[1].to_x_px)
            assert (first.start_frame, first.end_frame) == (second.start_frame, second.end_frame)
            assert (first.side, second.side) == (1, -1)
            middle = (first.start_frame + first.end_frame) // 2
            boxes = [figure_box(person.figure(middle, 10.0)) for person in (left, right)]
            assert abs(boxes[0][2] - boxes[1][0]) < 0.15 * left.height_px
            seen += 1
    assert seen > 10


def test_looks_bags_and_the_camera_vary() -> None:
    scenes = [Scene.from_seed(seed, difficulty=1.0) for seed in range(60)]
    looks = [person.look for scene in scenes for person in scene.people]
    assert {look.bag for look in looks} == {None, "backpack", "handbag"}
    assert {look.long_hair for look in looks} == {False, True}
    assert {look.hat_rgb is None for look in looks} == {False, True}
    assert {len(scene.people) for scene in scenes} == {2, 3, 4, 5, 6}
    assert 10 < sum(bool(scene.foreground) for scene in scenes) < 50
    reach = [np.ptp(scene.shake_px[:, 0]) for scene in scenes]
    assert 10 < sum(value > 10 for value in reach) < 50
    calm = Scene.from_seed(3, difficulty=0.0)
    assert not calm.shake_px.any()
    assert calm.foreground == ()


def test_true_boxes_follow_the_camera() -> None:
    scene = next(
        s
        for s in (Scene.from_seed(seed, people=2, difficulty=1.0) for seed in range(50))
        if np.ptp(s.shake_px[:, 0]) > 15
    )
    still = replace(scene, shake_px=np.zeros_like(scene.shake_px))
    moved = scene.boxes_xyxy_px - still.boxes_xyxy_px
    inside = (scene.boxes_xyxy_px[..., 0] > 0) & (still.boxes_xyxy_px[..., 0] > 0)
    expected = np.broadcast_to(scene.shake_px[:, 0], inside.shape)
    np.testing.assert_allclose(moved[..., 0][inside], expected[inside], atol=1e-3)


def test_everybody_is_in_the_picture_unless_people_enter() -> None:
    for seed in range(8):
        assert Scene.from_seed(seed).visible.all()


def test_people_enter_leave_and_are_cut_off_by_the_edge() -> None:
    scenes = [Scene.from_seed(seed, entering=True) for seed in range(12)]
    shown = [row for scene in scenes for row in scene.visible]
    assert any(not row[0] and row[-1] for row in shown)  # enters
    assert any(row[0] and not row[-1] for row in shown)  # leaves
    for row in shown:
        assert row.any()
        assert (np.diff(np.flatnonzero(row)) == 1).all()  # once
    edges = [s.boxes_xyxy_px[s.visible.all(axis=1)][..., [0, 2]] for s in scenes]
    cut = [(x[..., 0] <= 0).all(1) | (x[..., 1] >= 640).all(1) for x in edges]
    assert any(each.any() for each in cut)


def test_entering_changes_neither_looks_nor_rooms() -> None:
    plain, entering = (Scene.from_seed(5, entering=value) for value in (False, True))
    assert [p.look for p in plain.people] == [p.look for p in entering.people]
    assert np.array_equal(plain.shake_px, entering.shake_px)
    assert plain.foreground == entering.foreground
