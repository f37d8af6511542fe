"""Sentences about scenes: one target, or truly none."""

import re

import numpy as np
import pytest

from stvg_ros.evaluation.synthetic.queries import (
    SPLIT_SEEDS,
    matching,
    phrased,
    query_for,
    scene_queries,
    spans,
    split_seed,
    true_tube,
    vocabulary,
)
from stvg_ros.evaluation.synthetic.scene import Scene

SEEDS = range(25)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_target_is_unique_and_an_absent_one_is_absent(seed: int) -> None:
    scene = Scene.from_seed(seed)
    queries = scene_queries(scene, seed=3)
    assert any(query.target is not None for query in queries)
    assert any(query.target is None for query in queries)
    for query in queries:
        fitting = [
            index
            for index, person in enumerate(scene.people)
            if query.shirt in (None, person.shirt)
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


@pytest.mark.parametrize(
    ("kind", "shirt", "act"),
    [
        ("poem", "red", None),
        ("attribute", None, None),
        ("action", None, None),
        ("combined", "red", None),
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
        tube = true_tube(scene, query)
        count = query.end_frame - query.start_frame
        assert tube.stamps_ns.shape == (count,)
        assert tube.boxes_xyxy_px.shape == (count, 4)
        if query.target is not None:
            np.testing.assert_array_equal(
                tube.boxes_xyxy_px[0], scene.boxes_xyxy_px[query.target, query.start_frame]
            )
            assert (query.start_frame, query.end_frame) in spans(scene, query.target, query.act)
