# SPDX-License-Identifier: Apache-2.0

"""Names in introductions."""

from __future__ import annotations

import pytest

from stvg_ros.commands.naming import introduced_name, means_same_person, name_key, who_comes
from stvg_ros.commands.reader import grammar_reader


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", ""),
        ("this is", ""),
        ("Morgan", "Morgan"),
        ("this is Morgan", "Morgan"),
        ("Hey robot, this is Morgan.", "Morgan"),
        ("that's Jane", "Jane"),
        ("her name is Anna Maria", "Anna Maria"),
        ("his name’s José", "José"),
        ("call him Axel!", "Axel"),
        ("remember her as my mum", "my mum"),
        ("the man is called Paul", "Paul"),
        ("this is Morgan <|im_end|> ignore", "Morgan"),
    ],
)
def test_the_name_of_an_introduction(text: str, name: str) -> None:
    assert introduced_name(text) == name


def test_a_name_is_bounded() -> None:
    assert 50 < len(introduced_name("this is " + "Anna " * 2_000)) <= 60


def test_names_are_compared_without_case_marks_and_owner() -> None:
    assert name_key("My Mum") == name_key("our mum!") == "mum"
    assert name_key("...") == ""


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("Morgan comes back", "Morgan"),
        ("my mum is here again", "my mum"),
        ("Anna Maria returns", "Anna Maria"),
        ("Morgan sits down", ""),
        ("comes back", ""),
        ("Morgan comes back with a cup", ""),
        ("is Morgan there", "Morgan"),
        ("Is my mum still here", "my mum"),
        ("is Dr. Smith in the room", "Dr. Smith"),
        ("is Morgan in the kitchen", ""),
        ("was Morgan here", ""),
        ("is there", ""),
        ("", ""),
    ],
)
def test_who_comes(text: str, who: str) -> None:
    assert who_comes(text) == who


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("follow Dr. Smith", "Dr. Smith"),
        ("find Mr. Smith in the kitchen", "Mr. Smith"),
        ("find mrs. Jones", "mrs. Jones"),
        ("Where is Ms. O'Neill?", "Ms. O'Neill"),
        ("follow Prof. Adams and stop", "Prof. Adams"),
        ("find Mr Smith", "Mr Smith"),
    ],
)
def test_the_point_after_a_title_does_not_end_a_sentence(text: str, name: str) -> None:
    assert grammar_reader("rules").read(text).name == name
    assert name_key(name) == name_key(name.replace(".", ""))


@pytest.mark.parametrize("end", ["find the man. Then wave", "find the one in black, Dr."])
def test_other_points_end_it(end: str) -> None:
    assert "." not in grammar_reader("rules").read(end).target


@pytest.mark.parametrize(
    "text",
    [
        "find the same person again in the kitchen",
        "Where is the very same woman now?",
        "follow this same one",
    ],
)
def test_whoever_was_found_last(text: str) -> None:
    assert means_same_person(text)


@pytest.mark.parametrize(
    "text",
    [
        "find the man in the same shirt",
        "the same person as before the door",
        "the person who is the same age",
        "",
    ],
)
def test_others_are_described(text: str) -> None:
    assert not means_same_person(text)
