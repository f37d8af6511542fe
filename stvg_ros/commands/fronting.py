# SPDX-License-Identifier: Apache-2.0

"""Puts what stands before the target behind it: "In the background, a man sweeps the floor"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stvg_ros.commands import lexicon
from stvg_ros.commands.noun_phrase import noun_phrase
from stvg_ros.commands.tokens import Token

_LATER = ("SUB",)  # "when the door opens": after the main clause
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

    It follows a comma ("while talking, the woman ...") or "there is" ("on the left there is ...").
    """
    if not words or words[0].tag not in ("PREP", "SUB", "ING"):
        return 0, 0
    for at in range(2, len(words) - 1):
        there = words[at].word == "there" and words[at + 1].tag == "BE"
        start = at + 2 if there else at + 1
        begins = words[start : start + 1] and words[start].tag in ("DET", "POSS", "NUM", "ADJ")
        if (words[at].text == "," or there) and begins:
            head = noun_phrase(words[start:]).head
            moves = head >= 0 and lexicon.moves(words[start + head].word)
            return (start, at) if moves else (0, 0)
    return 0, 0
