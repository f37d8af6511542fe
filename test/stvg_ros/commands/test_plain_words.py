# SPDX-License-Identifier: Apache-2.0

"""The same description in the fewest plain words, or as it was said."""

from __future__ import annotations

import pytest

from stvg_ros.commands.plain_words import plain_words

SAID = [
    ("somebody who has an orange coat on and puts the left hand up",
     "the person wearing an orange coat who raises the left arm"),
    ("In the room a woman in a crimson blouse drinks from the cup",
     "the woman wearing a red blouse who drinks"),
    ("someone in grey clothes is there and takes a seat on the chair",
     "the person in gray who sits down"),
    ("a guy with a backpack on who is walking to the left side",
     "the man with a backpack who walks left"),
    ("the person dressed in a white t-shirt with a handbag",
     "the person wearing a white t-shirt with a handbag"),
    ("a person holding both arms up", "the person who raises both arms"),
    ("the person pointing to the right", "the person who points right"),
    ("somebody folding their arms", "the person who crosses the arms"),
    ("someone who gets up from a chair", "the person who stands up"),
    ("someone lying down on the floor", "the person who lies"),
    ("a person turning their back to the camera",
     "the person who turns the back to the camera"),
    ("somebody who comes into the room", "the person who enters"),
    ("the waving person", "the person who waves"),
    ("people who wear the red coat", "the person wearing a red coat"),
    ("people wear a red coat", "the person wearing a red coat"),
    ("people who raise their left arm", "the person who raises the left arm"),
    ("everyone in red", "the person in red"),
    ("all people in blue shirts", "the person wearing a blue shirt"),
    ("the sitting man who waves at the camera", "the man who sits and waves"),
    ("a person who is at the left side of somebody wearing green clothes",
     "the person left of the person in green"),
    ("the man in black who is behind a woman who wears a blue coat",
     "the man in black behind the woman wearing a blue coat"),
    ("a person who is between the person in red and the person who wears blue",
     "the person between the person in red and the person in blue"),
    ("someone holding the red box in the hands", "the person who holds the red box"),
    ("a person walking with a blue ball in the hands", "the person who carries a blue ball"),
    ("the person who walks left with the box in his hands",
     "the person who walks left and holds the box"),
    ("the person who carries a red ball and waves",
     "the person who waves and carries a red ball"),
    ("the man who holds a cup and walks", "the man who walks and holds a cup"),
    ("the person picking a box up", "the person who picks up a box"),
    ("the person who lifts the green cup from the floor",
     "the person who picks up the green cup"),
    ("somebody in red puts a box on the ground", "the person in red who puts down a box"),
]  # fmt: skip
KEPT = [
    "the person without a coat",
    "the person who is not sitting",
    "the tall person in red",
    "the person on the left",
    "the two people in red",
    "nobody in red",
    "the first person in red who waves",
    "the person in red who waves first",
    "the person who waved two minutes ago",
    "the person in the kitchen",
    "the person wearing a hat",
    "the person in a striped shirt",
    "the person in a dark red coat",
    "the person in a red and black jacket",
    "the person in a coat and black trousers",
    "the person with a red backpack",
    "the woman with blond hair",
    "the person who walks slowly",
    "the person who walks away",
    "the person who stands, then waves",
    "the person who sits down after waving",
    "the person waving his left hand",
    "the person who raises an arm",
    "the person sitting down",
    "the child who jumps",
    "the dog",
    "the person left of the door",
    "the person near the person in red",
    "the person left of the tall person",
    "the person who drinks coffee",
    "the person who looks away",
    "the person who picks up a red phone",
    "the person who kicks the ball",
    "the person who has a red box",
    "the person with the ball and a cup in the hands",
    "the person who holds a big box",
    "the person who puts the box on the table",
    "the red box that is on the floor",
    "das ist kein englischer Satz",
    "",
]


@pytest.mark.parametrize(("text", "plain"), SAID)
def test_the_same_in_plain_words(text: str, plain: str) -> None:
    assert plain_words(text) == plain


@pytest.mark.parametrize("text", KEPT)
def test_what_plain_words_do_not_cover_stays_as_it_was_said(text: str) -> None:
    assert plain_words(text) == text


@pytest.mark.parametrize("plain", sorted({plain for _, plain in SAID}))
def test_plain_words_stay(plain: str) -> None:
    assert plain_words(plain) == plain
