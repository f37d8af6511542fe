# SPDX-License-Identifier: Apache-2.0

"""What a description says about a person, as items with stable names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stvg_ros.commands.features import features_of
from stvg_ros.commands.reader import grammar_reader

sys.path.insert(0, str(Path(__file__).parent))
from robocup import LISTS, read_lists


def items(text: str) -> list[str]:
    """Each item as "kind name colours side +details", with "not" before a negated one."""
    return [
        " ".join(
            [
                *(["not"] if feature.negated else []),
                feature.kind,
                feature.name,
                *([f"[{', '.join(feature.colours)}]"] if feature.colours else []),
                *([f"({feature.side})"] if feature.side else []),
                *(f"+{detail}" for detail in feature.details),
            ]
        )
        for feature in grammar_reader("rules").read(text).features
    ]


GESTURES = [
    ("the waving person", ["gesture wave"]),
    ("the person waving with her left hand", ["gesture wave (left)"]),
    ("someone waving both arms at the camera", ["gesture wave (both)"]),
    ("the person raising their left arm", ["gesture raise arm (left)"]),
    ("the person with his right hand raised", ["gesture raise arm (right)"]),
    ("the person with both hands in the air", ["gesture raise arm (both)"]),
    ("the person holding up a hand", ["gesture raise arm"]),
    ("the person pointing to the left", ["gesture point (left)"]),
    ("the person who points right", ["gesture point (right)"]),
    ("the person with arms crossed", ["gesture cross arms"]),
    ("the person folding her arms", ["gesture cross arms"]),
    ("the person touching his face", ["gesture hand to face"]),
    ("the person with a hand on her chin", ["gesture hand to face"]),
    ("the person with hands on his hips", ["gesture hands on hips"]),
    ("the person who shakes her head", ["gesture shake head"]),
    ("the persons holding hands", ["words holding hands"]),
]
POSES = [
    ("the sitting person", ["pose sitting"]),
    ("the person who is sitting down", ["pose sitting"]),
    ("the person who kneels on the floor", ["pose kneeling"]),
    ("the person staying upright", ["pose standing"]),
    ("someone who wears blue and stays upright", ["garment clothes [blue]", "pose standing"]),
    (
        "someone who wears blue and raises their left arm",
        ["garment clothes [blue]", "gesture raise arm (left)"],
    ),
    ("someone who wears red and black and waves", ["garment clothes [red, black]", "gesture wave"]),
    ("the person who sits down", ["change sit down"]),
    ("the person lying on the floor", ["pose lying"]),
    ("the person who stands up", ["change stand up"]),
    ("the person getting up", ["change stand up"]),
    ("the crouching person", ["pose crouching"]),
    ("the person on his knees", ["pose kneeling"]),
    ("the person bending over", ["pose bending"]),
    ("the person who bends down", ["change bend down"]),
    ("the person who falls to the ground", ["change fall"]),
    ("the person who picks something up from the floor", ["change pick up"]),
    ("the person who picks up a phone", ["change pick up", "words phone"]),
    ("the person who turns around", ["change turn round"]),
    ("the person who jumps", ["change jump"]),
]
MOVEMENTS = [
    ("the person who walks to the left", ["movement walk (left)"]),
    ("the person walking from left to right", ["movement walk (right)"]),
    ("the person who walks slowly towards the camera", ["movement walk (towards)"]),
    ("the person who runs away", ["movement run (away)"]),
    ("the person coming closer", ["movement move (towards)"]),
    ("the person who stands still", ["movement stand still"]),
    ("the person who does not move", ["movement stand still"]),
    ("the person who walks out", ["movement leave"]),
    ("the person who walks into the kitchen", ["movement enter", "words kitchen"]),
]
LOOKS = [
    ("the person in a red and black jacket", ["garment jacket [red, black]"]),
    ("the person in the gray t-shirt and blue jeans",
     ["garment t shirt [gray]", "garment jeans [blue]"]),
    ("the person wearing red", ["garment clothes [red]"]),
    ("the person in dark clothes", ["garment clothes [dark]"]),
    ("the person in a navy blue suit", ["garment suit [dark blue]"]),
    ("the person in a black and white striped long-sleeved shirt",
     ["garment shirt [black, white] +striped +long sleeves"]),
    ("the person in a white top with short sleeves",
     ["garment top [white]", "garment clothes +short sleeves"]),
    ("the person whose jacket is red", ["garment jacket [red]"]),
    ("the person without a hat", ["not garment hat"]),
    ("the woman with long blond hair", ["noun woman", "hair hair [blond] +long"]),
    ("the dark-haired man", ["hair hair [dark]", "noun man"]),
    ("the bald guy", ["hair bald", "noun man"]),
    ("the tall person", ["size tall"]),
    ("the tallest child", ["size tallest", "noun child"]),
]  # fmt: skip
PLACES = [
    ("the person on the left", ["place left (left)"]),
    ("the person at the far right of the image", ["place right (right)"]),
    ("the person in the middle", ["place middle"]),
    ("the person closest to the camera", ["place nearest"]),
    ("the person furthest away", ["place farthest"]),
    ("the third person from the left", ["place ordinal (left) +3"]),
    ("the person next to the woman in red", []),
]
FILM = [
    ("the woman with blond hair who walks away",
     ["noun woman", "hair hair [blond]", "movement walk (away)"]),
    ("the person on a bicycle", ["words bicycle"]),
    ("the woman in the yellow raincoat who waves",
     ["noun woman", "garment raincoat [yellow]", "gesture wave"]),
    ("the man in the long black coat who walks towards the camera",
     ["noun man", "garment coat [black] +long", "movement walk (towards)"]),
    ("the man who stands still at the right",
     ["noun man", "movement stand still", "place right (right)"]),
    ("the person who sits down on the grass", ["change sit down", "words grass"]),
    ("the person with the umbrella", ["words umbrella"]),
    ("the child who runs", ["noun child", "movement run"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "wanted"), [*GESTURES, *POSES, *MOVEMENTS, *LOOKS, *PLACES, *FILM]
)
def test_items_of_a_sentence(sentence: str, wanted: list[str]) -> None:
    assert items(sentence) == wanted


@pytest.mark.skipif(not LISTS.exists(), reason=f"{LISTS} is not there")
def test_every_person_of_the_robocup_lists_is_covered_by_items() -> None:
    lists = read_lists()
    told = ["gesture_person", "gesture_persons", "pose_person", "pose_persons"]
    people = [person for name in told for person in lists[name]]
    people += [
        f"the person wearing a {colour} {garment}"
        for colour in lists["colour"]
        for garment in (*lists["garment"], *lists["garments"])
    ]
    for person in people:
        found = features_of(person)
        assert len(found) == 1, (person, found)
        assert found[0].kind in ("gesture", "pose", "garment"), (person, found)
        assert bool(found[0].colours) == (found[0].kind == "garment"), (person, found)
        directed = " left" in person or " right" in person
        assert bool(found[0].side) == directed, (person, found)


def test_a_garment_names_the_part_of_the_body_that_it_covers() -> None:
    (coat, trousers, hat) = features_of("the person in a coat, black trousers and a hat")
    assert (coat.part, trousers.part, hat.part) == ("upper", "lower", "head")


def test_the_other_target_of_a_relation_has_items_of_its_own() -> None:
    relation = grammar_reader("rules").read("the man left of the woman in red").relation
    assert relation is not None
    assert [f.name for f in features_of(relation.other)] == ["woman", "clothes"]
