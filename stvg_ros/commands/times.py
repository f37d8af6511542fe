# SPDX-License-Identifier: Apache-2.0

"""Time expressions of commands: "two minutes ago", "just now", "in the last ten seconds"."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from stvg_ros.commands.command import TimeSpan
from stvg_ros.commands.lexicon import NUMBERS
from stvg_ros.commands.tokens import Token, joined

_UNITS = {"second": 1.0, "sec": 1.0, "minute": 60.0, "min": 60.0, "hour": 3600.0, "moment": 5.0}
_JUST_NOW_S = 10.0
_RECENTLY_S = 60.0
# Tolerance of "n units ago": a tenth of the distance, at least five seconds, in both directions.
_LEAST_MARGIN_S = 5.0
_FIXED = {
    ("just", "now"): (_JUST_NOW_S, 0.0),
    ("right", "now"): (2.0, 0.0),
    ("a", "moment", "ago"): (_JUST_NOW_S, 0.0),
    ("a", "second", "ago"): (_JUST_NOW_S, 0.0),
    ("a", "while", "ago"): (600.0, 60.0),
    ("a", "short", "while", "ago"): (120.0, 10.0),
    ("a", "little", "while", "ago"): (120.0, 10.0),
    ("a", "short", "time", "ago"): (120.0, 10.0),
    ("a", "minute", "ago"): (66.0, 54.0),
    ("moments", "ago"): (_JUST_NOW_S, 0.0),
    ("seconds", "ago"): (_JUST_NOW_S, 0.0),
    ("recently",): (_RECENTLY_S, 0.0),
    ("lately",): (_RECENTLY_S, 0.0),
    ("earlier",): (600.0, 10.0),
    ("at", "the", "moment"): (2.0, 0.0),
    ("currently",): (2.0, 0.0),
}
_AGAIN = (("once", "again"), ("again",), ("once", "more"), ("one", "more", "time"))
_EVERY = (("every", "time"), ("each", "time"), ("immer", "wenn"), ("jedes", "mal"))
_STARTING: dict[str, list[tuple[tuple[str, ...], tuple[float, float]]]] = {}
for _fixed in _FIXED.items():
    _STARTING.setdefault(_fixed[0][0], []).append(_fixed)


def find_time(words: Sequence[Token]) -> tuple[int, int, TimeSpan] | None:
    """The first time expression: its start and end index, and the span."""
    for start in range(len(words)):
        for fixed, (far_s, near_s) in _STARTING.get(words[start].word, ()):
            end = start + len(fixed)
            if tuple(token.word for token in words[start:end]) == fixed:
                return start, end, TimeSpan(joined(words[start:end]), far_s, near_s)
        found = _ago(words, start) or _within(words, start)
        if found:
            return found
    return None


def repeated(words: Sequence[Token]) -> bool:
    """Whether each event is asked for: "whenever", "every time", "each time"."""
    said = [token.word for token in words]
    return "whenever" in said or any(pair in _EVERY for pair in pairwise(said))


def without_again(words: Sequence[Token]) -> tuple[list[Token], bool]:
    """The words without "again" or "once more" at their end, and whether they were there."""
    rest = list(words)
    while rest and rest[-1].text in ".,;:!?":
        rest.pop()
    for said in _AGAIN:
        length = len(said)
        if len(rest) > length and tuple(token.word for token in rest[-length:]) == said:
            return rest[:-length], True
    return list(words), False


def _amount(words: Sequence[Token], start: int) -> tuple[int, float] | None:
    """Seconds of "ten seconds", "a minute and a half", "half a minute", and its end index."""
    here = [token.word for token in words[start : start + 6]]
    if here[:2] == ["half", "a"] or here[:2] == ["half", "an"]:
        return _unit(here, 2, 0.5, start)
    if not here:
        return None
    if here[0] in ("few", "several"):
        return _unit(here, 1, 5.0, start)
    if here[:2] in (["a", "few"], ["a", "couple"]):
        skip = 3 if here[2:3] == ["of"] else 2
        return _unit(here, skip, 2.0 if here[1] == "couple" else 5.0, start)
    if here[0] in ("a", "an"):
        return _unit(here, 1, 1.0, start)
    number = NUMBERS.get(here[0]) or (int(here[0]) if here[0].isdecimal() else None)
    if number is None or number > 100_000:
        return None
    if here[1:2] and here[1] in NUMBERS and number >= 20:  # "twenty five"
        return _unit(here, 2, float(number + NUMBERS[here[1]]), start)
    return _unit(here, 1, float(number), start)


def _unit(here: list[str], index: int, amount: float, start: int) -> tuple[int, float] | None:
    if index >= len(here):
        return None
    unit = _UNITS.get(here[index].removesuffix("s"))
    if unit is None:
        return None
    end = index + 1
    if here[end : end + 3] == ["and", "a", "half"]:
        amount, end = amount + 0.5, end + 3
    return start + end, amount * unit


def _ago(words: Sequence[Token], start: int) -> tuple[int, int, TimeSpan] | None:
    first = start
    if words[start].word in ("about", "around", "from", "some"):
        first += 1
    amount = _amount(words, first)
    if amount is None:
        return None
    end, seconds = amount
    after = [token.word for token in words[end : end + 1]]
    if after not in (["ago"], ["earlier"], ["back"]):
        return None
    margin = max(_LEAST_MARGIN_S, seconds / 10)
    span = TimeSpan(joined(words[first : end + 1]), seconds + margin, max(0.0, seconds - margin))
    return start, end + 1, span


def _within(words: Sequence[Token], start: int) -> tuple[int, int, TimeSpan] | None:
    """Parses "in the last ten seconds", "during the past minute", "for the last two minutes"."""
    at = start
    if words[at].word not in ("in", "within", "during", "over", "for"):
        return None
    at += 1
    if at < len(words) and words[at].word in ("the", "these"):
        at += 1
    if at >= len(words) or words[at].word not in ("last", "past"):
        return None
    at += 1
    here = [token.word for token in words[at : at + 1]]
    bare = _unit(here, 0, 1.0, at) if here else None
    amount = bare or _amount(words, at)
    if amount is None:
        return None
    end, seconds = amount
    return start, end, TimeSpan(joined(words[start:end]), seconds, 0.0)
