# SPDX-License-Identifier: Apache-2.0

"""Rooms and furniture that a robot is sent to."""

from __future__ import annotations

from collections.abc import Sequence

from stvg_ros.commands.lexicon import BE, DETERMINERS, FURNITURE, POSSESSIVES, ROOMS
from stvg_ros.commands.tokens import Token, joined
from stvg_ros.commands.verbs import BASES, FORMS, POSES
from stvg_ros.commands.wordlist import word_set

_INSIDE = word_set("in inside within into")
_AT = word_set("at")
_LOOKING = word_set("look point stare gaze wave knock smile throw shout laugh arrive aim")
_MODIFIERS = word_set("big small large little old new main other upstairs downstairs")


def place_at(words: Sequence[Token], index: int) -> int:
    """The end of the place that starts at an index; the index itself if there is none."""
    at = index
    if at < len(words) and words[at].word in DETERMINERS | POSSESSIVES:
        at += 1
    if at < len(words) and words[at].word in _MODIFIERS:
        at += 1
    for length in (2, 1):
        name = " ".join(token.word for token in words[at : at + length])
        if len(words[at : at + length]) == length and (name in ROOMS or name in FURNITURE):
            return at + length
    return index


def is_room(words: Sequence[Token]) -> bool:
    """Whether the words of a place end with a room's name."""
    names = [token.word for token in words]
    return " ".join(names[-2:]) in ROOMS or " ".join(names[-1:]) in ROOMS


def taken_place(words: Sequence[Token]) -> tuple[list[Token], str]:
    """Separates the place that the robot is sent to from the other words.

    "in the <room>" and "at the <furniture>" are such places; "next to the sofa", "sitting at the
    desk" and "running towards the exit" are visible and stay in the description.
    """
    for index in range(len(words) - 1, -1, -1):
        word = words[index].word
        if word not in _INSIDE | _AT:
            continue
        end = place_at(words, index + 1)
        if end == index + 1 or not _ends(words, end):
            continue
        place = words[index + 1 : end]
        before = words[index - 1].word if index else ""
        base = BASES.get(before, before)
        verbal = "ING" in FORMS.get(before, ()) or "THIRD" in FORMS.get(before, ())
        verbal, base = (True, "sit") if before == "seated" else (verbal, base)
        if is_room(place):
            sent = base not in ("walk", "go", "come", "run") or word in ("in", "inside", "within")
        else:
            sent = word in _AT and not (verbal and base in POSES | _LOOKING)
        if not sent or (index and words[index - 1].word == "not"):
            continue
        begin = index
        if index > 1 and words[index - 1].word in BE and words[index - 2].word in ("who", "that"):
            begin = index - 2  # "the person who is in the kitchen"
        return [*words[:begin], *words[end:]], joined(place)
    return list(words), ""


def _ends(words: Sequence[Token], end: int) -> bool:
    """Whether no noun follows that the place would modify."""
    if end >= len(words):
        return True
    word = words[end].word
    return (
        word in ".,;:!?"
        or word in FORMS
        or word
        in [
            "is",
            "are",
            "was",
            "were",
            "has",
            "have",
            "had",
            "who",
            "that",
            "which",
            "and",
            "or",
            "with",
            "wearing",
            "then",
            "from",
            "to",
            "in",
            "on",
            "at",
            "but",
            "just",
            "two",
            "one",
            "a",
            "right",
            "now",
            "not",
            "does",
            "doing",
            "ago",
            "before",
            "after",
            "while",
            "when",
            "for",
        ]
    )
