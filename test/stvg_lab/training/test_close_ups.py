# SPDX-License-Identifier: Apache-2.0

"""Close-ups as training clips: what they show, and which sentences are true of it."""

from __future__ import annotations

import numpy as np

from stvg_lab.rendered.hard.claims import Truth
from stvg_lab.rendered.hard.hard_queries import HardQuery, count_questions, hard_queries
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.queries import TRAIN_HARD, scene_queries, split_seed
from stvg_lab.rendered.scene import Scene
from stvg_lab.training.close_ups import close_ups, counted_queries
from stvg_lab.training.drawn_clips import draw_hard_clip
from stvg_lab.training.hard_clips import HARD_ARRAYS, NOBODY, QUESTIONS, TRAITS, UNUSED
from stvg_lab.training.packed_questions import COLUMNS, ROWS

NUMBER = 3
SCENE = HardScene.from_seed(split_seed(TRAIN_HARD, NUMBER), fps=5.0)
TRUTH = Truth(SCENE)
QUERIES = [q for more in range(4) for q in hard_queries(SCENE, TRAIN_HARD, NUMBER + more, TRUTH)]
COUNTED = counted_queries(SCENE, TRAIN_HARD, NUMBER, TRUTH)


def texts_of(clip):  # type: ignore[no-untyped-def]
    lines = [bytes(text).rstrip(b"\0").decode() for text in clip.texts]
    return {line: int(owner) for line, owner in zip(lines, clip.owners, strict=True) if line}


def test_the_owner_fills_the_middle() -> None:
    clips = close_ups(SCENE, QUERIES, np.random.default_rng(0), COUNTED, most=20)
    assert len(clips) > 2
    for clip in clips:
        for name, (shape, _) in HARD_ARRAYS.items():
            assert getattr(clip, name).shape == shape, name
        cover = clip.cover[0].reshape(-1, ROWS, COLUMNS)
        assert not clip.cover[1:].any()
        assert not cover[..., 0].any() and not cover[..., -1].any()  # the grey frame
        assert cover.max() > 0.5 and (cover.max((1, 2)) > 0).all()
        assert (clip.frames[:, :, :8] == clip.frames[:1, :1, :1]).all(axis=(1, 2)).any()
        assert clip.traits[0].any(axis=1).all() and not clip.traits[1:].any()


def test_sentences_about_the_owner_are_true_and_others_are_not() -> None:
    by_text = {query.text.rstrip("."): query for query in QUERIES}
    meant = {query.target for query in QUERIES if query.target is not None}
    said: set[int] = set()
    for clip in close_ups(SCENE, QUERIES, np.random.default_rng(1), most=20):
        asked = texts_of(clip)
        owners = {by_text[text].target for text, owner in asked.items() if owner == 0}
        (owner,) = owners  # a close-up shows one
        assert owner in meant
        said.add(owner)
        assert 0 < sum(one == 0 for one in asked.values()) <= QUESTIONS // 2
        for text, one in asked.items():
            query = by_text[text]
            assert (one == 0) == (query.target == owner), text
            assert one in (0, NOBODY)
            assert query.kind not in ("relation", "order")
            assert query.of_things == (owner >= len(SCENE.people))
        names = {TRAITS[i] for i in np.flatnonzero(clip.traits[0].any(0))}
        if owner < len(SCENE.people):
            assert {SCENE.people[owner].colour, SCENE.people[owner].garment} <= names
        else:
            assert SCENE.things[owner - len(SCENE.people)].kind in names
    assert len(said) > 1


def test_what_is_counted_is_asked_of_each_person() -> None:
    questions = count_questions(SCENE, TRAIN_HARD, NUMBER)
    assert [len(one.spans) for one in COUNTED] == [one.number for one in questions]
    assert all(one.text.startswith("people ") for one in COUNTED)
    for one, asked in zip(COUNTED, questions, strict=True):
        for person in range(len(SCENE.people)):
            query = one.about(person)
            there = TRUTH.mask(asked.claim, person)
            assert (query.target == person) == bool(there.any())
            assert not there[: query.start_frame].any() and not there[query.end_frame :].any()
    counted = {one.text for one in COUNTED}
    every = [text for clip in close_ups(SCENE, QUERIES, np.random.default_rng(2), COUNTED, most=20)
             for text in texts_of(clip)]  # fmt: skip
    assert counted & set(every)


def test_plain_scenes_have_close_ups_too() -> None:
    scene = Scene.from_seed(split_seed("train", 5))
    queries = scene_queries(scene, 5)
    (clip,) = close_ups(scene, queries, np.random.default_rng(0))
    kinds = {query.text.rstrip("."): query.kind for query in queries}
    assert {kinds[text] for text in texts_of(clip)} & {"attribute", "combined"}
    assert "relation" not in {kinds[text] for text in texts_of(clip)}


def test_nobody_is_shown_without_a_sentence() -> None:
    absent = [HardQuery("the person in pink", "", "", None, 0, 0, "garment", None, None)]
    assert close_ups(SCENE, absent, np.random.default_rng(0)) == []


def test_close_ups_are_drawn_beside_whole_pictures() -> None:
    alone = 0
    for seed in range(6):
        clip = draw_hard_clip(np.random.default_rng(seed))
        alone += not clip.cover[1:].any()
        assert (clip.owners != UNUSED).sum() > 3
    assert 0 < alone < 6
