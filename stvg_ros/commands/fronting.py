# SPDX-License-Identifier: Apache-2.0

"""Puts what stands before the target behind it: "In the background, a man sweeps the floor"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stvg_ros.commands import lexicon
from stvg_ros.commands.noun_phrase import noun_phrase
from stvg_ros.commands.tokens import Token

_LATER = ("SUB",)  # "when the door opens": after the main clause
_SUBJECT = ("DET", "POSS", "NUM", "PRON")  # begin the target's noun phrase
_TIMES = ("after", "before", "until", "since", "as", "while", "when", "once")


def reordered(words: Sequence[Token]) -> list[Token]:
    """The words with the target's noun phrase first.

    A place or a participle before it follows the noun phrase, a clause of time the whole.
    """
    start, end = _target(words)
    if not start:
        return list(words)
    main = list(words[start:])
    front = [replace(token, noun=-1) for token in words[:end] if token.tag != "MARK"]
    front[0] = replace(front[0], text=front[0].text.lower())
    if words[0].tag in _LATER or words[0].word in _TIMES:
        marks = [Token(",", ",", glued=True, tag="MARK")]
        return [*(replace(t, noun=-1) for t in main), *marks, *front]
    at = noun_phrase(main).end
    return [replace(t, noun=-1) for t in [*main[:at], *front, *main[at:]]]


def _target(words: Sequence[Token]) -> tuple[int, int]:
    """The start of the target's noun phrase and the end of what precedes it; zeros if it is first.

    It follows a comma ("while talking, the woman ..."), "there is" ("on the left there is ..."),
    or a place ("in the room a man ...").
    """
    if not words or words[0].tag not in ("PREP", "SUB", "ING"):
        return 0, 0
    placed = _end_of_place(words)
    if placed and _acts(words, placed):
        return placed, placed
    for at in range(2, len(words) - 1):
        there = words[at].word == "there" and words[at + 1].tag == "BE"
        start = at + 2 if there else at + 1
        begins = words[start : start + 1] and words[start].tag in (*_SUBJECT, "ADJ")
        if (words[at].text == "," or there) and begins:
            return (start, at) if _acts(words, start) else (0, 0)
    return 0, 0


def _end_of_place(words: Sequence[Token]) -> int:
    """The end of "in the room" or "on the left" where a subject follows; 0 if there is none."""
    if words[0].tag != "PREP" or len(words) < 3 or words[1].tag not in ("DET", "POSS"):
        return 0
    end = 1 + noun_phrase(words[1:]).end
    return end if end > 2 and words[end : end + 1] and words[end].tag in _SUBJECT else 0


def _acts(words: Sequence[Token], start: int) -> bool:
    """Whether the noun phrase that starts here names somebody, or a vehicle."""
    head = noun_phrase(words[start:]).head
    return head >= 0 and lexicon.moves(words[start + head].word)
