# SPDX-License-Identifier: Apache-2.0

"""The request of a sentence in any form: order, question or description."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from stvg_ros.commands import lexicon, orders, phrases, questions
from stvg_ros.commands.following import split_following
from stvg_ros.commands.opening import place_first, sent_first, without_address
from stvg_ros.commands.phrases import starts
from stvg_ros.commands.request import SentenceRequest
from stvg_ros.commands.tokens import Token

_FOUND = re.compile(
    r"(?:find|locate|spot|look for|search for) (?:them|him|her|it)"
    r"(?:,? and then |,? and |,? then |$)",
    re.IGNORECASE,
)


def request(words: Sequence[Token]) -> SentenceRequest:
    """The request of a sentence, by its first words."""
    words = without_address(words)
    place = ""
    for _ in range(3):
        gone = sent_first(words) or place_first(words)
        if gone is None:
            break
        words, place = without_address(gone[0]), gone[1] or place
    if not words and place:
        return SentenceRequest("other", [], place)
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


def _statement(words: Sequence[Token]) -> SentenceRequest:
    """A description alone, or after "there is"."""
    there = starts(words, phrases.THERE_IS)
    body, then = split_following(words[there:])
    if then and (found := _FOUND.match(then[0])):
        then = [then[0][found.end() :], *then[1:]]  # "..., find them and tell them the time"
    return SentenceRequest("find", body, then=[t for t in then if t], ordered=False)
