# SPDX-License-Identifier: Apache-2.0

"""The parts of an order or question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stvg_ros.commands import lexicon
from stvg_ros.commands.command import Intent
from stvg_ros.commands.following import split_following
from stvg_ros.commands.tokens import Token
from stvg_ros.commands.verbs import FORMS
from stvg_ros.commands.word_classes import CLOSED_WORDS
from stvg_ros.commands.wordlist import word_set

_SOME = word_set("any some one all none both two either neither each many most")


@dataclass(frozen=True)
class SentenceRequest:
    """A sentence, split into its description and the rest.

    Attributes:
        intent: The intent.
        words: The description, without place and later tasks.
        place: The room or furniture that the robot is sent to.
        then: Tasks after finding the target.
        asked: Topic of a question.
        ordered: It is an order to a robot, not a bare description.
        name: A person's name instead of a description.
    """

    intent: Intent
    words: list[Token]
    place: str = ""
    then: list[str] = field(default_factory=list)
    asked: str = ""
    ordered: bool = True
    name: str = ""


def found_person(words: Sequence[Token], then: list[str]) -> SentenceRequest:
    """A request to find the described target, with the later tasks."""
    body, more = split_following(words)
    return SentenceRequest("find", body, then=[*then, *more])


def person_at(words: Sequence[Token], start: int) -> bool:
    """Whether the noun phrase here names a person."""
    if start + 1 < len(words) and words[start + 1].word == "of" and words[start].word in _SOME:
        start += 2  # "any of the kids"
    for token in words[start : start + 7]:
        if lexicon.is_animate(token.word) or token.word in lexicon.INDEFINITE | {"whoever"}:
            return True
        if token.word in lexicon.PREPOSITIONS or token.word in (",", "."):
            return False
    return False


def named_at(words: Sequence[Token], start: int) -> bool:
    """Whether a person's name starts here: a known one, or an unknown capitalised word."""
    return start < len(words) and is_name(words[start])


def is_name(token: Token) -> bool:
    """Whether a word can be a name: a known one, or an unknown capitalised one."""
    known = token.word in lexicon.NAMES or token.text[:1].isupper()
    listed = token.word in FORMS or token.word in CLOSED_WORDS
    return known and not listed and not lexicon.is_animate(token.word)


def has_word(words: Sequence[Token], *said: str) -> bool:
    """Whether a sentence contains one of some words."""
    return any(token.word in said for token in words)


def index_of(words: Sequence[Token], said: tuple[str, ...], start: int) -> int:
    """The first index, from a start, of one of some words; -1 if there is none."""
    return next((i for i in range(start, len(words)) if words[i].word in said), -1)
