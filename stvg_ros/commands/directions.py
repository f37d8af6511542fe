# SPDX-License-Identifier: Apache-2.0

"""Verbs and directions of movement in tagged words."""

from __future__ import annotations

from collections.abc import Sequence

from stvg_ros.commands import lexicon
from stvg_ros.commands.tokens import Token
from stvg_ros.commands.verbs import BASES
from stvg_ros.commands.wordlist import word_set

_DIRECTIONS = {
    "left": "left", "leftward": "left", "leftwards": "left",
    "right": "right", "rightward": "right", "rightwards": "right",
    "forward": "forward", "forwards": "forward", "ahead": "forward",
    "backward": "backward", "backwards": "backward", "back": "backward",
    "up": "up", "upstairs": "up", "upward": "up", "upwards": "up",
    "down": "down", "downstairs": "down", "downward": "down", "downwards": "down",
    "away": "away", "closer": "towards", "nearer": "towards",
}  # fmt: skip
WAYS = frozenset((*_DIRECTIONS, "in", "out", "past", "by"))
US = word_set("camera me us robot you viewer")
_BETWEEN = word_set("to towards toward the a at on in his her their my your from of side image "
                    "picture frame hand camera me us robot viewer")  # fmt: skip


def base_at(words: Sequence[Token], index: int) -> str:
    """The base form of a word that is a verb, or a participle: "the waving person"."""
    token = words[index]
    if token.tag in ("VERB", "BASE", "ING", "PART"):
        return BASES.get(token.word, "")
    if token.tag != "ADJ" or not token.word.endswith("ing"):
        return ""
    after = words[index + 1] if index + 1 < len(words) else None
    thing = after is not None and after.tag == "NOUN" and not lexicon.moves(after.word)
    return "" if thing else BASES.get(token.word, "")


def direction_at(words: Sequence[Token], start: int) -> tuple[int, str]:
    """The end of a direction, and its name: "from left to right", "towards the camera", "away"."""
    end, side, at = start, "", start
    while at < len(words) and at < start + 10:
        word = words[at].word
        if word in _DIRECTIONS and not (word in ("up", "down") and at > start):
            side, end = _DIRECTIONS[word], at + 1
        elif word in US and words[at - 1].word in (
            "the", "to", "towards", "toward", "at", "from",
        ):  # fmt: skip
            side, end = ("away" if side == "away" else "towards"), at + 1
        elif word in ("side", "image", "picture", "frame") and end:
            end = at + 1 if side else end
        elif word not in _BETWEEN:
            break
        at += 1
    return (end, side) if side else (start, "")
