# SPDX-License-Identifier: Apache-2.0

"""Other words for the same: "has a coat on", "in the room a man ...", "gets up from the chair"."""

from __future__ import annotations

import pytest

from stvg_ros.commands.command import Command
from stvg_ros.commands.reader import grammar_reader

Row = tuple[str, str, str, list[str]]  # sentence, attribute, action, items


def read(text: str) -> Command:
    return grammar_reader("rules").read(text)


def items(command: Command) -> list[str]:
    return [
        " ".join(
            [
                f.kind,
                f.name,
                *([f"[{', '.join(f.colours)}]"] if f.colours else []),
                *([f"({f.side})"] if f.side else []),
            ]
        )
        for f in command.features
    ]


WORN: list[Row] = [
    ("a person who has a blue jacket on and raises their left arm",
     "a person who has a blue jacket on", "raises their left arm",
     ["garment jacket [blue]", "gesture raise arm (left)"]),
    ("somebody who has a coat on", "somebody who has a coat on", "", ["garment coat"]),
    ("the man that has a backpack on and jumps",
     "the man that has a backpack on", "jumps",
     ["noun man", "garment backpack", "change jump"]),
    ("the woman who has got a red hat on and leaves",
     "the woman who has got a red hat on", "leaves",
     ["noun woman", "garment hat [red]", "movement leave"]),
    ("find the person that has got a coat on",
     "the person that has got a coat on", "", ["garment coat"]),
    ("the boy who had his green cap on and waved",
     "the boy who had his green cap on", "waved",
     ["noun boy", "garment cap [green]", "gesture wave"]),
    ("the person with a coat on and waving",
     "the person with a coat on", "waving", ["garment coat", "gesture wave"]),
    ("someone who has a white shirt on and drinks",
     "someone who has a white shirt on", "drinks", ["garment shirt [white]", "gesture drink"]),
    ("the person who has a handbag and walks to the left",
     "the person who has a handbag", "walks to the left",
     ["garment handbag", "movement walk (left)"]),
    ("the man who has a hat and gloves", "the man who has a hat and gloves", "",
     ["noun man", "garment hat", "garment glove"]),
]  # fmt: skip
FRONTED: list[Row] = [
    ("In the room a person in a red blouse drinks from the cup",
     "a person in the room in a red blouse", "drinks from the cup",
     ["garment blouse [red]", "gesture drink"]),
    ("in the room the person wearing gray clothes comes into the room",
     "the person in the room wearing gray clothes", "comes into the room",
     ["garment clothes [gray]", "movement enter"]),
    ("in this video a man in black walks left", "a man in this video in black", "walks left",
     ["noun man", "garment clothes [black]", "movement walk (left)"]),
    ("on the left a man waves", "a man on the left", "waves",
     ["noun man", "place left (left)", "gesture wave"]),
    ("in the room somebody falls", "somebody in the room", "falls", ["change fall"]),
    ("in the picture, someone in red stands up",
     "someone in the picture in red", "stands up", ["garment clothes [red]", "change stand up"]),
    ("In the background a man sweeps the floor",
     "a man in the background", "sweeps the floor",
     ["noun man", "place background", "words sweeps floor"]),
    ("in the kitchen a woman in a blue coat turns around",
     "a woman in the kitchen in a blue coat", "turns around",
     ["noun woman", "garment coat [blue]", "change turn round", "words kitchen"]),
]  # fmt: skip
CLAUSES: list[Row] = [
    ("somebody that waves", "", "that waves", ["gesture wave"]),
    ("someone that wears gray and lies on the floor", "someone that wears gray",
     "lies on the floor", ["garment clothes [gray]", "pose lying"]),
    ("In the room somebody who wears gray points to the left.",
     "somebody in the room who wears gray", "points to the left",
     ["garment clothes [gray]", "gesture point (left)"]),
    ("a woman who wears green falls", "a woman who wears green", "falls",
     ["noun woman", "garment clothes [green]", "change fall"]),
    ("the person in the blue shirt is in the room and leaves",
     "the person in the blue shirt is in the room", "leaves",
     ["garment shirt [blue]", "movement leave"]),
    ("someone who wears gray and drinks from the cup", "someone who wears gray",
     "drinks from the cup", ["garment clothes [gray]", "gesture drink"]),
    ("In the room somebody who has a red coat on leaves the picture.",
     "somebody in the room who has a red coat on", "leaves the picture",
     ["garment coat [red]", "movement leave"]),
    ("a person who wears a red coat and drinks", "a person who wears a red coat", "drinks",
     ["garment coat [red]", "gesture drink"]),
    ("Someone that wears gray drinks.", "Someone that wears gray", "drinks",
     ["garment clothes [gray]", "gesture drink"]),
    ("anyone that has a bag", "anyone that has a bag", "", ["garment bag"]),
]  # fmt: skip
COMPLEMENTS: list[Row] = [
    ("the person who stands on the floor", "", "who stands on the floor", ["pose standing"]),
    ("the person sitting on the chair", "", "sitting on the chair", ["pose sitting"]),
    ("the person who sits on a chair", "", "who sits on a chair", ["pose sitting"]),
    ("somebody sitting on his chair", "", "sitting on his chair", ["pose sitting"]),
    ("the person who stands up from the chair", "", "who stands up from the chair",
     ["change stand up"]),
    ("the person getting up from a chair", "", "getting up from a chair", ["change stand up"]),
    ("the person who rises from her seat", "", "who rises from her seat", ["change stand up"]),
    ("the person who gets up off the floor", "", "who gets up off the floor",
     ["change stand up"]),
    ("somebody sitting down on a chair", "", "sitting down on a chair", ["change sit down"]),
    ("somebody who is sitting down", "", "who is sitting down", ["pose sitting"]),
    ("the person who sits down on the sofa", "", "who sits down on the sofa",
     ["change sit down", "words sofa"]),
    ("somebody lying down on the floor", "", "lying down on the floor", ["pose lying"]),
    ("the man who takes a seat", "", "who takes a seat", ["noun man", "change sit down"]),
    ("the person taking a seat on the chair", "", "taking a seat on the chair",
     ["change sit down"]),
    ("the person who takes his seat", "", "who takes his seat", ["change sit down"]),
    ("the person who enters the room", "", "who enters the room", ["movement enter"]),
    ("the person who comes into the room", "", "who comes into the room", ["movement enter"]),
    ("the person who leaves the picture", "", "who leaves the picture", ["movement leave"]),
    ("the person who goes out of the room", "", "who goes out of the room",
     ["movement leave"]),
    ("the person walking out of the picture", "", "walking out of the picture",
     ["movement leave"]),
    ("the person who walks across the room", "", "who walks across the room",
     ["movement walk"]),
    ("the person who jumps from the floor", "", "who jumps from the floor", ["change jump"]),
    ("somebody in red is there and waves", "somebody in red", "is there and waves",
     ["garment clothes [red]", "gesture wave"]),
    ("somebody in red is in the room and waves", "somebody in red is in the room", "waves",
     ["garment clothes [red]", "gesture wave"]),
    ("someone who stays on the knees", "", "who stays on the knees", ["pose kneeling"]),
    ("the person who looks at a picture", "", "who looks at a picture",
     ["words looks picture"]),
    ("the person who sits on a wall", "", "who sits on a wall", ["pose sitting", "words wall"]),
]  # fmt: skip
DRINKING: list[Row] = [
    ("the man who drinks", "", "who drinks", ["noun man", "gesture drink"]),
    ("a woman drinking from a cup", "", "drinking from a cup", ["noun woman", "gesture drink"]),
    ("somebody that is taking a drink", "", "that is taking a drink", ["gesture drink"]),
    ("the person who takes a sip from the bottle", "", "who takes a sip from the bottle",
     ["gesture drink"]),
    ("the person drinking out of his mug", "", "drinking out of his mug", ["gesture drink"]),
    ("the person who drinks coffee", "", "who drinks coffee", ["gesture drink", "words coffee"]),
    ("the person in a red shirt drinks", "the person in a red shirt", "drinks",
     ["garment shirt [red]", "gesture drink"]),
    ("the person in red drinks from a cup", "the person in red", "drinks from a cup",
     ["garment clothes [red]", "gesture drink"]),
    ("somebody is there and drinks", "", "is there and drinks", ["gesture drink"]),
    ("the woman with the drinks", "the woman with the drinks", "",
     ["noun woman", "words drinks"]),
    ("the man who sells food and drinks", "", "who sells food and drinks",
     ["noun man", "words sells food drinks"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "attribute", "action", "wanted"),
    [*WORN, *FRONTED, *CLAUSES, *COMPLEMENTS, *DRINKING],
)
def test_the_same_in_other_words(
    sentence: str, attribute: str, action: str, wanted: list[str]
) -> None:
    command = read(sentence)
    assert (command.attribute, command.action) == (attribute, action)
    assert items(command) == wanted


@pytest.mark.parametrize(
    "text", ["in the kitchen find the man in red", "go to the kitchen and find the man in red"]
)
def test_a_place_before_an_order_is_where_the_robot_goes(text: str) -> None:
    command = read(text)
    assert (command.place, command.target) == ("the kitchen", "the man in red")
