# SPDX-License-Identifier: Apache-2.0

"""Hard scenes: conditions, boxes, joints, poses and things against what is drawn."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from stvg_lab.rendered.garments import GARMENTS
from stvg_lab.rendered.hard.actor import LYING, SITTING, STANDING, Actor, Doing
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.hard.scene_conditions import CONDITIONS
from stvg_lab.rendered.picture_conditions import PictureCondition
from stvg_lab.rendered.render import render
from stvg_lab.rendered.scene_generator import COLOURS

SEEDS = range(12)  # each condition once
SHOULDERS, WRISTS, HIPS, KNEES = (5, 6), (9, 10), (11, 12), (13, 14)


@lru_cache(maxsize=32)
def scene_of(seed: int) -> HardScene:
    return HardScene.from_seed(seed)


def doings(*names: str) -> Iterator[tuple[HardScene, int, Actor, Doing]]:
    for seed in range(30):
        scene = scene_of(seed)
        for index, actor in enumerate(scene.people):
            for doing in actor.doings:
                if doing.name in names:
                    yield scene, index, actor, doing


@lru_cache(maxsize=32)
def still(scene: HardScene) -> HardScene:
    """The scene in a clean picture of a camera that does not move, without a foreground."""
    views = np.tile(np.eye(2, 3), (scene.frame_count, 1, 1))
    return replace(
        scene, views=views, condition=PictureCondition(), figure_light=1.0, foreground=()
    )


def test_equal_seeds_give_equal_scenes() -> None:
    first, second = HardScene.from_seed(5), HardScene.from_seed(5)
    assert (first.people, first.things) != (scene_of(6).people, scene_of(6).things)
    assert repr((first.people, first.things)) == repr((second.people, second.things))
    np.testing.assert_array_equal(first.boxes_xyxy_px, second.boxes_xyxy_px)
    np.testing.assert_array_equal(render(first, 30, 320, 240), render(second, 30, 320, 240))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"seed": -1}, "seed: expected 0 or more, got -1"),
     ({"duration_s": 2.0}, "at least 40 frames, got duration_s=2.0")],
)  # fmt: skip
def test_impossible_scenes_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HardScene.from_seed(**{"seed": 0, **arguments})  # type: ignore[arg-type]


def test_every_condition_has_an_equal_share() -> None:
    first = [HardScene.from_seed(seed).conditions[0] for seed in SEEDS]
    assert sorted(first) == sorted(CONDITIONS)


@pytest.mark.parametrize("seed", SEEDS)
def test_boxes_fit_what_is_drawn(seed: int) -> None:
    """Of people and things, by a camera that pans, turns and comes nearer or not."""
    scene = replace(scene_of(seed), condition=PictureCondition(), foreground=(), figure_light=1.0)
    nobody = replace(scene, people=(), things=())
    for index, actor in enumerate(scene.people):
        alone = replace(scene, people=(actor,), things=())
        for frame in (3, 37, 71):
            changed = (render(alone, frame) != render(nobody, frame)).any(-1)
            if SITTING in dict(actor.poses):  # the chair is not part of the box
                continue
            ys, xs = np.nonzero(changed)
            if not len(xs):
                assert not scene.visible[index, frame]
                continue
            drawn = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            box = scene.boxes_xyxy_px[index, frame]
            if (box == scene._whole_boxes[index, frame]).all():
                np.testing.assert_allclose(drawn, box, atol=3)
            else:  # what is cut off counts for the sides that are left
                assert (np.array(drawn[:2]) >= box[:2] - 3).all()
                assert (np.array(drawn[2:]) <= box[2:] + 3).all()


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_boxes_of_things_fit_what_is_drawn(seed: int) -> None:
    scene = replace(scene_of(seed), condition=PictureCondition(), foreground=(), figure_light=1.0)
    assert scene.things
    for number, thing in enumerate(scene.things):
        index = len(scene.people) + number
        without = replace(scene, things=scene.things[:number] + scene.things[number + 1 :])
        for frame in (3, 40, 75):
            changed = (render(scene, frame) != render(without, frame)).any(-1)
            if not changed.any():
                continue  # hidden by somebody
            ys, xs = np.nonzero(changed)
            x1, y1, x2, y2 = scene.boxes_xyxy_px[index, frame]
            assert xs.min() >= x1 - 3 and xs.max() <= x2 + 3, thing
            assert ys.min() >= y1 - 3 and ys.max() <= y2 + 3, thing


def test_raised_arms_are_the_persons_own() -> None:
    seen = set()
    for scene, index, actor, doing in doings("raise left arm", "raise right arm"):
        points, _ = still(scene).joints_px(index, int(doing.middle))
        up = [points[wrist, 1] < points[shoulder, 1] - 0.1 * actor.height_px
              for wrist, shoulder in zip(WRISTS, SHOULDERS, strict=True)]  # fmt: skip
        assert up == ([True, False] if doing.name == "raise left arm" else [False, True])
        # Who faces the camera has the own left at the image's right.
        assert (points[5, 0] > points[6, 0]) != actor.away
        seen.add((doing.name, actor.away))
    assert len(seen) == 4


def test_pointing_is_to_a_side_of_the_image() -> None:
    names = set()
    for scene, index, actor, doing in doings("point left", "point right"):
        points, _ = still(scene).joints_px(index, int(doing.middle))
        reach = points[list(WRISTS), 0] - actor.x_at(int(doing.middle))
        far = reach[np.abs(reach).argmax()]
        assert np.sign(far) == (-1 if doing.name == "point left" else 1)
        names.add(doing.name)
    assert len(names) == 2


def test_gestures_have_ended_outside_of_their_spans() -> None:
    for scene, index, actor, doing in doings("raise left arm", "raise both arms"):
        for frame in (doing.start_frame - 1, doing.end_frame):
            if 0 <= frame < scene.frame_count and actor.doing_at(frame) is None:
                points, _ = still(scene).joints_px(index, frame)
                assert points[9, 1] > points[5, 1]


def test_poses_have_their_geometry() -> None:
    seen = set()
    for seed in range(30):
        scene = still(scene_of(seed))
        for index, actor in enumerate(scene.people):
            for frame in (0, 79):
                name = actor.pose_name(frame)
                if actor.doing_at(frame) is not None:
                    continue
                points, _ = scene.joints_px(index, frame)
                x1, y1, x2, y2 = scene._whole_boxes[index, frame]
                hips, knees = points[list(HIPS), 1].mean(), points[list(KNEES), 1].mean()
                tall = actor.height_px
                assert (name == LYING) == (x2 - x1 > 1.3 * (y2 - y1)), (seed, index)
                if name == STANDING:
                    assert knees - hips > 0.2 * tall
                if name == SITTING:
                    assert abs(knees - hips) < 0.15 * tall
                seen.add(name)
    assert seen == {"standing", "sitting", "lying", "kneeling"}


def test_held_things_are_at_the_hands() -> None:
    kinds = set()
    for seed in range(24):
        scene = still(scene_of(seed))
        for number, thing in enumerate(scene.things):
            start, end = thing.held_frames(scene.people, scene.frame_count)
            box = scene._whole_boxes[len(scene.people) + number]
            if end > start:
                frame = (start + end) // 2
                points, _ = scene.joints_px(thing.holder, frame)
                middle = box[frame].reshape(2, 2).mean(0)
                apart = np.hypot(*(points[list(WRISTS)] - middle).T).min()
                actor = scene.people[thing.holder]
                assert apart < 0.13 * actor.height_px
                if thing.kind != "box" and actor.doing_at(frame) is None:
                    assert np.sign(middle[0] - actor.x_at(frame)) == actor.hand
                kinds.add(thing.kind)
    assert kinds == {"box", "cup", "ball"}


@pytest.mark.parametrize(("name", "before"), [("pick up", False), ("put down", True)])
def test_a_box_changes_between_floor_and_hands_once(name: str, before: bool) -> None:
    found = 0
    for scene, index, _, doing in doings(name):
        thing = next(t for t in scene.things if t.holder == index)
        start, end = thing.held_frames(scene.people, scene.frame_count)
        held = [start <= frame < end for frame in range(scene.frame_count)]
        change = next(f for f in range(1, scene.frame_count) if held[f] != held[f - 1])
        assert held[0] == before
        assert doing.start_frame < change < doing.end_frame
        assert sum(a != b for a, b in itertools.pairwise(held)) == 1
        actor = scene.people[index]
        assert [bool(actor.holding(f)) for f in range(scene.frame_count)] == held
        box = still(scene)._whole_boxes[len(scene.people) + scene.things.index(thing)]
        floor = box[0 if not before else -1]
        assert floor[3] == pytest.approx(actor.ground_y_px, abs=1)
        found += 1
    assert found > 4


def test_conditions_do_what_they_say() -> None:
    scenes = {name: HardScene.from_seed(99, conditions=(name,)) for name in CONDITIONS}
    assert scenes["dark"].condition.light[1] < 0.12
    assert render(scenes["dark"], 0, 160, 120).mean() < 80
    assert scenes["backlit"].figure_light < 0.75
    assert render(scenes["backlit"], 0, 160, 120)[:30].mean() > 200
    assert scenes["motion blur"].condition.motion > 0.01
    assert scenes["sensor noise"].condition.noise >= 12
    assert 0 < scenes["jpeg"].condition.jpeg <= 20
    turned = np.degrees(np.arcsin(scenes["moving camera"].views[:, 1, 0]))
    assert np.abs(turned).max() > 1
    assert np.ptp(scenes["moving camera"].views[:, 0, 2]) > 20
    assert not np.abs(scenes["clear"].views[:, 1, 0]).any()
    assert all(70 < a.height_px < 120 for a in scenes["far away"].people)
    assert not scenes["entering and leaving"].visible.all()
    assert 6 <= len(scenes["six to ten people"].people) <= 10


def test_half_hidden_people_are_partly_seen() -> None:
    shares = []
    for seed in (3, 15, 27, 39):
        scene = HardScene.from_seed(seed, conditions=("half hidden",))
        shares.append(scene.seen_shares(np.array([40]))[: len(scene.people), 0])
    seen = np.concatenate(shares)
    assert ((seen > 0.25) & (seen < 0.8)).mean() > 0.3


def test_twins_share_all_but_the_time() -> None:
    for seed in (11, 23, 35):
        scene = HardScene.from_seed(seed, conditions=("twins",))
        first, second = scene.people[:2]
        assert (first.colour, first.garment) == (second.colour, second.garment)
        (one,), (other,) = first.doings, second.doings
        assert one.name == other.name
        assert one.end_frame <= other.start_frame or other.end_frame <= one.start_frame


def test_clothes_have_all_colours_and_garments() -> None:
    people = [actor for seed in range(30) for actor in scene_of(seed).people]
    assert {actor.colour for actor in people} == set(COLOURS)
    assert {actor.garment for actor in people} == set(GARMENTS)


def test_a_coat_covers_the_thighs_and_a_t_shirt_leaves_the_forearms_bare() -> None:
    scene = still(scene_of(0))
    model = replace(scene.people[0], first_pose=STANDING, doings=(), holds="", away=False)
    for garment in GARMENTS:
        look = replace(
            model.look, garment=garment, bag=None, shirt_rgb=(200, 40, 40), skin_rgb=(90, 200, 90)
        )
        actor = replace(model, look=look, x_px=320.0, height_px=200.0, ground_y_px=440.0)
        alone = replace(scene, people=(actor,), things=())
        image = render(alone, 0).astype(int)
        points, _ = alone.joints_px(0, 0)
        thigh = image[int(points[11, 1] + 24), int(points[[11, 12], 0].mean() + 10)]
        assert (thigh[0] > 150 and thigh[1] < 80) == (garment == "coat"), garment
        forearm = image[tuple(points[[7, 9]].mean(0)[::-1].astype(int))]
        assert (forearm[1] > 150) == (garment == "t-shirt"), garment


@pytest.mark.parametrize("garment", GARMENTS)
def test_garments_differ_in_shape(garment: str) -> None:
    """Every pair of garments in one colour differs in at least 3 % of the person's box."""
    scene = still(scene_of(0))
    actor = replace(scene.people[0], first_pose=STANDING, doings=(), holds="", takes="", away=False)

    def drawn(name: str) -> np.ndarray:
        worn = replace(actor, look=replace(actor.look, garment=name, bag=None))
        alone = replace(scene, people=(worn,), things=())
        x1, y1, x2, y2 = alone.boxes_xyxy_px[0, 0].astype(int)
        return render(alone, 0)[y1:y2, x1 - 5 : x2 + 5].astype(int)

    own = drawn(garment)
    for other in GARMENTS:
        if other != garment:
            seen = drawn(other)
            rows, columns = (min(a, b) for a, b in zip(own.shape[:2], seen.shape[:2], strict=True))
            apart = np.abs(own[:rows, :columns] - seen[:rows, :columns]).max(-1) > 30
            assert apart.mean() > 0.03, other
