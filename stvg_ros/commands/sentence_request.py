# SPDX-License-Identifier: Apache-2.0

"""The request of a sentence in any form: order, question or description."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from stvg_ros.commands import lexicon, orders, phrases, questions
from stvg_ros.commands.any_order import any_order
from stvg_ros.commands.command import Intent
from stvg_ros.commands.following import split_following
from stvg_ros.commands.opening import place_first, searched_first, sent_first, without_address
from stvg_ros.commands.phrases import starts
from stvg_ros.commands.request import SentenceRequest, person_at
from stvg_ros.commands.tokens import Token, joined
from stvg_ros.commands.verbs import BASES, FORMS

_NEEDS = phrases.phrases(
    "needs to be|need to be|should be|has to be|have to be|must be|wants to be|want to be|"
    "would like to be|is to be|are to be|requires to be"
)
_FOUND = re.compile(
    r"(?:find|locate|spot|look for|search for) (?:them|him|her|it)"
    r"(?:,? and then |,? and |,? then |$)",
    re.IGNORECASE,
)


def request(words: Sequence[Token]) -> SentenceRequest:
    """The request of a sentence, by its first words."""
    words = without_address(words)
    if [t.word for t in words[:3]] == ["tell", "me", ","]:
        words = [*words[:2], *words[3:]]
    place = ""
    for _ in range(3):
        gone = searched_first(words) or sent_first(words) or place_first(words)
        if gone is None:
            break
        words, place = without_address(gone[0]), gone[1] or place
    if not words and place:
        return SentenceRequest("other", [], place)
    if words[0].word == "stop" and words[1:2] and "ING" in FORMS.get(words[1].word, ()):
        return SentenceRequest("other", [])  # "stop following the man"
    found = (
        questions.count_question(words)
        or orders.talk(words)
        or orders.watch(words)
        or orders.hand_over(words)
        or orders.guide(words)
        or questions.describe(words)
        or questions.exists(words)
        or orders.simple_order(words)
        or questions.question(words)
        or _order_inside(words)
        or any_order(words, request)
        or _statement(words)
    )
    return replace(found, place=place or found.place)


def _order_inside(words: Sequence[Token]) -> SentenceRequest | None:
    """The order inside a sentence such as "I lost my friend so find the man in red"."""
    for at in range(1, len(words) - 1):
        if lexicon.is_person(words[at - 1].word) and words[at - 1].word != "friend":
            return None
        after = words[at + 1].word
        begins = after in ("me", "for", *lexicon.DETERMINERS, *lexicon.INDEFINITE)
        orders = words[at].word in ("find", "locate", "follow", "look", "search", "show", "track")
        if orders and begins and words[at - 1].word not in ("to", "who", "that", "and"):
            return request(words[at:])
    return None


def _needed(words: Sequence[Token]) -> SentenceRequest | None:
    """Parses "<person> needs to be led to the exit", "<person> should be escorted out"."""
    for at in range(2, len(words) - 1):
        length = starts(words, _NEEDS, at)
        verb = words[at + length].word if length and at + length < len(words) else ""
        if verb and BASES.get(verb, "") in phrases.ROBOT_VERBS and person_at(words, 0):
            body, start = orders.origin(list(words[:at]))
            task, then = split_following(words[at + length :])
            return SentenceRequest("find", body, start, [joined(task), *then])
    return None


def _ends_with_order(words: Sequence[Token]) -> tuple[list[Token], Intent] | None:
    """The description in "... can you find her", and the order's intent."""
    if len(words) < 4 or words[-1].word not in ("him", "her", "them"):
        return None
    intent: Intent | None = {"find": "find", "locate": "find", "follow": "follow"}.get(
        words[-2].word
    )  # type: ignore[assignment]
    if intent is None:
        return None
    rest = list(words[:-2])
    while rest and rest[-1].word in ("can", "could", "would", "you", "please", "so", ",", "and"):
        rest.pop()
    return (rest, intent) if rest else None


def _statement(words: Sequence[Token]) -> SentenceRequest:
    """A description alone, or after "there is"."""
    there = starts(words, phrases.THERE_IS)
    needed = _needed(words[there:])
    if needed:
        return needed
    ending = _ends_with_order(words[there:])
    if ending:
        return SentenceRequest(ending[1], ending[0])
    body, then = split_following(words[there:])
    if then and (found := _FOUND.match(then[0])):
        then = [then[0][found.end() :], *then[1:]]  # "..., find them and tell them the time"
    return SentenceRequest("find", body, then=[t for t in then if t], ordered=False)
