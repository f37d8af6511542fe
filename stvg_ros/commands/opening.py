# SPDX-License-Identifier: Apache-2.0

"""Strips the address of a sentence: "robot, could you please go to the kitchen and ..."."""

from __future__ import annotations

from collections.abc import Sequence

from stvg_ros.commands import lexicon, phrases
from stvg_ros.commands.following import without_connective
from stvg_ros.commands.phrases import starts
from stvg_ros.commands.places import place_at
from stvg_ros.commands.request import is_name
from stvg_ros.commands.tokens import Token, joined

_MOST_PREFIXES = 24


def without_address(words: Sequence[Token]) -> list[Token]:
    """The words after "robot, could you please ..."."""
    rest = list(words)
    for _ in range(_MOST_PREFIXES):
        while rest and rest[0].text in ".,;:!?":
            rest = rest[1:]
        if _asks_for_existence(rest):
            break
        asked = starts(rest, phrases.WISH_TO_KNOW)
        if asked:
            rest = [Token("tell", "tell"), Token("me", "me"), *rest[asked:]]
            break
        length = starts(rest, phrases.ADDRESS)
        if rest and rest[0].word in ("go", "come") and _ordered(rest[1:]):
            length = 1
        if length and not _begins_description(rest, length):
            rest = rest[length:]
            continue
        named = len(rest) > 2 and rest[1].text == "," and is_name(rest[0])
        if not named:
            break
        rest = rest[2:]
    return rest or list(words)


def _asks_for_existence(words: Sequence[Token]) -> bool:
    """Whether a question for existence begins: "is there ...", but not "can you find the ..."."""
    length = starts(words, phrases.EXISTS)
    if not length or starts(words, phrases.ADDRESS) > length:
        return False
    after = words[length].word if length < len(words) else ""
    sought = words[length - 1].word in ("find", "spot") and words[0].word in ("can", "could")
    return not sought or after in lexicon.INDEFINITE | {"any"}


def _ordered(words: Sequence[Token]) -> bool:
    """Whether an order begins here: "go find ...", "come look at ..."."""
    orders = (phrases.FIND, phrases.FOLLOW, phrases.GREET, phrases.HOW_MANY, phrases.MEET)
    return any(starts(words, options) for options in orders) and words[0].word != "to"


def _begins_description(words: Sequence[Token], length: int) -> bool:
    """Whether this is no address: "there is ...", "right ...", or a sentence's only word."""
    first = words[0].word
    after = words[length].word if length < len(words) else ""
    if first == "there":
        return after in lexicon.BE or after in lexicon.MODALS
    if first in ("first", "next", "right", "just", "all") and length == 1:
        return after in lexicon.PERSONS or after in ("to", "of")
    if first == "robot" and length == 1:
        return after in lexicon.BE or after in ("that", "which")
    return length >= len(words)


def sent_first(words: Sequence[Token]) -> tuple[list[Token], str] | None:
    """As in "go to the kitchen, then ...": the rest, and the place."""
    length = starts(words, phrases.GO)
    if not length:
        return None
    end = place_at(words, length)
    if end == length:
        end = _unknown_place(words, length)
    if end == length:
        return None
    after = words[end].word if end < len(words) else ""
    if after in ("with", "who", "that", "wearing", "in", "at", "near", "next"):
        return None
    rest = without_connective(words[end:])
    if len(rest) > 2 and rest[0].word == "where" and rest[1].word not in lexicon.BE | lexicon.DO:
        rest = rest[1:]  # "to the garage, where a person is waving"
    return rest, joined(words[length:end])


def searched_first(words: Sequence[Token]) -> tuple[list[Token], str] | None:
    """As in "search the kitchen for the man": "find the man", and the place."""
    length = starts(words, phrases.SEARCH)
    if not length:
        return None
    end = place_at(words, length)
    if end == length or end >= len(words) - 1:
        return None
    asked = [t for t in words[end + 1 :] if t.text != ","]
    if words[end].word in ("to", "and") and (
        starts(asked, phrases.HOW_MANY) or starts(asked, phrases.EXISTS)
    ):
        return asked, joined(words[length:end])
    if words[end].word != "for":
        return None
    return [Token("find", "find"), *words[end + 1 :]], joined(words[length:end])


def _unknown_place(words: Sequence[Token], start: int) -> int:
    """The end of "the <nouns>" before "and", "then" or a comma, where no person is named."""
    at = start
    while at < len(words) and words[at].word not in (",", "and", "then", ".", "where", "to"):
        at += 1
    nouns = words[start:at]
    people = any(lexicon.is_animate(t.word) or t.word in ("someone", "who") for t in nouns)
    named = len(nouns) == 1 and is_name(nouns[0])
    fits = 1 < len(nouns) <= 4 and at < len(words) and nouns[0].word in ("the", "my", "our", "your")
    return at if fits and not people and not named else start


def place_first(words: Sequence[Token]) -> tuple[list[Token], str] | None:
    """As in "in the kitchen, find ...": the rest, and the place."""
    if words[:1] and words[0].word in ("starting", "beginning", "start"):
        words = words[1:]
    if len(words) < 4 or words[0].word not in ("in", "at", "inside", "from"):
        return None
    end = place_at(words, 1)
    if end == 1 or end >= len(words):
        return None
    rest = [t for t in words[end : end + 1] if t.text != ","] + list(words[end + 1 :])
    ordered = any(
        starts(rest, options)
        for options in (
            phrases.FIND,
            phrases.FOLLOW,
            phrases.HOW_MANY,
            phrases.TELL_ME,
            phrases.GREET,
            phrases.ADDRESS,
            phrases.GUIDE,
        )
    )
    return (rest, joined(words[1:end])) if ordered else None
