# SPDX-License-Identifier: Apache-2.0

"""Orders with a verb that no list has: "comfort the crying child", "sell tickets to the man"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from stvg_ros.commands import lexicon, phrases
from stvg_ros.commands.following import split_following, without_connective
from stvg_ros.commands.request import SentenceRequest, person_at
from stvg_ros.commands.tokens import Token, joined
from stvg_ros.commands.verbs import FORMS, MOSTLY_NOUN
from stvg_ros.commands.word_classes import CLOSED_WORDS

_TO = ("to", "for", "of", "with", "from", "at", "on", "that", "by", "behind", "near")
_BREAKS = ("and", "then", ",", "to")

Reader = Callable[[Sequence[Token]], SentenceRequest]


def any_order(words: Sequence[Token], read: Reader) -> SentenceRequest | None:
    """The request of a sentence that begins with a verb in its base form.

    Args:
        words: The sentence.
        read: Reads the order after "and", where the first one names nobody: "fetch a cup and give
            it to the man".
    """
    if not _begins_with_order(words):
        return None
    if person_at(words, 1) and words[1].word not in _TO:
        body, then = split_following(words[1:])
        return SentenceRequest("find", body, then=[words[0].text, *then])
    later = _later_order(words, read)
    if later:
        return later
    body, then = split_following(words)
    for at in range(2, len(body) - 1):
        if body[at].word in _TO and _person_starts(body, at + 1):
            return SentenceRequest("find", body[at + 1 :], then=[joined(body[:at]), *then])
    return None


def _begins_with_order(words: Sequence[Token]) -> bool:
    first = words[0].word
    if "BASE" not in FORMS.get(first, ()) and first not in phrases.ROBOT_VERBS:
        return False
    after = CLOSED_WORDS.get(words[1].word, "") if len(words) > 2 else ""
    opens = after in ("DET", "POSS", "OBJ", "NUM", "ADJ", "PREP", "ADV", "PRON")
    known = first in phrases.ROBOT_VERBS
    return (opens and (first not in MOSTLY_NOUN or after in ("DET", "POSS", "OBJ"))) or known


def _person_starts(words: Sequence[Token], start: int) -> bool:
    determined = words[start].word in lexicon.DETERMINERS | lexicon.POSSESSIVES | lexicon.INDEFINITE
    return determined and person_at(words, start)


def _later_order(words: Sequence[Token], read: Reader) -> SentenceRequest | None:
    """The order after the first "and", if only that one names a person."""
    for at in range(2, len(words) - 2):
        if person_at(words[at : at + 1], 0):
            return None
        if words[at].word not in ("and", "then", ","):
            continue
        rest = without_connective(words[at:])
        if not rest or rest[0].word not in phrases.ROBOT_VERBS:
            continue
        found = read(rest)
        named = any(lexicon.is_animate(token.word) for token in found.words)
        if found.ordered and named:
            return replace(found, then=[joined(words[:at]), *found.then])
        return None
    return None
