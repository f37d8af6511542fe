# SPDX-License-Identifier: Apache-2.0

"""From a sentence to a `Command`, with any tagger: the rules' or a parser's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stvg_ros.commands import lexicon, phrases
from stvg_ros.commands.command import Command, TimeSpan
from stvg_ros.commands.description import description
from stvg_ros.commands.features import features
from stvg_ros.commands.following import without_closing, without_connective
from stvg_ros.commands.fronting import reordered
from stvg_ros.commands.language import language_of
from stvg_ros.commands.opening import without_address
from stvg_ros.commands.places import taken_place
from stvg_ros.commands.request import SentenceRequest
from stvg_ros.commands.sentence_request import request
from stvg_ros.commands.tagging import LexiconTagger, Tagger
from stvg_ros.commands.times import find_time, repeated, without_again
from stvg_ros.commands.tokens import Token, cleaned, joined, tokens
from stvg_ros.commands.unseen import describes_nobody, unseen
from stvg_ros.commands.verbs import FORMS
from stvg_ros.commands.wordlist import word_set

_PRONOUNS = word_set("him her them it me us")
_NOTHING = "There are no words to read; say what to find."
_MOST_MARKS = 80  # of a text without a word
_LOOSE: frozenset[str] = word_set("and then that to from of at with")


def unread(text: str, reader: str, problem: str, *problems: str) -> Command:
    """The command of a sentence that a reader could not read.

    The whole description is asked: attribute and action are empty. The rules read the other fields
    of an English sentence, so that a question stays a question.
    """
    command = understood(text, LexiconTagger())
    said = (*problems, problem)
    if language_of(cleaned(text)[0]) != "English":
        return Command("find", command.target, reader=reader, problems=said)
    return replace(
        command,
        attribute="",
        action="",
        reader=reader,
        problems=(*said, *(p for p in command.problems if p not in said)),
    )


def understood(text: str, tagger: Tagger) -> Command:
    """The command of a sentence.

    Never raises and never returns an empty target: text that is not understood becomes the target
    unchanged, and `problems` lists it.
    """
    plain, problems = cleaned(text)
    words = tokens(plain)
    if not any(token.text not in ".,;:!?" for token in words):
        return Command(
            "other",
            plain[:_MOST_MARKS] or "?",
            refusal=_NOTHING,
            reader=tagger.name,
            problems=(*problems, _NOTHING),
        )
    language = language_of(plain)
    if language != "English":
        problem = f"The sentence is in {language}; only the model and the endpoint read it."
        whole = joined(words)
        return Command(
            "find", whole, refusal=problem, reader=tagger.name, problems=(*problems, problem)
        )
    asked = _of_sentences(words)
    said = without_closing(asked.words)
    body, again = without_again(said)
    again = again and asked.ordered and asked.intent in ("find", "follow", "describe")
    body, span = _without_time(body if again else said)
    place = asked.place
    if asked.ordered and not place:
        body, place = taken_place(body)
    body = _trimmed(body, asked)
    if not body or (not asked.ordered and describes_nobody(body)) or _nobody(body):
        whole = joined(without_closing(words))
        problem = "Nobody to look for is described; say what the person looks like or does."
        then = ", ".join(asked.then) or ("" if place else whole)
        return Command(
            "other",
            whole,
            place=place,
            then=then,
            refusal=problem,
            reader=tagger.name,
            problems=(*problems, problem),
        )
    command = _command(asked, body, place, span, tagger)
    every = command.intent == "watch" and repeated(words)
    return replace(command, repeated=every, again=again, problems=(*problems, *command.problems))


def _nobody(words: Sequence[Token]) -> bool:
    """Whether only the speaker or the robot is meant: "where am I", "where are you"."""
    return len(words) == 1 and words[0].word in ("i", "you", "we")


def _of_sentences(words: Sequence[Token]) -> SentenceRequest:
    """The request of the sentence that orders or describes, extended by the other sentences.

    "There is a man in a grey suit. He picks up the phone. Find him." is one description of two
    sentences; "Find the man. Tell him the time." is a request and a later task.
    """
    sentences: list[list[Token]] = [[]]
    for token in words:
        if token.text in ".!?;":
            sentences.append([])
        else:
            sentences[-1].append(token)
    told = [s for s in sentences if s and not _courtesy(s)]
    if not told:
        return request(words)
    chosen = request(told[0])
    for sentence in told[1:]:
        first = _subject_word(sentence)
        if first in ("he", "she", "they", "it") and chosen.words:
            marks = [Token(".", ".", glued=True), *sentence]
            chosen = replace(chosen, words=[*without_closing(chosen.words), *marks])
            continue
        other = request(sentence)
        whom = [t.word for t in other.words]
        if other.ordered and len(whom) == 1 and whom[0] in _PRONOUNS and chosen.words:
            intent = other.intent if not chosen.ordered else chosen.intent
            told_task = bool(other.then) or (chosen.ordered and other.intent != "find")
            task = [joined(without_closing(without_address(sentence)))] if told_task else []
            chosen = replace(chosen, intent=intent, ordered=True, then=[*chosen.then, *task])
        elif not chosen.words or (other.ordered and not chosen.ordered and _vague(chosen)):
            chosen = replace(other, place=other.place or chosen.place)
        elif first in phrases.ROBOT_VERBS or first in ("then", "afterwards", "once", "after"):
            chosen = replace(
                chosen, then=[*chosen.then, joined(without_connective(without_closing(sentence)))]
            )
    return chosen


def _subject_word(sentence: Sequence[Token]) -> str:
    """The index of the first word after "then", "after that" and the like."""
    rest = without_connective(sentence)
    return rest[0].word if rest else sentence[0].word


def _vague(asked: SentenceRequest) -> bool:
    """Whether a statement before the order describes no target: "I have a task for you"."""
    return not any(lexicon.is_animate(t.word) or t.word in lexicon.INDEFINITE for t in asked.words)


def _courtesy(words: Sequence[Token]) -> bool:
    rest = without_closing([Token("x", "x"), *words])
    return len(rest) == 1 or [t.word for t in words] in (
        ["hello"],
        ["hi"],
        ["hey"],
        ["robot"],
        ["hello", "robot"],
        ["hey", "robot"],
        ["ok"],
        ["hi", "robot"],
        ["listen"],
        ["excuse", "me"],
        ["yes"],
        ["no"],
        ["well"],
        ["good", "morning"],
    )


def _without_time(words: list[Token]) -> tuple[list[Token], TimeSpan | None]:
    """The words without a time expression, which is kept if only "was here" would remain."""
    found = find_time(words)
    if found is None:
        for at in range(1, len(words) - 1):
            past = FORMS.get(words[at + 1].word, set()) & {"PAST", "PART"}
            if words[at].word == "just" and past:
                return words, TimeSpan("just", 10.0, 0.0)
        return words, None
    start, end, span = found
    rest = [*words[:start], *words[end:]]
    spoken = [t.word for t in rest if t.text not in ".,;:!?"]
    empty = not spoken or spoken[-1] in (*lexicon.BE, "here", "there", "who")
    return (words if empty else rest), span


def _trimmed(words: list[Token], asked: SentenceRequest) -> list[Token]:
    """The words without punctuation, conjunctions and remaining verbs at both ends."""
    questioned = bool(words) and words[0].word in ("who", "what")
    loose = frozenset() if questioned else _LOOSE
    while words and (
        words[-1].text in ".,;:!?" or (words[-1].word in loose and not _stranded(words))
    ):
        words = words[:-1]
    while words and (words[0].text in ".,;:!?" or words[0].word in ("and", "then", "for", "of")):
        words = words[1:]
    if len(words) == 2 and words[1].word == "again":
        words = words[:1]
    if asked.intent == "count":
        words = _counted(words)
    tail = words[-1].word if words else ""
    bare = len(words) == 2 and words[0].word in lexicon.INDEFINITE  # "see if anyone is <there>"
    if asked.ordered and (len(words) > 2 or bare) and tail in ("is", "are", "was", "were"):
        words = words[:-1]
        if words[-1].word in ("who", "that"):
            words = words[:-1]
    return words


def _stranded(words: Sequence[Token]) -> bool:
    """Whether the last word is the preposition of a verb: "the woman he is talking to"."""
    verb = words[-2].word if len(words) > 3 else ""
    clause = any(
        t.word in lexicon.BE | lexicon.HAVE | lexicon.RELATIVES | lexicon.SUBJECT_PRONOUNS
        for t in words[1:-1]
    )
    return words[-1].word in lexicon.PREPOSITIONS and bool(FORMS.get(verb)) and clause


def _counted(words: list[Token]) -> list[Token]:
    """Converts "people are wearing red" to "people wearing red", since "are" asks the question."""
    if words and words[-1].word in ("are", "is", "were", "there", "currently"):
        return _counted(words[:-1])
    for at in range(1, len(words) - 2):
        if words[at].word in ("are", "were", "is") and words[at + 1].word == "not":
            return [*words[:at], Token("not", "not"), *words[at + 2 :]]
    for at in range(1, len(words) - 1):
        if words[at].word in ("are", "were", "is") and words[at - 1].word not in ("who", "that"):
            after = words[at + 1].word
            if after in ("currently", "presently") or "ING" in FORMS.get(after, ()):
                return [*words[:at], *words[at + 1 + (after in ("currently", "presently")) :]]
            if after in lexicon.PREPOSITIONS:
                return [*words[:at], *words[at + 1 :]]
            break
    return words


def _command(
    asked: SentenceRequest, body: list[Token], place: str, span: TimeSpan | None, tagger: Tagger
) -> Command:
    tagged = reordered(tagger.tag(body))
    parts = description(tagged)
    name, problem = unseen(tagged, parts)
    number = parts.number
    if asked.intent == "count" or name:
        number = "one" if name else "all"
    known = asked.intent == "describe" and asked.asked == "name"
    return Command(
        intent="other" if name else asked.intent,
        target=joined(body),
        attribute=parts.attribute,
        action=parts.action,
        place=place,
        then=" and ".join(t for t in asked.then if t),
        number=number,
        relation=parts.relation,
        negated=parts.negated,
        time=span,
        asked=asked.asked,
        noun=parts.noun,
        name=name,
        refusal=problem if not known else "",
        features=features(tagged, parts) if not name else (),
        reader=tagger.name,
        problems=(problem,) if problem and not known else (),
    )
