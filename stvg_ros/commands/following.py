# SPDX-License-Identifier: Apache-2.0

"""Tasks after finding the target: "... and tell them the time"."""

from __future__ import annotations

from collections.abc import Sequence

from stvg_ros.commands import lexicon, phrases
from stvg_ros.commands.phrases import starts
from stvg_ros.commands.tokens import Token, joined
from stvg_ros.commands.verbs import BASES, FORMS, MOSTLY_NOUN
from stvg_ros.commands.wordlist import word_set

_CONNECTIVES = phrases.phrases(
    "and|then|and then|after that|and after that|afterwards|afterward|and afterwards|next|finally|"
    "once found|and once found|once you have found the person|once you find them|"
    "once you have found them|once you find him|"
    "once you find her|once located|and once located|when you find them|when found|subsequently|"
    "and finally|and also|after finding them|upon finding them|once you locate them|"
    "once there|once you are there|when you get there|and once there|there|and there|"
    "after you find them|when you have found them|once you have located them|and there you|"
    "once you spot them|and please|please|and subsequently|after doing so|and next|"
    "once you do|when you do|if you find them|so that you can|in order to|so you can|"
    "upon arrival|upon arriving|once inside|once you arrive|and kindly|kindly|and be sure to|"
    "be sure to|make sure to|and make sure to|and you should|you should|and i want you to|"
    "once you have done so|once you have done that|having found them|before you|and proceed to|"
    "and go ahead and|and would you|could you|and could you|and can you|then please|"
    "then could you|then proceed to|proceed to|where you should|where you will|where you can|"
    "where you must|where you need to|where you have to|where you are to|where i want you to|"
    "where i would like you to|where i need you to|where you will need to|and when you do|"
    "and if you find them|and once you do|once you have|and once you have found them|"
    "and once you find them|when you have located them|after locating them|once identified|"
    "once you see them|after that please|once you have spotted them|and after that please|"
    "and then please|then kindly|and then kindly"
)
_BREAKS = frozenset(
    ("and", "then", ",", ".", ";", ":", "once", "after", "when", "before", "to", "so")
)
_OBJECTS = word_set("them him her me us it themselves")


def without_connective(words: Sequence[Token]) -> list[Token]:
    """The words after "and then", a comma, "once you are there, please" and the like."""
    rest = list(words)
    for _ in range(6):
        while rest and rest[0].text in ".,;:!?":
            rest = rest[1:]
        length = starts(rest, _CONNECTIVES)
        if not length or length >= len(rest):
            break
        rest = rest[length:]
    return rest


def split_following(words: Sequence[Token]) -> tuple[list[Token], list[str]]:
    """The description, and the texts of the tasks afterwards."""
    for at in range(1, len(words)):
        if words[at].word not in _BREAKS and not starts(words, _CONNECTIVES, at):
            continue
        rest = without_connective(words[at:])
        if not rest or len(rest) == len(words) - at or not _is_order(words[:at], rest):
            continue
        if words[at].word == "to":
            continue
        order = _without_closing(rest)
        return list(words[:at]), [joined(order)] if order else []
    return list(words), []


def _is_order(before: Sequence[Token], rest: Sequence[Token]) -> bool:
    """Whether the rest is an order to the robot.

    After a singular noun, a verb in its base form cannot be the noun's action. After a plural one
    ("the men who jump and follow the dog") it is an order if it takes a pronoun, or if an image
    cannot show it ("say").
    """
    first = rest[0].word
    after = rest[1].word if len(rest) > 1 else ""
    known = first in phrases.ROBOT_VERBS
    if not known and not _acts_on(first, after):
        return False
    if known and (after in _OBJECTS or first in phrases.STRONG_VERBS):
        return True
    plural = any(
        (lexicon.is_plural(t.word) and lexicon.moves(t.word)) or t.word in ("they", "people")
        for t in before
    )
    infinitive = any(
        before[i].word == "to" and "BASE" in FORMS.get(before[i + 1].word, ())
        for i in range(max(0, len(before) - 6), len(before) - 1)
    )
    modal = infinitive or any(t.word in lexicon.MODALS | lexicon.DO for t in before[-6:])
    if known and not plural and any(t.word in _OBJECTS for t in rest[2:4]):
        return True  # "and point at them"
    if modal or (plural and any("BASE" in FORMS.get(t.word, ()) for t in before)):
        return False
    if not known and any(FORMS.get(t.word, set()) == {"BASE"} for t in before):
        return False  # "the man walk to the door and open it"
    if first in lexicon.COLOURS or (first in lexicon.GARMENTS and not after):
        return False
    described = lexicon.ADJECTIVES - {"left", "right", "back", "up", "down"}
    noun = before and before[-1].word in described  # "red and light ..."
    return not noun or after in ("the", "a", "an", "to", "back")


def _acts_on(verb: str, after: str) -> bool:
    """Whether a verb in its base form takes an object: "open the door", "help him"."""
    object_follows = after in lexicon.DETERMINERS | lexicon.POSSESSIVES | _OBJECTS
    return object_follows and "BASE" in FORMS.get(verb, ()) and verb not in MOSTLY_NOUN


def _without_closing(words: Sequence[Token]) -> list[Token]:
    return without_closing(words)


def without_closing(words: Sequence[Token]) -> list[Token]:
    """The words without "please", "thank you" and the like at their end."""
    rest = list(words)
    for _ in range(6):
        while rest and rest[-1].text in ".,;:!?":
            rest.pop()
        last = rest[-1].word if rest else ""
        for phrase in phrases.CLOSING.by_last.get(last, ()):
            end = len(rest) - len(phrase)
            if end > 0 and tuple(t.word for t in rest[end:]) == phrase and not _needed(rest, end):
                rest = rest[:end]
                break
        else:
            return rest
    return rest


def _needed(words: Sequence[Token], end: int) -> bool:
    """Whether the words are not a closing: "who waits for me", "a moment from right now"."""
    last = words[end].word
    if last in ("bye", "goodbye"):
        return BASES.get(words[end - 1].word) in ("wave", "say")
    if last == "for":
        return words[end - 1].word in FORMS and "BASE" not in FORMS[words[end - 1].word]
    return last == "now" and words[end - 1].word in ("just", "right")
