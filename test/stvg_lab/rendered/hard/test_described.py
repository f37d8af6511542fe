# SPDX-License-Identifier: Apache-2.0

"""RoboCup's descriptions: 50 of them, each of one of four people."""

from __future__ import annotations

import pytest
from hard_facts import frames_of

from stvg_lab.rendered.hard.described import PEOPLE, described_scene, descriptions
from stvg_lab.rendered.queries import split_seed
from stvg_lab.rendered.scene_questions import asked_scene
from stvg_ros.commands.reader import grammar_reader


def test_the_descriptions_are_gestures_poses_and_clothes() -> None:
    made = descriptions()
    assert [one.kind for one in made] == ["gesture"] * 5 + ["pose"] * 3 + ["garment"] * 42
    assert len({one.words for one in made}) == len({one.claim for one in made}) == 50
    reader = grammar_reader("rules")
    for one in made:
        command = reader.read(f"find the {one.words}")
        assert command.features and not command.problems, one.words


@pytest.mark.parametrize("number", [*range(8), *range(8, 50, 5), 57])
def test_one_of_four_people_is_described(number: int) -> None:
    scene, (present, absent) = described_scene(split_seed("robocup", number), number)
    assert len(scene.people) == PEOPLE
    assert present.text == f"find the {descriptions()[number % 50].words}"
    frames = {
        index: found
        for index, actor in enumerate(scene.people)
        if (found := frames_of(scene, actor, present.claim))  # type: ignore[arg-type]
    }
    assert frames == {present.target: list(range(present.start_frame, present.end_frame))}
    assert absent.target is None and absent.text != present.text
    for actor in scene.people:
        assert not frames_of(scene, actor, absent.claim)  # type: ignore[arg-type]


def test_the_split_asks_for_each_description_in_turn() -> None:
    scene, asked = asked_scene("robocup", 3)
    assert asked[0].query.text == "find the person pointing to the left"
    assert [one.present for one in asked] == [True, False]
    assert len(asked[0].people) == len(scene.people) == PEOPLE
    assert asked[0].truth.span.any()
