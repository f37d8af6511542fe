# SPDX-License-Identifier: Apache-2.0

"""Kind, size and place in the image of a person, as measurable features."""

from __future__ import annotations

from collections.abc import Sequence

from stvg_ros.commands import lexicon
from stvg_ros.commands.appearance_features import Found
from stvg_ros.commands.command import Feature
from stvg_ros.commands.noun_phrase import noun_phrase
from stvg_ros.commands.tokens import Token, joined
from stvg_ros.commands.wordlist import word_set

_SIZES = {
    "large": "big",
    "huge": "big",
    "giant": "big",
    "little": "small",
    "tiny": "small",
    "slim": "thin",
    "skinny": "thin",
    "slender": "thin",
    "chubby": "fat",
    "heavy": "fat",
    "plump": "fat",
    "obese": "fat",
    "stout": "fat",
    "largest": "biggest",
}
_PERSONS = {
    **dict.fromkeys(("guy", "gentleman", "dude", "bloke", "chap", "fellow", "lad", "male"), "man"),
    **dict.fromkeys(("lady", "female", "lass", "gal"), "woman"),
    **dict.fromkeys(("kid", "toddler", "youngster"), "child"),
    **dict.fromkeys(("infant", "newborn"), "baby"),
    "schoolboy": "boy",
    "schoolgirl": "girl",
}
_ANYBODY = word_set("person people human individual figure folk crowd group one adult blond blonde")
_PLACES = {
    "left": "left",
    "right": "right",
    "left-hand": "left",
    "right-hand": "right",
    "middle": "middle",
    "center": "middle",
    "centre": "middle",
    "background": "background",
    "foreground": "foreground",
    "front": "foreground",
    "back": "background",
    "rear": "background",
    "top": "top",
    "bottom": "bottom",
    "corner": "corner",
}
_PLACED = {
    "leftmost": "left",
    "rightmost": "right",
    "nearest": "nearest",
    "closest": "nearest",
    "farthest": "farthest",
    "furthest": "farthest",
}
_SIDE_NOUNS = word_set("side half part edge corner end row")
_VIEWS = word_set("image picture frame screen view scene video photo room camera")
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6}


def places(words: Sequence[Token], taken: set[int]) -> Found:
    """The place in the image: "on the left", "third from the right", "closest to the camera"."""
    found: Found = []
    for index, token in enumerate(words):
        if index in taken:
            continue
        name = _PLACED.get(token.word, "")
        if name:
            end = _end_of_view(words, index + 1)
            after = words[end].word if end < len(words) else ""
            if after != "to":  # "closest to the door" is a relation
                found.append((list(range(index, end)), _place(words, index, end, name)))
            continue
        name = _PLACES.get(token.word, "")
        start = _before_place(words, index) if name else -1
        if start < 0:
            continue
        end = index + 1
        while end < len(words) and words[end].word in (*_SIDE_NOUNS, *_PLACES, "hand"):
            end += 1
        end = _end_of_view(words, end)
        if end < len(words) and words[end].word == "of":
            continue  # "on the left of the table" is a relation
        if end < len(words) and words[end].tag == "NOUN" and words[end].word not in _VIEWS:
            continue  # "in the top hat"
        ordinal = _ordinal(words, start) if name in ("left", "right") else -1
        if ordinal >= 0:
            rank = str(_ORDINALS[words[ordinal].word])
            feature = _place(words, start, end, "ordinal", name, (rank,))
            found.append(([ordinal, *range(start, end)], feature))
        else:
            found.append((list(range(start, end)), _place(words, start, end, name)))
    return found


def _place(
    words: Sequence[Token],
    start: int,
    end: int,
    name: str,
    side: str = "",
    details: tuple[str, ...] = (),
) -> Feature:
    side = side or (name if name in ("left", "right") else "")
    return Feature("place", name, joined(words[start:end]), side=side, details=details)


def _before_place(words: Sequence[Token], index: int) -> int:
    """The start of "on the (far) left", or -1."""
    start = index - 1
    while start > 0 and words[start].word in ("far", "very", "upper", "lower", *_PLACES):
        start -= 1
    if start < 1 or words[start].word not in ("the", "my", "your"):
        front = index and words[index - 1].word == "in" and words[index].word == "front"
        return index - 1 if front else -1
    return start - 1 if words[start - 1].word in ("on", "in", "at", "to", "from") else -1


def _end_of_view(words: Sequence[Token], start: int) -> int:
    """The end of "of the image", "of the kitchen", "to the camera" or "to me" from an index on."""
    here = [t.word for t in words[start : start + 3]]
    if here[:1] in (["of"], ["to"], ["from"]) and here[1:2] == ["the"] and here[2:3]:
        if here[2] in _VIEWS | {"robot"} | lexicon.SPACES:
            return start + 3
        both = " ".join(t.word for t in words[start + 2 : start + 4])  # "of the living room"
        return start + 4 if both in lexicon.SPACES else start
    if here[:1] in (["to"], ["from"]) and here[1:2] and here[1] in ("me", "us", "you"):
        return start + 2
    return start


def _ordinal(words: Sequence[Token], start: int) -> int:
    """The index of "third" in "the third person from the left", or -1."""
    if words[start].word not in ("from", "on"):
        return -1
    return next((i for i in range(start) if words[i].word in _ORDINALS), -1)


def sizes(words: Sequence[Token], taken: set[int]) -> Found:
    """The size of the person: "the tall man", "the smallest child"."""
    phrase = noun_phrase(words)
    return [
        ([i], Feature("size", _SIZES.get(words[i].word, words[i].word), words[i].text))
        for i in range(min(phrase.end, len(words)))
        if i not in taken and words[i].word in lexicon.SIZES and i != phrase.head
    ]


def kind(words: Sequence[Token], taken: set[int]) -> Found:
    """The kind of the target, if its noun says more than "person"."""
    head = noun_phrase(words).head
    if head < 0 or head in taken or words[head].tag != "NOUN":
        return []
    word = lexicon.singular(words[head].word)
    name = _PERSONS.get(word, word)
    if name in _ANYBODY or name in lexicon.COLOURS:
        return []
    return [([head], Feature("noun", name, words[head].text))]
