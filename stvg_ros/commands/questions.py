# SPDX-License-Identifier: Apache-2.0

"""Questions: "how many ...", "what is ... wearing", "is there ...", "which of the kids ..."."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stvg_ros.commands import lexicon, phrases
from stvg_ros.commands.following import split_following
from stvg_ros.commands.phrases import starts
from stvg_ros.commands.request import SentenceRequest, has_word, person_at
from stvg_ros.commands.times import find_time
from stvg_ros.commands.tokens import Token
from stvg_ros.commands.verbs import FORMS, third_person

_SEEN = phrases.phrases(
    "are there|is there|do you see|can you see|there are|you see|you can see|"
    "you can find|"
    "can be seen|do you count|were there|can you find|can you count|present|you find|"
    "do we have|"
    "can you spot|do you find|you can spot|are present|are currently|are visible|there were"
)
_WANTED = {
    "doing": "action",
    "do": "action",
    "up": "action",
    "making": "gesture",
    "gesturing": "gesture",
    "showing": "gesture",
    "performing": "gesture",
    "called": "name",
    "named": "name",
    "wearing": "clothes",
    "wear": "clothes",
    "dressed": "clothes",
    "look": "description",
    "looks": "description",
    "wears": "clothes",
    "does": "action",
    "in": "pose",
}
_CARRYING = ("holding", "carrying")
_SHOWING = ("making", "doing", "showing", "makes", "shows", "does", "has", "in")
_MADE = ("being", "made", "shown", "performed", "done", "worn", "that", "is", "used")
_LATE = ("now", "today", "there", "here", "exactly", "currently", "please")
# Prepositions whose noun a question leaves out: "who is the man next to in the room".
_OPEN = ("next", "front", "away", "towards", "toward", "above", "below", "behind", "beside",
         "beneath", "under", "near", "inside")  # fmt: skip
_SUBJECTS = lexicon.BE | lexicon.DO | lexicon.DETERMINERS | lexicon.POSSESSIVES | lexicon.INDEFINITE


def count_question(words: Sequence[Token]) -> SentenceRequest | None:
    """Parses "how many people are in the kitchen"."""
    length = starts(words, phrases.HOW_MANY)
    if not length or (length == 1 and words[0].word == "count" and words[1:2] == []):
        return None
    body, then = split_following(words[length:])
    body = [t for t in body if t.text != "?"]
    for extra in _SEEN.all:
        body = _removed(body, extra)
    return SentenceRequest("count", body, then=then)


def _removed(words: list[Token], phrase: phrases.Phrase) -> list[Token]:
    for at in range(len(words) - len(phrase) + 1):
        if tuple(t.word for t in words[at : at + len(phrase)]) == phrase:
            return [*words[:at], *words[at + len(phrase) :]]
    return words


def describe(words: Sequence[Token]) -> SentenceRequest | None:
    """Parses "tell me the pose of ...", "what is ... wearing?", "describe ..."."""
    length = starts(words, phrases.TELL_ME)
    if length:
        at = length + (words[length : length + 1] != [] and words[length].word in ("the", "what"))
        at += at < len(words) and words[at - 1].word == "what" and words[at].word in ("is", "the")
        at += at < len(words) and words[at - 1].word == "is" and words[at].word == "the"
        for width in (2, 1):
            info = phrases.INFO.get(" ".join(t.word for t in words[at : at + width]), "")
            by = _by(words, at + width) if info else 0
            after = words[at + width + by].word if at + width + by < len(words) else ""
            at += by
            if info and after in ("of", "from", "for", "by"):
                begin = at + width + 1
                begin += words[begin : begin + 1] != [] and words[begin].word in ("of", "by")
                body, then = split_following(words[begin:])
                if body and body[-1].word == "is":
                    body = body[:-1]
                return SentenceRequest("describe", body, then=then, asked=info)
            clause = _info_clause(words, at + width, info) if info else None
            if clause:
                return clause
        owned = _owned(words, length)
        if owned:
            return owned
    doing = _colour_of(words) or _what_does(words)
    if doing:
        return doing
    length = starts(words, phrases.DESCRIBE)
    if length and length < len(words):
        owned = _owned(words, length)
        body, then = split_following(words[length:])
        return owned or SentenceRequest("describe", body, then=then, asked="description")
    return None


def _by(words: Sequence[Token], begin: int) -> int:
    """The number of words in "(the gesture) being made" before "by"."""
    at = begin
    while at < len(words) and words[at].word in _MADE:
        at += 1
    return at - begin if at < len(words) and words[at].word == "by" else 0


def _owned(words: Sequence[Token], begin: int) -> SentenceRequest | None:
    """Parses "the person's pose", "the person in the kitchen's name"."""
    for at in range(begin, len(words) - 1):
        if words[at].word in ("and", "then", ","):
            return None
        if words[at].glued and words[at].word == "is":
            info = phrases.INFO.get(words[at + 1].word, "")
            if info:
                rest = [*words[begin:at], *words[at + 2 :]]
                body, then = split_following(rest)
                return SentenceRequest("describe", body, then=then, asked=info)
    return None


def _colour_of(words: Sequence[Token]) -> SentenceRequest | None:
    """Parses "what colour is the shirt of <person>", "what colour is <person>'s shirt"."""
    at = next((i for i, t in enumerate(words[:6]) if t.word in ("color", "colour")), -1)
    if at < 1 or words[at - 1].word not in ("what", "which", "the"):
        return None
    rest = [t for t in words[at + 1 :] if t.text not in "?."]
    rest = rest[1:] if rest and (rest[0].word in lexicon.BE or rest[0].word == "of") else rest
    last = rest[-1].word if rest else ""
    if len(rest) > 2 and rest[-2].word == "is" and rest[-2].glued and last in lexicon.GARMENTS:
        return SentenceRequest("describe", rest[:-2], asked="clothes")
    if len(rest) > 1 and rest[0].word in ("his", "her", "their") and last in lexicon.GARMENTS:
        return SentenceRequest("describe", rest, asked="clothes")
    owner = next((i for i, t in enumerate(rest[:4]) if t.word == "of"), -1)
    if owner > 0 and rest[owner - 1].word in lexicon.GARMENTS and person_at(rest, owner + 1):
        return SentenceRequest("describe", rest[owner + 1 :], asked="clothes")
    return None


def _what_does(words: Sequence[Token]) -> SentenceRequest | None:
    """Parses "what is <person> doing?", "how does ... look?"."""
    at = next((i for i, t in enumerate(words[:6]) if t.word in ("what", "how")), -1)
    if at < 0 and len(words) > 1 and words[0].word == "which" and words[1].word in phrases.INFO:
        at = 0
    if at < 0 or (at and not starts(words, phrases.TELL_ME)):
        return None
    rest, late = _without_late([t for t in words[at + 1 :] if t.text not in "?."])
    if rest and rest[-1].word == "like":
        rest.pop()
    if [t.word for t in rest[-2:]] == ["up", "to"]:
        rest.pop()
    asked = _WANTED.get(rest[-1].word, "") if len(rest) > 2 else ""
    if at and len(rest) > 2 and rest[-1].word in _CARRYING:
        asked = "action"
    if not asked:
        return None
    first = 0  # past "gesture" of "what gesture is", "kind of clothes" of "what kind of clothes"
    while first < len(rest) - 2 and rest[first].word not in _SUBJECTS:
        asked = phrases.INFO.get(rest[first].word, asked)
        first += 1
    inverted = rest[first].word in (*lexicon.BE, *lexicon.DO)
    subject = rest[first + inverted : -1]
    while subject and subject[-1].word in (*lexicon.BE, *lexicon.DO, "like", "currently"):
        subject = subject[:-1]
    pronoun = len(subject) == 1 and subject[0].word in ("he", "she", "they")
    if not (inverted or at) or not (pronoun or person_at(subject, 0)):
        return None
    return SentenceRequest("describe", [*subject, *late], asked=asked)


def _without_late(words: list[Token]) -> tuple[list[Token], list[Token]]:
    """The words without "right now" and the like at the end, and the time among those."""
    found = find_time(words)
    if found and found[1] == len(words):
        return words[: found[0]], words[found[0] :]
    while words and words[-1].word in _LATE:
        words = words[:-1]
    return words, []


def _info_clause(words: Sequence[Token], begin: int, info: str) -> SentenceRequest | None:
    """Parses "(the gesture) that <person> is making", "(the pose) <person> is in"."""
    begin += words[begin : begin + 1] != [] and words[begin].word in ("that", "which")
    rest, late = _without_late([t for t in words[begin:] if t.text not in "?."])
    inverted = bool(rest) and rest[0].word in lexicon.BE | lexicon.DO
    if not rest or inverted or rest[-1].word not in _SHOWING or not person_at(rest, 0):
        return None
    subject = rest[:-1]
    while subject and subject[-1].word in (*lexicon.BE, "currently"):
        subject = subject[:-1]
    return SentenceRequest("describe", [*subject, *late], asked=info)


def exists(words: Sequence[Token]) -> SentenceRequest | None:
    """Parses "is there somebody on the floor?"."""
    length = starts(words, phrases.EXISTS)
    if length:
        body, then = split_following(words[length:])
        return SentenceRequest("exists", _asked(body), then=then)
    length = starts(words, phrases.EXISTS_WHO)
    if starts(words, phrases.FIND) > length:
        return None  # "has anyone seen ..." looks for somebody else
    after = words[length].word if length and length < len(words) else ""
    named = after in lexicon.INDEFINITE or after in lexicon.DETERMINERS | lexicon.POSSESSIVES
    if not (length and named):
        return None
    if after not in lexicon.INDEFINITE and not person_at(words, length):
        return None
    body, then = split_following(words[length:])
    if after not in lexicon.INDEFINITE and words[length - 1].word in lexicon.DO | lexicon.HAVE:
        body = _finite(body, "BASE" if words[length - 1].word in lexicon.DO else "PART")
    return SentenceRequest("exists", _asked(body), then=then)


def _finite(words: list[Token], form: str) -> list[Token]:
    """The words of "(did) the man sit down" with "sit" tagged as a finite verb."""
    for at in range(2, len(words)):
        word, before = words[at].word, words[at - 1].word
        inside = before in lexicon.PREPOSITIONS or before in (
            *lexicon.DETERMINERS, *lexicon.POSSESSIVES, *lexicon.COLOURS,
        )  # fmt: skip
        garment = word in lexicon.GARMENTS and at < len(words) - 1
        if form in FORMS.get(word, ()) and not lexicon.is_person(word) and not garment:
            if inside and before not in lexicon.COLOURS:
                continue
            return [*words[:at], replace(words[at], word=third_person(word)), *words[at + 1 :]]
    return words


def _asked(words: list[Token]) -> list[Token]:
    return [t for t in words if t.text != "?"]


def question(words: Sequence[Token]) -> SentenceRequest | None:
    """Parses "where did X go?", "who is ...?", "which of the kids has the ball?"."""
    if not words:
        return None
    at = starts(words, phrases.TELL_ME)
    if at and at < len(words) and words[at].word in ("where", "who", "which", "if"):
        words = words[at:]
    first = words[0].word
    if first == "where":
        return SentenceRequest("find", where_is(list(words)))
    asks_when = first == "when" and len(words) > 3 and words[1].word in lexicon.DO | lexicon.HAVE
    if asks_when and person_at(words, 2):
        form = "BASE" if words[1].word in lexicon.DO else "PART"
        return SentenceRequest("find", _finite(_asked(list(words[2:])), form))
    if first == "which" and len(words) > 2:
        return SentenceRequest("find", _which([t for t in words if t.text != "?"]))
    if first in ("who", "what", "whoever"):
        words = _named_person(words)
        body, then = split_following([t for t in words if t.text != "?"])
        return SentenceRequest("find", body, then=then, ordered=False)
    return None


def _named_person(words: Sequence[Token]) -> Sequence[Token]:
    """The description in "who is the man with the hat"; the words if they ask for another one.

    "who is the man watching" and "who is the man in front of" ask for the man's counterpart.
    """
    said = [t for t in words if t.text not in ".?!"]
    if len(said) < 4 or said[1].word not in lexicon.BE or said[2].word not in lexicon.DETERMINERS:
        return words
    last = said[-1].word
    open_end = last in lexicon.PREPOSITIONS or "ING" in FORMS.get(last, ())
    open_end = open_end or said[0].word != "who" or has_word(said, *_OPEN)
    head = next((i for i in range(3, min(6, len(said))) if lexicon.is_person(said[i].word)), -1)
    after = said[head + 1].word if 0 < head < len(said) - 1 else ""
    told = after in ("in", "with", "wearing", "who", "that", "on", "at", "sitting", "standing")
    return said[2:] if told and not open_end else words


def where_is(words: list[Token]) -> list[Token]:
    """The description in "where did the woman go", "where is X", "where X is"."""
    body = [t for t in words[1:] if t.text != "?"]
    if body and body[0].word in (*lexicon.BE, *lexicon.DO, *lexicon.HAVE, "can", "could"):
        helped = body[0].word in (*lexicon.DO, *lexicon.HAVE)
        body = body[1:]
        gone = ("go", "going", "gone", "been", "went", "run", "walk", "standing", "sitting", "hide")
        if body and (helped or body[-1].word == "going") and body[-1].word in gone:
            body = body[:-1]
        return body
    if body and body[-1].word in (*lexicon.BE, "went", "goes"):
        body = body[:-1]
    return body


def _which(words: list[Token]) -> list[Token]:
    """Converts "which of the kids has the ball" to "the kid who has the ball"."""
    start = 1
    partitive = words[1].word == "of"
    if partitive:
        start = 2
    at = next(
        (
            i
            for i in range(start, len(words))
            if lexicon.is_animate(words[i].word) or words[i].word in ("one", "ones")
        ),
        -1,
    )
    if at < 0 or at + 1 >= len(words):
        return words[start:]
    noun = words[at]
    if partitive:
        single = lexicon.singular(noun.word)
        noun = replace(noun, text=single, word=single)
    counted = [t for t in words[start:at] if t.word not in lexicon.NUMBERS]
    head = counted if partitive else [Token("the", "the"), *words[start:at]]
    after = words[at + 1].word
    verbal = after in FORMS or after in lexicon.BE | lexicon.HAVE | lexicon.DO
    unlisted = partitive and after.endswith("s") and after not in lexicon.PREPOSITIONS
    verbal = verbal or unlisted
    who = [Token("who", "who")] if verbal and not after.endswith("ing") else []
    return [*head, noun, *who, *words[at + 1 :]]
