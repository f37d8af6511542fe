# SPDX-License-Identifier: Apache-2.0

"""Sentences about scenes: one target, or truly none."""

import re
from dataclasses import replace

import numpy as np
import pytest

from stvg_lab.rendered.clips import scene_truth
from stvg_lab.rendered.queries import (
    SPLIT_SEEDS,
    beside,
    matching,
    phrased,
    query_for,
    scene_queries,
    scene_tube,
    spans,
    split_scene,
    split_seed,
    vocabulary,
)
from stvg_lab.rendered.scene import Act, Scene

SEEDS = range(25)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_target_is_unique_and_an_absent_one_is_absent(seed: int) -> None:
    scene = Scene.from_seed(seed)
    queries = scene_queries(scene, seed=3)
    assert any(query.target is not None for query in queries)
    assert any(query.target is None for query in queries)
    for query in queries:
        if query.kind == "relation":
            continue
        fitting = [
            index
            for index, person in enumerate(scene.people)
            if query.shirt in (None, person.shirt)
            and (query.bag in (None, person.bag) or (query.bag == "bag" and person.bag))
            and (
                query.act in (None, *person.actions)
                or (query.act == "walk" and any("walk" in name for name in person.actions))
            )
        ]
        assert fitting == ([] if query.target is None else [query.target])


@pytest.mark.parametrize("seed", SEEDS)
def test_spans_are_those_of_the_action(seed: int) -> None:
    scene = Scene.from_seed(seed)
    for query in scene_queries(scene):
        if query.target is None:
            assert (query.start_frame, query.end_frame) == (0, 0)
        elif query.act in (None, "stand"):
            assert (query.start_frame, query.end_frame) == (0, scene.frame_count)
        else:
            person = scene.people[query.target]
            span = (query.start_frame, query.end_frame)
            assert span in [(act.start_frame, act.end_frame) for act in person.acts]


def test_plain_wordings() -> None:
    assert phrased(None, "attribute", "red", None)[0] == "the person in red"
    assert phrased(None, "action", None, "wave")[0] == "the person who waves"
    text, attribute, action = phrased(None, "combined", "red", "wave")
    assert text == "the person in red who waves"
    assert (attribute, action) == ("the person in red", "the person who waves")
    assert phrased(None, "command", "red", "wave")[0] == "find the person in red who waves"
    assert phrased(None, "sentence", "red", "wave")[0] == "The person in red waves."
    assert phrased(None, "attribute", None, None, bag="backpack")[0] == "the person with a backpack"
    related = phrased(None, "relation", "blue", None, side="left")
    assert related == (2 * ("the person left of the person in blue",)) + ("",)


@pytest.mark.parametrize(
    ("kind", "shirt", "act"),
    [
        ("poem", "red", None),
        ("attribute", None, None),
        ("action", None, None),
        ("combined", "red", None),
        ("relation", "red", None),
    ],
)
def test_wordings_without_their_parts_are_refused(
    kind: str, shirt: str | None, act: str | None
) -> None:
    with pytest.raises(ValueError, match="kind"):
        phrased(None, kind, shirt, act)


def test_a_question_that_fits_two_people_is_not_asked() -> None:
    scene = next(
        scene
        for scene in (Scene.from_seed(seed, people=4) for seed in range(50))
        if len({person.shirt for person in scene.people}) < 4
    )
    shirts = [person.shirt for person in scene.people]
    twice = next(shirt for shirt in shirts if shirts.count(shirt) > 1)
    assert len(matching(scene, twice, None)) > 1
    assert query_for(scene, "attribute", twice, None) is None


def test_wordings_follow_the_seed() -> None:
    scene = Scene.from_seed(0)
    assert scene_queries(scene, 1) == scene_queries(scene, 1)
    assert scene_queries(scene, 1) != scene_queries(scene, 2)


def test_every_word_is_in_the_vocabulary() -> None:
    known = set(vocabulary())
    for seed in SEEDS:
        for query in scene_queries(Scene.from_seed(seed), seed):
            assert set(re.findall(r"[a-z]+", query.text.lower())) <= known


def test_split_seeds_never_meet() -> None:
    assert split_seed("train", 0) == 0
    assert split_seed("train", SPLIT_SEEDS - 1) + 1 == split_seed("val", 0)
    assert split_seed("test", 5) == 2 * SPLIT_SEEDS + 5
    with pytest.raises(ValueError, match="expected one of"):
        split_seed("holiday", 0)
    for index in (-1, SPLIT_SEEDS):
        with pytest.raises(ValueError, match=f"got {index}"):
            split_seed("train", index)


def test_true_tubes_follow_the_target_through_its_span() -> None:
    scene = Scene.from_seed(0)
    for query in scene_queries(scene):
        tube = scene_tube(scene, query)
        count = query.end_frame - query.start_frame
        assert tube.stamps_ns.shape == (count,)
        assert tube.boxes_xyxy_px.shape == (count, 4)
        if query.target is not None:
            np.testing.assert_array_equal(
                tube.boxes_xyxy_px[0], scene.boxes_xyxy_px[query.target, query.start_frame]
            )
            assert (query.start_frame, query.end_frame) in spans(scene, query.target, query.act)


def standing(scene: Scene, *places_px: float) -> Scene:
    """The scene with as many people at these places who do nothing, in shirts of their own."""
    shirts = ("red", "blue", "green")
    people = tuple(
        replace(scene.people[0], x_px=x, acts=(), shirt=shirt, box_side=0)
        for x, shirt in zip(places_px, shirts, strict=False)
    )
    return replace(scene, people=people)


def test_relations_hold_for_one_person_or_nobody() -> None:
    scene = standing(Scene.from_seed(0), 100.0, 300.0, 500.0)
    assert beside(scene, "left", 0) == ()
    assert beside(scene, "left", 1) == (0,)
    assert beside(scene, "left", 2) == (0, 1)
    assert beside(scene, "right", 1) == (2,)
    found = {
        (query.side, query.shirt): query.target
        for query in scene_queries(scene)
        if query.kind == "relation"
    }
    assert found == {
        ("left", "red"): None,
        ("left", "blue"): 0,
        ("right", "blue"): 2,
        ("right", "green"): None,
    }


def test_relations_with_somebody_who_crosses_are_not_asked() -> None:
    scene = standing(Scene.from_seed(0), 100.0, 300.0)
    walk = Act("walk_right", 10, 40, 500.0, 1)
    crossing = replace(scene, people=(replace(scene.people[0], acts=(walk,)), scene.people[1]))
    assert beside(crossing, "left", 1) is None
    assert not [query for query in scene_queries(crossing) if query.kind == "relation"]


def test_a_bag_is_of_either_kind() -> None:
    scene = standing(Scene.from_seed(0), 100.0, 300.0, 500.0)
    bags = ("backpack", "handbag", None)
    people = tuple(
        replace(person, look=replace(person.look, bag=bag))
        for person, bag in zip(scene.people, bags, strict=True)
    )
    scene = replace(scene, people=people)
    assert matching(scene, None, None, "bag") == (0, 1)
    assert matching(scene, None, None, "handbag") == (1,)
    assert matching(scene, "green", None, "bag") == ()
    assert query_for(scene, "attribute", None, None, bag="bag") is None


def test_sentences_tell_the_story_in_several_ones() -> None:
    texts = {
        phrased(np.random.default_rng(seed), "sentence", "red", "wave")[0] for seed in range(60)
    }
    assert any(re.fullmatch(r"[A-Z][^.]*\. [A-Z][^.]*\.", text) for text in texts)
    for text in texts:
        if " she " in text.lower():
            assert "woman" in text


@pytest.mark.parametrize("seed", range(6))
def test_a_person_who_comes_or_leaves_is_asked_for_while_visible(seed: int) -> None:
    scene = split_scene("entering", seed)
    for query in scene_queries(scene):
        truth = scene_truth(scene, query)
        if query.target is not None:
            assert truth.span.any()
            assert not (truth.span & ~scene.visible[query.target]).any(), query
            if query.act is None:
                assert np.array_equal(truth.span, scene.visible[query.target])


def test_a_relation_to_somebody_who_leaves_is_not_asked() -> None:
    scenes = [split_scene("entering", seed) for seed in range(12)]
    gone = [(s, i) for s in scenes for i in range(len(s.people)) if not s.visible[i].all()]
    assert gone
    for scene, person in gone:
        assert beside(scene, "left", person) is None
