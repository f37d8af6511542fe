# SPDX-License-Identifier: Apache-2.0

"""Orders: "find ...", "tell the time to ...", "guide ... from the sofa to the kitchen"."""

from __future__ import annotations

from collections.abc import Sequence

from stvg_ros.commands import lexicon, phrases
from stvg_ros.commands.following import split_following
from stvg_ros.commands.phrases import starts
from stvg_ros.commands.places import place_at
from stvg_ros.commands.questions import where_is
from stvg_ros.commands.request import (
    SentenceRequest,
    found_person,
    has_word,
    index_of,
    named_at,
    person_at,
)
from stvg_ros.commands.tokens import Token, joined
from stvg_ros.commands.verbs import BASES, FORMS, MOSTLY_NOUN
from stvg_ros.commands.word_classes import CLOSED_WORDS
from stvg_ros.commands.wordlist import word_set

_PROVIDING = word_set("provide supply")
_INFORMING = word_set("inform notify remind warn advise update")
_SIGNALS = word_set(
    "give send drop shoot tell let raise sound make say call text message shout beep signal alert"
)
_WHEN = phrases.phrases("when|as soon as|once|whenever|the moment|every time|each time|the second")


def talk(words: Sequence[Token]) -> SentenceRequest | None:
    """Parses "tell the time to the waving person", "answer the quiz of ...", "say hello to ..."."""
    if starts(words, phrases.GREET):
        return _verb_and_person(words, starts(words, phrases.GREET))
    if words[0].word in ("ask", "asking") and person_at(words, 1):
        return _asked_of(words)
    if words[0].word == "introduce" and person_at(words, 1):
        return _introduced(words)
    if words[0].word == "show" and person_at(words, 1) and has_word(words[3:], "where", "how"):
        return _asked_of(words)
    if words[0].word in ("help", "assist") and words[1:2] and words[1].word not in ("me", "us"):
        return _helped(words) if person_at(words, 1) else None
    answer = starts(words, phrases.ANSWER)
    if answer and has_word(words[answer : answer + 4], "question", "quiz", "questions", "riddle"):
        at = index_of(words, ("of", "from", "asked", "posed", "by"), answer)
        while 0 <= at + 1 < len(words) and words[at + 1].word in ("by", "of", "from", "to"):
            at += 1
        if at > 0:
            task = [t for t in words[:at] if t.word not in ("asked", "posed", "by")]
            return found_person(words[at + 1 :], [joined(task)])
        return _asking(words, answer)
    talk = starts(words, phrases.TALK)
    if not talk or (words[talk : talk + 1] and words[talk].word in ("me", "us", "when", "where")):
        return None
    return _told(words, talk)


def _introduced(words: Sequence[Token]) -> SentenceRequest | None:
    """Parses "introduce <person> to <another one>": the first one is found."""
    body, then = split_following(words[1:])
    for at in range(len(body) - 2, 0, -1):
        if body[at].word == "to" and (person_at(body, at + 1) or body[at + 1].word in ("me", "us")):
            return found_person(body[:at], [f"{words[0].text} {joined(body[at:])}", *then])
    return None


def _helped(words: Sequence[Token]) -> SentenceRequest:
    """Parses "help <person> get to the bathroom", "assist <person> with the bags"."""
    for at in range(3, len(words)):
        here, before = words[at].word, words[at - 1].word
        task = "BASE" in FORMS.get(here, ()) and here not in MOSTLY_NOUN
        nominal = before in CLOSED_WORDS and CLOSED_WORDS[before] not in ("ADV", "PREP")
        if (task and not nominal) or (here == "to" and "BASE" in FORMS.get(before, ())):
            begin = at - (before == "to")
            body, then = split_following(words[begin:])
            return found_person(words[1:begin], [f"{words[0].text} {joined(body)}", *then])
    return _verb_and_person(words, 1)


def _asking(words: Sequence[Token], answer: int) -> SentenceRequest | None:
    """Parses "(answer) the question that <person> asks you"."""
    that = index_of(words, ("that", "which"), answer)
    if that < 0 or not person_at(words, that + 1):
        return None
    end = index_of(words, ("asks", "has", "poses", "asking", "posing"), that + 2)
    if end < 0:
        return None
    verb = end - (words[end - 1].word in lexicon.BE)
    _, then = split_following(words[end:])
    return found_person(words[that + 1 : verb], [joined(words[:that]), *then])


def _asked_of(words: Sequence[Token]) -> SentenceRequest | None:
    """Parses "ask <person> to sit down", "ask <person> for their name"."""
    for at in range(2, len(words)):
        here = words[at].word
        after = words[at + 1].word if at + 1 < len(words) else ""
        asked = here in ("what", "whether", "if", "how", "why", "where", "when", "about")
        asked = asked or (here == "for" and after in (*lexicon.POSSESSIVES, *lexicon.DETERMINERS))
        asked = asked or (here == "to" and "BASE" in FORMS.get(after, ()))
        if asked and words[at - 1].word not in ("is", "are"):
            task, then = split_following(words[at:])
            return found_person(words[1:at], [f"{words[0].text} {joined(task)}", *then])
    return None


def _told(words: Sequence[Token], talk: int) -> SentenceRequest | None:
    """Parses "tell X to <person>" and "tell <person> X"."""
    begin = talk
    content = words[begin].word if begin < len(words) else ""
    second = words[begin + 1].word if begin + 1 < len(words) else ""
    if (
        content in phrases.TALK_BEGINS - {"a", "an"}
        or second in phrases.TALK_NOUNS
        or (
            content in ("the", "a", "an")
            and has_word(words[begin : begin + 5], "of", "joke")
            and second in ("day", "name", "date", "names", "joke", "time")
        )
    ):
        for at in range(len(words) - 1, begin, -1):
            if words[at].word in ("to", "with") and person_at(words, at + 1):
                return found_person(words[at + 1 :], [joined(words[:at])])
        return None
    if named_at(words, begin):
        task, then = split_following(words[begin + 1 :])
        return found_person(
            words[begin : begin + 1], [f"{joined(words[:talk])} {joined(task)}", *then]
        )
    if not person_at(words, begin):
        return None
    last_with = max((i for i, t in enumerate(words) if t.word == "with"), default=0)
    for at in range(begin + 1, len(words)):
        here = words[at].word
        after = words[at + 1].word if at + 1 < len(words) else ""
        about = here in ("something", "what", "about", "how") or (
            here in ("the", "your") and (after in phrases.TALK_NOUNS or after.startswith("team"))
        )
        about = about or (here == "know" and words[0].word == "let")
        about = about or (here == "with" and words[0].word in _PROVIDING and at == last_with)
        about = about or (here in ("of", "on") and words[0].word in _INFORMING and at > begin + 1)
        if about and words[at - 1].word not in ("is", "are", "doing"):
            task, then = split_following(words[at:])
            told = f"{joined(words[:talk])} {joined(task)}"
            return found_person(words[begin:at], [told, *then])
        if here == "that" and _subject(after):
            return found_person(words[begin:at], [f"{joined(words[:talk])} {joined(words[at:])}"])
        if here == "to" and ("BASE" in FORMS.get(after, ()) or after == "be"):
            return found_person(words[begin:at], [f"{joined(words[:talk])} {joined(words[at:])}"])
    return _given(words, talk)


def _subject(word: str) -> bool:
    """Whether a statement can begin with a word: "that dinner is ready", "that we leave"."""
    nouns = ("dinner", "lunch", "breakfast", "food", "tea", "coffee", "everything", "there")
    begins = lexicon.SUBJECT_PRONOUNS | lexicon.DETERMINERS | lexicon.POSSESSIVES
    return word in begins or word in nouns


def _verb_and_person(words: Sequence[Token], length: int) -> SentenceRequest:
    """Parses "greet <person> and ...": the target is found first, the rest is done afterwards."""
    body, then = split_following(words[length:])
    joints = ("to", "at", "with", "of")
    verb = [t for t in words[:length] if t.word not in joints] or list(words[:length])
    return SentenceRequest("find", body, then=[joined(verb), *then])


def watch(words: Sequence[Token]) -> SentenceRequest | None:
    """Parses "tell me when somebody opens the fridge"."""
    length = starts(words, phrases.WATCH) or _told_when(words)
    if not length:
        return _whenever(words)
    body, then = split_following(words[length:])
    there = starts(body, phrases.THERE_IS)
    return SentenceRequest("watch", body[there:], then=then)


def _whenever(words: Sequence[Token]) -> SentenceRequest | None:
    """Parses "when somebody waves, go to them"; without a task it is a description."""
    length = starts(words, _WHEN) or (words[0].word == "if")
    if not length or not person_at(words, length) or words[length : length + 1] == []:
        return None
    if words[length].word in lexicon.SUBJECT_PRONOUNS:
        return None
    body, then = split_following(words[length:])
    return SentenceRequest("watch", body, then=then) if then else None


def _told_when(words: Sequence[Token]) -> int:
    """The length of "give me a shout when", "send us a message as soon as"; 0 for other words."""
    if words[0].word not in _SIGNALS or "BASE" not in FORMS.get(words[0].word, ()):
        return 0
    for at in range(1, min(8, len(words) - 1)):
        length = starts(words, _WHEN, at)
        if length:
            return at + length
        if lexicon.is_animate(words[at].word) or words[at].word in ("how", "what", "who", "to"):
            return 0
    return 0


def hand_over(words: Sequence[Token]) -> SentenceRequest | None:
    """Parses "bring it to <person>", "give <person> the cup"."""
    length = starts(words, phrases.HAND_OVER)
    if not length or (words[length : length + 1] and words[length].word == "me"):
        return None
    if person_at(words, length):
        return _given(words, length)
    for at in range(length + 1, len(words) - 1):
        if words[at].word == "to" and (person_at(words, at + 1) or named_at(words, at + 1)):
            return found_person(words[at + 1 :], [joined(words[:at])])
        if words[at].word in ("and", "then", ","):
            break
    return None


def _given(words: Sequence[Token], length: int) -> SentenceRequest | None:
    """Parses "give <person> the cup", "tell <person> a joke": two noun phrases without "to"."""
    body, then = split_following(words[length:])
    for at in range(len(body) - 1, 1, -1):
        begins = body[at].word in lexicon.DETERMINERS | lexicon.POSSESSIVES | {"some"}
        noun = body[at - 1].word
        open_end = (
            (noun in CLOSED_WORDS and CLOSED_WORDS[noun] not in ("ADJ", "ADV", "NUM", "OBJ"))
            or (noun in FORMS and FORMS[noun] <= {"ING", "THIRD", "PAST", "PART"} - {"THIRD"})
            or body[at - 1].text in ".,;:"
        )
        if not begins or open_end or person_at(body, at):
            continue
        task = f"{joined(words[:length])} {joined(body[at:])}"
        return found_person(body[:at], [task, *then])
    return None


def guide(words: Sequence[Token]) -> SentenceRequest | None:
    """Parses "guide <person> from the sofa to the kitchen"."""
    length = starts(words, phrases.GUIDE)
    if not length or (words[length : length + 1] and words[length].word in ("me", "us")):
        return None
    verb = joined(words[:length])
    body, then = split_following(words[length:])
    body, start = origin(body)
    body, way = _way(body)
    if not way and not start and BASES.get(words[0].word, words[0].word) in ("take", "show"):
        return None
    return SentenceRequest("find", body, start, [f"{verb} {way}".strip(), *then])


def _way(words: list[Token]) -> tuple[list[Token], str]:
    """The words without "to the kitchen", and "the kitchen"."""
    for at in range(len(words) - 1, -1, -1):
        if words[at].word not in ("to", "into", "towards", "toward", "over"):
            continue
        end = place_at(words, at + 1)
        if at and (
            words[at - 1].word in ("next", "close", "pointing", "adjacent") or end == at + 1
        ):
            continue
        if at == 0 and end == 1:
            continue
        begin = at - (at > 1 and words[at - 1].word in ("over", "back", "up", "down", "out"))
        rest = [*words[:begin], *[t for t in words[end:] if t.text != ","]]
        return rest, joined(words[begin:end])
    return words, ""


def origin(words: list[Token]) -> tuple[list[Token], str]:
    """The words without "from the sofa", and "the sofa"."""
    for at in range(len(words) - 1, -1, -1):
        if words[at].word == "from" and (end := place_at(words, at + 1)) > at + 1:
            return [*words[:at], *words[end:]], joined(words[at + 1 : end])
    return words, ""


def simple_order(words: Sequence[Token]) -> SentenceRequest | None:
    """Parses "find ...", "follow ...", "meet ..."."""
    if starts(words, phrases.MEET):
        body, then = split_following(words[starts(words, phrases.MEET) :])
        return SentenceRequest("find", body, then=then) if body else None
    finding, following = starts(words, phrases.FIND), starts(words, phrases.FOLLOW)
    length = max(finding, following)
    if not length or length >= len(words):
        return None
    if words[0].word in ("where",) and words[1].word in lexicon.BE and _bare_where(words):
        return None
    body, then = split_following(words[length:])
    if following >= finding:
        until = index_of(body, ("until", "till"), 1)
        if until > 0:
            task = f"{joined(words[:following])} {joined(body[until:])}"
            return SentenceRequest("follow", body[:until], then=[task, *then])
        body, start = origin(body)
        body, way = _way(body) if start or has_word(body, "to", "into") else (body, "")
        verb = joined(words[:following])
        return SentenceRequest("follow", body, start, [*([f"{verb} {way}"] if way else []), *then])
    body = [t for t in body if t.text != "?"]
    if len(body) > 1 and body[0].word == "where":
        body = where_is(body)
    there = starts(body, phrases.THERE_IS)
    at = next((i for i, t in enumerate(body) if t.word == "from"), 0)
    if at and (lexicon.is_person(body[at - 1].word) or body[at - 1].word in lexicon.NAMES):
        body, start = origin(body)
        return SentenceRequest("find", body[there:], start, then)
    return SentenceRequest("find", body[there:], then=then)


def _bare_where(words: Sequence[Token]) -> bool:
    return len(words) == 2
