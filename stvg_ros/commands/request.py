# SPDX-License-Identifier: Apache-2.0

"""What a sentence orders or asks: its intent, the description, the place, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from stvg_ros.commands import lexicon, phrases
from stvg_ros.commands.command import Intent
from stvg_ros.commands.following import split_following, without_connective
from stvg_ros.commands.phrases import starts
from stvg_ros.commands.places import place_at
from stvg_ros.commands.tokens import Token, joined
from stvg_ros.commands.verbs import BASES, FORMS

_WANTED = {
    "doing": "action",
    "do": "action",
    "up": "action",
    "making": "gesture",
    "gesturing": "gesture",
    "wearing": "clothes",
    "wear": "clothes",
    "dressed": "clothes",
    "look": "description",
    "in": "pose",
}
_SUBJECTS = lexicon.BE | lexicon.DO | lexicon.DETERMINERS | lexicon.POSSESSIVES | lexicon.INDEFINITE
_MOST_ORDERS = 6  # "robot, please go to ..., then find ...": prefixes in a row


@dataclass(frozen=True)
class Request:
    """A sentence without what is not part of its description.

    Attributes:
        intent: What is asked.
        words: The description, place and what follows apart.
        place: The room or furniture that the robot is sent to.
        then: What the robot is to do afterwards.
        asked: What a question wants to know.
        ordered: A robot is addressed; a bare description orders nothing.
        name: A person's name in place of a description.
    """

    intent: Intent
    words: list[Token]
    place: str = ""
    then: list[str] = field(default_factory=list)
    asked: str = ""
    ordered: bool = True
    name: str = ""


def request(words: Sequence[Token]) -> Request:
    """What a sentence asks for, by how it begins."""
    words = _without_address(words)
    place = ""
    for _ in range(3):
        gone = _go(words) or _in_place_first(words)
        if gone is None:
            break
        words, place = _without_address(gone[0]), gone[1] or place
    if not words and place:
        return Request("other", [], place)
    found = (
        _question_of_count(words)
        or _talk(words)
        or _watch(words)
        or _hand_over(words)
        or _guide(words)
        or _describe(words)
        or _exists(words)
        or _simple(words)
        or _question(words)
        or _order_inside(words)
        or _statement(words)
    )
    return replace(found, place=place or found.place)


# --- before the order ----------------------------------------------------------------------------


def _without_address(words: Sequence[Token]) -> list[Token]:
    """The words after "robot, could you please ..."."""
    rest = list(words)
    for _ in range(4 * _MOST_ORDERS):
        while rest and rest[0].text in ".,;:!?":
            rest = rest[1:]
        if starts(rest, phrases.EXISTS):
            break
        length = starts(rest, phrases.ADDRESS)
        if rest and rest[0].word in ("go", "come") and _ordered(rest[1:]):
            length = 1
        if length and not _begins_description(rest, length):
            rest = rest[length:]
            continue
        named = len(rest) > 2 and rest[1].text == "," and _is_name(rest[0])
        if not named:
            break
        rest = rest[2:]
    return rest or list(words)


def _ordered(words: Sequence[Token]) -> bool:
    """Whether an order begins here: "go find ...", "come look at ..."."""
    orders = (phrases.FIND, phrases.FOLLOW, phrases.GREET, phrases.HOW_MANY, phrases.MEET)
    return any(starts(words, options) for options in orders) and words[0].word != "to"


def _begins_description(words: Sequence[Token], length: int) -> bool:
    """ "there is ..." and "right ..." are no address; nor is a sentence's only word."""
    first = words[0].word
    after = words[length].word if length < len(words) else ""
    if first == "there":
        return after in lexicon.BE
    if first in ("first", "next", "right", "just", "all") and length == 1:
        return after in lexicon.PERSONS or after in ("to", "of")
    if first == "robot" and length == 1:
        return after in lexicon.BE or after in ("that", "which")
    return length >= len(words)


def _is_name(token: Token) -> bool:
    known = token.word in phrases.NAMES or token.text[:1].isupper()
    return known and token.word not in FORMS and not lexicon.is_animate(token.word)


def _go(words: Sequence[Token]) -> tuple[list[Token], str] | None:
    """ "go to the kitchen, then ...": the rest, and the place."""
    length = starts(words, phrases.GO)
    if not length:
        return None
    end = place_at(words, length)
    if end == length:
        end = _unknown_place(words, length)
    if end == length:
        return None
    after = words[end].word if end < len(words) else ""
    if after in ("with", "who", "that", "wearing", "in", "at", "near", "next"):
        return None
    rest = without_connective(words[end:])
    return rest, joined(words[length:end])


def _unknown_place(words: Sequence[Token], start: int) -> int:
    """The end of "the <nouns>" before "and", "then" or a comma, where no person is named."""
    at = start
    while at < len(words) and words[at].word not in (",", "and", "then", ".", "where", "to"):
        at += 1
    nouns = words[start:at]
    people = any(lexicon.is_animate(t.word) or t.word in ("someone", "who") for t in nouns)
    named = len(nouns) == 1 and _is_name(nouns[0])
    fits = 1 < len(nouns) <= 4 and at < len(words) and nouns[0].word in ("the", "my", "our", "your")
    return at if fits and not people and not named else start


def _in_place_first(words: Sequence[Token]) -> tuple[list[Token], str] | None:
    """ "in the kitchen, find ..." """
    if len(words) < 4 or words[0].word not in ("in", "at", "inside", "from"):
        return None
    end = place_at(words, 1)
    if end == 1 or end >= len(words):
        return None
    rest = [t for t in words[end : end + 1] if t.text != ","] + list(words[end + 1 :])
    ordered = any(
        starts(rest, options)
        for options in (phrases.FIND, phrases.FOLLOW, phrases.HOW_MANY, phrases.TELL_ME,
                        phrases.GREET, phrases.ADDRESS, phrases.GUIDE)
    )
    return (rest, joined(words[1:end])) if ordered else None


# --- the order itself ----------------------------------------------------------------------------


def _question_of_count(words: Sequence[Token]) -> Request | None:
    length = starts(words, phrases.HOW_MANY)
    if not length or (length == 1 and words[0].word == "count" and words[1:2] == []):
        return None
    body, then = split_following(words[length:])
    body = [t for t in body if t.text != "?"]
    for extra in phrases.phrases(
        "are there|is there|do you see|can you see|there are|you see|you can see|you can find|"
        "can be seen|do you count|were there|can you find|can you count|present|you find|do we have|"
        "can you spot|do you find|you can spot|are present|are currently|are visible|there were"
    ):
        body = _removed(body, extra)
    return Request("count", body, then=then)


def _removed(words: list[Token], phrase: phrases.Phrase) -> list[Token]:
    for at in range(len(words) - len(phrase) + 1):
        if tuple(t.word for t in words[at : at + len(phrase)]) == phrase:
            return [*words[:at], *words[at + len(phrase) :]]
    return words


def _talk(words: Sequence[Token]) -> Request | None:
    """ "tell the time to the waving person", "answer the quiz of ...", "say hello to ..."."""
    if starts(words, phrases.GREET):
        return _verb_and_person(words, starts(words, phrases.GREET))
    answer = starts(words, phrases.ANSWER)
    if answer and _has(words[answer : answer + 4], "question", "quiz", "questions", "riddle"):
        at = _index(words, ("of", "from", "asked", "posed", "by"), answer)
        while 0 <= at + 1 < len(words) and words[at + 1].word in ("by", "of", "from", "to"):
            at += 1
        if at > 0:
            task = [t for t in words[:at] if t.word not in ("asked", "posed", "by")]
            return _found_person(words[at + 1 :], [joined(task)])
        return None
    talk = starts(words, phrases.TALK)
    if not talk or words[talk : talk + 1] and words[talk].word in ("me", "us", "when", "where"):
        return None
    return _told(words, talk)


def _told(words: Sequence[Token], talk: int) -> Request | None:
    """ "tell X to <person>" and "tell <person> X"."""
    begin = talk
    content = words[begin].word if begin < len(words) else ""
    second = words[begin + 1].word if begin + 1 < len(words) else ""
    if content in phrases.TALK_BEGINS - {"a", "an"} or second in phrases.TALK_NOUNS or (
        content in ("the", "a", "an") and _has(words[begin : begin + 5], "of", "joke")
        and second in ("day", "name", "date", "names", "joke", "time")
    ):
        for at in range(len(words) - 1, begin, -1):
            if words[at].word in ("to", "with") and _person_at(words, at + 1):
                return _found_person(words[at + 1 :], [joined(words[:at])])
        return None
    if not _person_at(words, begin):
        return None
    for at in range(begin + 1, len(words)):
        here = words[at].word
        after = words[at + 1].word if at + 1 < len(words) else ""
        about = here in ("something", "what", "about", "how") or (
            here in ("the", "your") and (after in phrases.TALK_NOUNS or after.startswith("team"))
        )
        if about and words[at - 1].word not in ("is", "are", "doing"):
            task, then = split_following(words[at:])
            told = f"{joined(words[:talk])} {joined(task)}"
            return _found_person(words[begin:at], [told, *then])
        if here == "that" and after in ("it", "the", "dinner", "your", "i", "you"):
            return _found_person(words[begin:at], [f"{joined(words[:talk])} {joined(words[at:])}"])
        if here == "to" and "BASE" in FORMS.get(after, ()):
            return _found_person(words[begin:at], [f"{joined(words[:talk])} {joined(words[at:])}"])
    return None


def _person_at(words: Sequence[Token], start: int) -> bool:
    """Whether the noun phrase here names a person."""
    for token in words[start : start + 7]:
        if lexicon.is_animate(token.word) or token.word in lexicon.INDEFINITE | {"whoever"}:
            return True
        if token.word in lexicon.PREPOSITIONS or token.word in (",", "."):
            return False
    return False


def _found_person(words: Sequence[Token], then: list[str]) -> Request:
    body, more = split_following(words)
    return Request("find", body, then=[*then, *more])


def _verb_and_person(words: Sequence[Token], length: int) -> Request:
    """ "greet <person> and ...": finding comes first, the rest is done afterwards."""
    body, then = split_following(words[length:])
    verb = [t for t in words[:length] if t.word not in ("to", "at")] or list(words[:length])
    return Request("find", body, then=[joined(verb), *then])


def _watch(words: Sequence[Token]) -> Request | None:
    length = starts(words, phrases.WATCH)
    if not length:
        return None
    body, then = split_following(words[length:])
    there = starts(body, phrases.THERE_IS)
    return Request("watch", body[there:], then=then)


def _hand_over(words: Sequence[Token]) -> Request | None:
    """ "bring it to <person>", "give <person> the cup"."""
    length = starts(words, phrases.HAND_OVER)
    if not length or words[length : length + 1] and words[length].word == "me":
        return None
    if _person_at(words, length):
        return None
    for at in range(length + 1, len(words) - 1):
        if words[at].word in ("to", "over") and _person_at(words, at + 1):
            return _found_person(words[at + 1 :], [joined(words[:at])])
        if words[at].word in ("and", "then", ","):
            break
    return None


def _guide(words: Sequence[Token]) -> Request | None:
    """ "guide <person> from the sofa to the kitchen"."""
    length = starts(words, phrases.GUIDE)
    if not length or words[length : length + 1] and words[length].word in ("me", "us"):
        return None
    verb = joined(words[:length])
    body, then = split_following(words[length:])
    body, origin = _origin(body)
    body, way = _way(body)
    if not way and not origin and BASES.get(words[0].word, words[0].word) in ("take", "show"):
        return None
    return Request("find", body, origin, [f"{verb} {way}".strip(), *then])


def _way(words: list[Token]) -> tuple[list[Token], str]:
    """The words without "to the kitchen", and it."""
    for at in range(len(words) - 1, -1, -1):
        if words[at].word not in ("to", "into", "towards", "toward", "over"):
            continue
        end = place_at(words, at + 1)
        if at and (words[at - 1].word in ("next", "close", "pointing", "adjacent") or end == at + 1):
            continue
        if at == 0 and end == 1:
            continue
        rest = [*words[:at], *[t for t in words[end:] if t.text != ","]]
        return rest, joined(words[at:end])
    return words, ""


def _origin(words: list[Token]) -> tuple[list[Token], str]:
    """The words without "from the sofa", and "the sofa"."""
    for at in range(len(words) - 1, -1, -1):
        if words[at].word == "from" and (end := place_at(words, at + 1)) > at + 1:
            return [*words[:at], *words[end:]], joined(words[at + 1 : end])
    return words, ""


def _describe(words: Sequence[Token]) -> Request | None:
    """ "tell me the pose of ...", "what is ... wearing?", "describe ..."."""
    length = starts(words, phrases.TELL_ME)
    if length:
        at = length + (words[length : length + 1] != [] and words[length].word in ("the", "what"))
        at += at < len(words) and words[at - 1].word == "what" and words[at].word in ("is", "the")
        at += at < len(words) and words[at - 1].word == "is" and words[at].word == "the"
        for width in (2, 1):
            info = phrases.INFO.get(" ".join(t.word for t in words[at : at + width]), "")
            after = words[at + width].word if at + width < len(words) else ""
            if info and after in ("of", "from", "for"):
                begin = at + width + 1
                begin += words[begin : begin + 1] != [] and words[begin].word in ("of", "by")
                body, then = split_following(words[begin:])
                if body and body[-1].word == "is":
                    body = body[:-1]
                return Request("describe", body, then=then, asked=info)
        owned = _owned(words, length)
        if owned:
            return owned
    doing = _what_does(words)
    if doing:
        return doing
    length = starts(words, phrases.DESCRIBE)
    if length and length < len(words):
        owned = _owned(words, length)
        body, then = split_following(words[length:])
        return owned or Request("describe", body, then=then, asked="description")
    return None


def _owned(words: Sequence[Token], begin: int) -> Request | None:
    """ "the person's pose", "the person in the kitchen's name"."""
    for at in range(begin, len(words) - 1):
        if words[at].glued and words[at].word == "is":
            info = phrases.INFO.get(words[at + 1].word, "")
            if info:
                rest = [*words[begin:at], *words[at + 2 :]]
                body, then = split_following(rest)
                return Request("describe", body, then=then, asked=info)
    return None


def _what_does(words: Sequence[Token]) -> Request | None:
    """ "what is <person> doing?", "tell me what <person> is wearing", "how does ... look?"."""
    at = next((i for i, t in enumerate(words[:6]) if t.word in ("what", "how")), -1)
    if at < 0 or (at and not starts(words, phrases.TELL_ME)):
        return None
    rest = [t for t in words[at + 1 :] if t.text not in "?."]
    if rest and rest[-1].word == "like":
        rest.pop()
    asked = _WANTED.get(rest[-1].word, "") if len(rest) > 2 else ""
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
    if not (inverted or at) or not _person_at(subject, 0):
        return None
    return Request("describe", subject, asked=asked)


def _exists(words: Sequence[Token]) -> Request | None:
    length = starts(words, phrases.EXISTS)
    if length:
        body, then = split_following(words[length:])
        return Request("exists", _asked(body), then=then)
    length = starts(words, phrases.EXISTS_WHO)
    after = words[length].word if length and length < len(words) else ""
    named = after in lexicon.INDEFINITE or after in lexicon.DETERMINERS | lexicon.POSSESSIVES
    if not (length and named):
        return None
    if after not in lexicon.INDEFINITE and not _person_at(words, length):
        return None
    body, then = split_following(words[length:])
    return Request("exists", _asked(body), then=then)


def _asked(words: list[Token]) -> list[Token]:
    return [t for t in words if t.text != "?"]


def _simple(words: Sequence[Token]) -> Request | None:
    """ "find ...", "follow ...", "meet ..."."""
    if starts(words, phrases.MEET):
        body, then = split_following(words[starts(words, phrases.MEET) :])
        return Request("find", body, then=then) if body else None
    finding, following = starts(words, phrases.FIND), starts(words, phrases.FOLLOW)
    length = max(finding, following)
    if not length or length >= len(words):
        return None
    if words[0].word in ("where",) and words[1].word in lexicon.BE and _bare_where(words):
        return None
    body, then = split_following(words[length:])
    if following >= finding:
        body, origin = _origin(body)
        body, way = _way(body) if origin or _has(body, "to", "into") else (body, "")
        verb = joined(words[:following])
        return Request("follow", body, origin, [*([f"{verb} {way}"] if way else []), *then])
    body = [t for t in body if t.text != "?"]
    if words[0].word == "do" and body[:1] and body[0].word == "where":
        body = _where(body)
    there = starts(body, phrases.THERE_IS)
    return Request("find", body[there:], then=then)


def _bare_where(words: Sequence[Token]) -> bool:
    return len(words) == 2


def _question(words: Sequence[Token]) -> Request | None:
    """ "where did X go?", "who is ...?", "which of the kids has the ball?"."""
    if not words:
        return None
    at = starts(words, phrases.TELL_ME)
    if at and at < len(words) and words[at].word in ("where", "who", "which", "if"):
        words = words[at:]
    first = words[0].word
    if first == "where":
        return Request("find", _where(list(words)))
    if first == "which" and len(words) > 2:
        return Request("find", _which([t for t in words if t.text != "?"]))
    if first in ("who", "what", "whoever"):
        body, then = split_following([t for t in words if t.text != "?"])
        return Request("find", body, then=then, ordered=False)
    return None


def _where(words: list[Token]) -> list[Token]:
    """ "where did the woman go", "where is X", "where X is": the description alone."""
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
    """ "which of the kids has the ball" is "the kid who has the ball"."""
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
    head = words[start:at] if partitive else [Token("the", "the"), *words[start:at]]
    after = words[at + 1].word
    verbal = after in FORMS or after in lexicon.BE | lexicon.HAVE | lexicon.DO
    who = [Token("who", "who")] if verbal and not after.endswith("ing") else []
    return [*head, noun, *who, *words[at + 1 :]]


def _order_inside(words: Sequence[Token]) -> Request | None:
    """ "I lost my friend so find the man in red": the order, where nobody is described before."""
    for at in range(1, len(words) - 1):
        if lexicon.is_person(words[at - 1].word) and words[at - 1].word != "friend":
            return None
        after = words[at + 1].word
        begins = after in ("me", "for", *lexicon.DETERMINERS, *lexicon.INDEFINITE)
        orders = words[at].word in ("find", "locate", "follow", "look", "search", "show", "track")
        if orders and begins and words[at - 1].word not in ("to", "who", "that", "and"):
            return request(words[at:])
    return None


def _statement(words: Sequence[Token]) -> Request:
    """A description alone, or with "there is" before it."""
    there = starts(words, phrases.THERE_IS)
    body, then = split_following(words[there:])
    return Request("find", body, then=then, ordered=False)


def _has(words: Sequence[Token], *said: str) -> bool:
    return any(token.word in said for token in words)


def _index(words: Sequence[Token], said: tuple[str, ...], start: int) -> int:
    return next((i for i in range(start, len(words)) if words[i].word in said), -1)
