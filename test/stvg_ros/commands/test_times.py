# SPDX-License-Identifier: Apache-2.0

"""Commands about somebody who was seen before."""

from __future__ import annotations

import pytest

from stvg_ros.commands.reader import grammar_reader

RULES = grammar_reader("rules")


@pytest.mark.parametrize(
    ("text", "target", "action"),
    [
        ("find the person who gave me the cup again",
         "the person who gave me the cup", "who gave me the cup"),
        ("find the man in red once more and tell him the time", "the man in red", ""),
        ("look for the woman in the blue coat again please", "the woman in the blue coat", ""),
        ("follow the person who waved again.", "the person who waved", "who waved"),
    ],
)  # fmt: skip
def test_again_is_read_and_is_no_part_of_the_description(text, target, action):
    command = RULES.read(text)
    assert (command.again, command.target, command.action) == (True, target, action)
    assert command.json()["again"] is True


def test_again_and_a_time():
    command = RULES.read("find the person who was waving two minutes ago again")
    assert (command.again, command.time.start_s, command.time.end_s) == (True, 132.0, 108.0)
    assert command.target == "the person who was waving"


@pytest.mark.parametrize(
    "text",
    [
        "the person who waves again",  # a description: a second wave
        "how many people jump again",
        "find the person in red",
        "tell me when somebody enters again",
    ],
)
def test_other_sentences_do_not_mean_somebody_again(text):
    assert not RULES.read(text).again
