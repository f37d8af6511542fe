# SPDX-License-Identifier: Apache-2.0

"""The noun phrase at the start of a description: its head, kind and number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stvg_ros.commands import lexicon
from stvg_ros.commands.tokens import Token, joined
from stvg_ros.commands.verbs import BASES, FORMS, STATIC_PARTICIPLES
from stvg_ros.commands.wordlist import word_set

# "one of the kids", "a group of people": the noun follows "of".
GROUPS = word_set(
    "one all both some any none each either neither group groups couple pair crowd number lot lots "
    "bunch team row line many most"
)
_PART_OF_NP = word_set("DET POSS NUM ORD ADJ NOUN OWNER")
_QUESTIONS = word_set("who what which whoever")
# Adjectives that name a kind rather than an attribute: "an adult man".
_ALL = word_set("them they everybody everyone everything")
_KINDS = word_set("adult male female single other another")
# Nouns that make another kind of a person: "police officer", "construction worker".
_ROLES = word_set(
    "police security fire construction delivery staff football basketball soccer tennis baseball "
    "bus taxi truck lorry train shop store office hotel flight cabin school army sales news camera "
    "rescue traffic postal factory bank ticket tour bar baby team crew dance music nursing"
)
# Prenominal participles that are attributes, or part of a compound.
_NO_ACTION = word_set(
    "missing charming interesting amazing striking outstanding matching remaining living leading "
    "wedding shopping parking swimming sleeping-bag dining washing boxing dressing baking bowling "
    "fishing hiking skiing building wearing holding carrying having"
)


@dataclass(frozen=True)
class NounPhrase:
    """The noun phrase of a description.

    Attributes:
        end: Index of the first word after the phrase.
        head: Index of its noun, or of the pronoun that stands for it.
        kind: Determiner and noun, such as "the man".
        looks: The phrase has more than the kind.
        number: "one", "all", or a number.
        prenominal: Indices of words before the noun that name its action: "the waving person".
    """

    end: int
    head: int
    kind: str
    looks: bool
    number: Literal["one", "all"] | int
    prenominal: tuple[int, ...]


def noun_phrase(words: Sequence[Token]) -> NounPhrase:
    """The noun phrase at the start of tagged words; empty before a bare verb."""
    if not words:
        return NounPhrase(0, -1, "", False, "one", ())
    first = words[0]
    if first.word in _QUESTIONS and (len(words) < 2 or words[1].tag != "NOUN"):
        kind = "the one" if first.word == "whoever" else "someone"
        return NounPhrase(1, 0, kind if first.word != "what" else "something", False, "one", ())
    if first.tag in ("PRON", "OBJ"):
        return _pronoun(words)
    return _phrase(words)


def _pronoun(words: Sequence[Token]) -> NounPhrase:
    first = words[0]
    end = 1
    if first.word in lexicon.INDEFINITE and len(words) > 1 and words[1].word == "else":
        end = 2
    described = first.tag == "OBJ" or first.word in lexicon.INDEFINITE | lexicon.SUBJECT_PRONOUNS
    number: Literal["one", "all"] = "all" if first.word in _ALL else "one"
    return NounPhrase(end, 0, first.text, not described, number, ())


def _phrase(words: Sequence[Token]) -> NounPhrase:
    end = _extent(words, 0)
    begin = 0
    while _continues_with_of(words, begin, end):
        begin = end + 1
        end = _extent(words, begin)
    nouns = [index for index in range(begin, end) if words[index].tag == "NOUN"]
    if not nouns:
        nouns = [i for i in range(begin, end) if words[i].tag in ("ADJ", "NUM", "DET")][-1:]
    head = nouns[-1] if nouns else -1
    if head < 0:
        return NounPhrase(0, -1, "", False, "one", ())
    prenominal = tuple(
        i
        for i in range(begin, head)
        if words[i].tag == "ADJ" and _acts(words[i].word, words[i + 1])
    )
    return NounPhrase(
        end,
        head,
        _kind(words, begin, head),
        _looks(words, begin, end, head, prenominal),
        _number(words, end, head),
        prenominal,
    )


def _extent(words: Sequence[Token], start: int) -> int:
    """The end of the noun phrase that starts here."""
    end = start
    while end < len(words):
        token = words[end]
        after = words[end + 1] if end + 1 < len(words) else None
        seen_noun = end > start and words[end - 1].tag == "NOUN"
        if token.tag in _PART_OF_NP:
            if seen_noun and token.tag in ("DET", "POSS", "NUM", "ORD"):
                break
            if seen_noun and token.tag == "ADJ" and (after is None or after.tag != "NOUN"):
                break
            coloured = token.tag == "ADJ" and token.word in lexicon.COLOURS
            if seen_noun and coloured and lexicon.is_person(words[end - 1].word):
                break  # "tall man blue jacket"
        elif token.tag in ("CONJ", "MARK", "ADV") and token.word in (
            *(("and", "or", ",") if not seen_noun else ()),
            "very",
        ):
            adjectives = end > start and words[end - 1].tag in ("ADJ", "ADV")
            if not (token.word == "very" or adjectives) or after is None or after.tag != "ADJ":
                break
        elif not (token.tag == "ADV" and after is not None and after.tag == "ADJ" and end > start):
            break
        end += 1
    return end


def _continues_with_of(words: Sequence[Token], begin: int, end: int) -> bool:
    if end >= len(words) - 1 or words[end].word != "of" or end == begin:
        return False
    last = words[end - 1]
    chosen = last.tag in ("ORD", "NUM") or (last.word.endswith("est") and last.tag != "VERB")
    partitive = chosen and words[end + 1].tag in ("DET", "POSS", "NUM", "OBJ")
    return (last.word in GROUPS and words[end + 1].tag in (*_PART_OF_NP, "OBJ")) or partitive


def _acts(word: str, after: Token) -> bool:
    """Whether a prenominal participle names an action."""
    if word in _NO_ACTION or not word.endswith("ing"):
        return False
    known = "ING" in FORMS.get(word, ()) or len(word) > 5
    thing = after.tag == "NOUN" and not lexicon.moves(after.word)
    return known and not thing and not word.endswith("-looking")


def _kind(words: Sequence[Token], begin: int, head: int) -> str:
    determiner = [
        token
        for token in words[begin : begin + 2]
        if token.tag in ("DET", "POSS", "NUM", "ORD") and token is not words[head]
    ]
    ordinal = [t for t in words[begin + len(determiner) : head] if t.tag == "ORD"]
    return joined([*determiner, *ordinal, words[head]])


def _looks(
    words: Sequence[Token], begin: int, end: int, head: int, prenominal: tuple[int, ...]
) -> bool:
    """Whether the phrase has more than a determiner and the kind."""
    for index in range(end):
        token = words[index]
        if index == head or index in prenominal or token.tag in ("DET", "ORD", "CONJ"):
            if token.word == "both":
                return True
            continue
        if index < begin and token.word in (*GROUPS, "of"):
            continue
        person = lexicon.is_person(words[head].word)
        if person and (token.word in _KINDS or (token.word in _ROLES and index == head - 1)):
            continue
        return True
    return not _nameable(words[head])


def _nameable(noun: Token) -> bool:
    """Whether a noun is a kind of person, animal or thing, and not a colour."""
    return noun.word not in lexicon.COLOURS


def _number(words: Sequence[Token], end: int, head: int) -> Literal["one", "all"] | int:
    said = [token.word for token in words[:end]]
    for word in said:
        if word in ("both", "couple", "pair"):
            return 2
        if word in ("all", "every", "everyone", "everybody", "each"):
            return "all"
        if word in ("one", "either"):
            return "one"
    if any(token.tag == "ORD" for token in words[:end]) and not lexicon.is_plural(words[head].word):
        return "one"
    of = next((i for i in range(1, end) if words[i].word == "of"), 0)
    if of and (words[of - 1].tag == "ORD" or words[of - 1].word.endswith("est")):
        return "one"  # "the first of the two men"
    for token in words[:end]:
        if token.tag == "NUM" and token.word in lexicon.NUMBERS:
            count = lexicon.NUMBERS[token.word]
            return "one" if count == 1 else count
    noun = words[head].word
    plural = lexicon.is_plural(noun) and (noun not in lexicon.GARMENTS)
    return "all" if plural else "one"


def static_participle(word: str) -> bool:
    """Whether a past participle is an attribute: "dressed", "seated"."""
    return word in STATIC_PARTICIPLES or BASES.get(word, word) in STATIC_PARTICIPLES
