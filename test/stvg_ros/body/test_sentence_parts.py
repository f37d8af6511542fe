# SPDX-License-Identifier: Apache-2.0

"""Where features are in a sentence, and which of them happen one after another."""

from __future__ import annotations

import pytest

from stvg_ros.body.sentence_parts import phrases, places, stages
from stvg_ros.commands.command import Feature
from stvg_ros.commands.reader import grammar_reader

READER = grammar_reader("rules")


def test_nothing_has_no_order() -> None:
    assert stages((), "") == []
    assert phrases((), "") == []


@pytest.mark.parametrize(
    ("sentence", "order"),
    [
        ("the man stands, then squats", [["stands"], ["squats"]]),
        ("the person in red who stands and then sits down", [["stands"], ["sits down"]]),
        ("the person who falls and gets up", [["falls"], ["gets up"]]),
        ("the person walks to the left and waves", [["walks to the left", "waves"]]),
        ("the person walks to the left, then waves and jumps",
         [["walks to the left"], ["waves", "jumps"]]),
        ("the person who walks to the right and walks to the left",
         [["walks to the right"], ["walks to the left"]]),
        ("the person walks to the right, sits down, then stands up",
         [["walks to the right"], ["sits down"], ["stands up"]]),
        ("the person who waves before he sits down", [["waves"], ["sits down"]]),
        ("the person who waves after he sits down", [["sits down"], ["waves"]]),
        ("the man is sitting. He waves", [["sitting", "waves"]]),
        ("the sitting man who waves", [["sitting", "waves"]]),
        ("the man stands. Then he does not move, then waves",
         [["stands"], ["not move"], ["waves"]]),
    ],
)  # fmt: skip
def test_the_order_of_what_is_said(sentence: str, order: list[list[str]]) -> None:
    command = READER.read(sentence)
    found = stages(command.features, command.target)
    assert [[command.features[i].text for i in stage] for stage in found] == order


def test_what_lasts_or_is_denied_has_no_time() -> None:
    features = (
        Feature("garment", "shirt", "red shirt", ("red",), part="upper"),
        Feature("gesture", "wave", "wave", negated=True),
        Feature("change", "jump", "jumps"),
    )
    assert stages(features, "red shirt, then does not wave, then jumps") == [[2]]


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("the person in the red jacket who is waving", ["in the red jacket", "who is waving"]),
        ("the waving person in red", ["waving", "in red"]),
        ("the man with blond hair", ["man", "with blond hair"]),
        ("people wearing red shirts", ["wearing red shirts"]),
        ("how many people wear red", ["wearing red"]),
        ("the man who wears a red shirt", ["man", "who wears a red shirt"]),
        ("the person who picks the phone up", ["who picks up", "phone"]),
    ],
)
def test_words_as_they_are_said_of_somebody(sentence: str, said: list[str]) -> None:
    command = READER.read(sentence)
    assert phrases(command.features, command.target)[: len(said)] == said


def test_words_that_are_not_in_the_sentence_have_no_place() -> None:
    features = (Feature("gesture", "wave", "waves"), Feature("gesture", "nod", "nods"))
    assert places(features, "who nods") == [None, (4, 8)]
    assert stages(features, "who nods") == [[1]]
