# SPDX-License-Identifier: Apache-2.0

"""Splits a description into attribute, action, number, relation and negated parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stvg_ros.commands import lexicon
from stvg_ros.commands.clauses import Clause, clauses
from stvg_ros.commands.command import Relation
from stvg_ros.commands.noun_phrase import NounPhrase, noun_phrase
from stvg_ros.commands.tokens import Token, joined
from stvg_ros.commands.verbs import FORMS
from stvg_ros.commands.wordlist import word_set

_RELATIONS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("to", "the", "left", "of"), "left of"),
    (("on", "the", "left", "of"), "left of"),
    (("at", "the", "left", "of"), "left of"),
    (("on", "the", "left", "side", "of"), "left of"),
    (("on", "the", "left", "hand", "side", "of"), "left of"),
    (("on", "the", "left-hand", "side", "of"), "left of"),
    (("at", "the", "left", "side", "of"), "left of"),
    (("at", "the", "left", "hand", "side", "of"), "left of"),
    (("at", "the", "left-hand", "side", "of"), "left of"),
    (("to", "the", "left", "side", "of"), "left of"),
    (("to", "the", "left", "hand", "side", "of"), "left of"),
    (("to", "the", "left-hand", "side", "of"), "left of"),
    (("left", "of"), "left of"),
    (("to", "the", "right", "of"), "right of"),
    (("on", "the", "right", "of"), "right of"),
    (("at", "the", "right", "of"), "right of"),
    (("on", "the", "right", "side", "of"), "right of"),
    (("on", "the", "right", "hand", "side", "of"), "right of"),
    (("on", "the", "right-hand", "side", "of"), "right of"),
    (("at", "the", "right", "side", "of"), "right of"),
    (("at", "the", "right", "hand", "side", "of"), "right of"),
    (("at", "the", "right-hand", "side", "of"), "right of"),
    (("to", "the", "right", "side", "of"), "right of"),
    (("to", "the", "right", "hand", "side", "of"), "right of"),
    (("to", "the", "right-hand", "side", "of"), "right of"),
    (("right", "of"), "right of"),
    (("in", "front", "of"), "in front of"),
    (("ahead", "of"), "in front of"),
    (("at", "the", "back", "of"), "behind"),
    (("in", "the", "back", "of"), "behind"),
    (("next", "to"), "near"),
    (("close", "to"), "near"),
    (("closest", "to"), "near"),
    (("nearest", "to"), "near"),
    (("adjacent", "to"), "near"),
    (("in", "between"), "between"),
    (("on", "top", "of"), "above"),
    (("beside",), "near"),
    (("near",), "near"),
    (("nearest",), "near"),
    (("alongside",), "near"),
    (("by",), "near"),
    (("behind",), "behind"),
    (("between",), "between"),
    (("above",), "above"),
    (("below",), "below"),
    (("under",), "below"),
    (("beneath",), "below"),
    (("underneath",), "below"),
)
_STARTING: dict[str, list[tuple[tuple[str, ...], str]]] = {}
for _named in _RELATIONS:
    _STARTING.setdefault(_named[0][0], []).append(_named)
_NOUNS = word_set("DET POSS NUM ORD ADJ NOUN OBJ PRON")
_VIEW = word_set("camera robot image picture frame screen view scene video me us you")
_INVERSE = {
    "left of": "right of",
    "right of": "left of",
    "in front of": "behind",
    "behind": "in front of",
    "above": "below",
    "below": "above",
}
_BEFORE_NO = word_set("with has have wearing wears wear but and")
_WITHOUT = word_set("without except excluding minus")


@dataclass(frozen=True)
class Description:
    """The parts of a description; texts are words of the sentence."""

    attribute: str
    action: str
    noun: str
    number: Literal["one", "all"] | int
    negated: str
    relation: Relation | None


def description(words: Sequence[Token]) -> Description:
    """Splits tagged words.

    Attribute and action share no word: each word belongs to the noun phrase, to an attribute
    clause, or to an action clause.
    """
    phrase = noun_phrase(words)
    if _asks_for_object(words):
        return Description("", joined(words[2:]), phrase.kind, "one", "", None)
    parts = clauses(words, phrase)
    looks = [i for i in range(phrase.end) if i not in phrase.prenominal]
    said = phrase.looks
    doings = list(phrase.prenominal)
    for part in parts:
        inside = list(range(part.start, part.end))
        if part.kind == "action":
            doings += inside
        else:
            looks += inside
            said = said or any(words[i].tag not in ("MARK", "CONJ", "ADV") for i in inside)
    denied = _negated(words, parts, phrase)
    attribute = _text(words, looks) if said else ""
    action = _text(words, doings)
    if all(words[i].tag in ("ADV", "PREP", "MARK") for i in doings):
        action = ""  # "that guy over there"
    if phrase.head < 0:
        attribute = "" if action else attribute
    relation = _asked_relation(words) or _relation(words, parts, phrase)
    number = phrase.number
    noun = phrase.head >= 0 and words[phrase.head].tag == "NOUN"
    if number == "all" and noun and any(_singular_verb(words, part) for part in parts):
        number = "one"  # "the adult women speaks": the verb's number takes precedence
    return Description(attribute, action, phrase.kind, number, denied, relation)


def _singular_verb(words: Sequence[Token], part: Clause) -> bool:
    if not part.own or part.verb < 0:
        return False
    verb = words[part.verb]
    return verb.tag == "VERB" and "THIRD" in FORMS.get(verb.word, ())


def _asked_relation(words: Sequence[Token]) -> Relation | None:
    """Handles "who is the hamster in front of": the target is behind the hamster."""
    if len(words) < 4 or words[0].word not in ("who", "what") or words[1].tag != "BE":
        return None
    end = 2
    while end < len(words) and words[end].tag in ("DET", "POSS", "ADJ", "NOUN", "NUM"):
        end += 1
    for index in range(end, len(words)) if end > 2 else ():
        found = _relation_at(words, index)
        after = words[index + found[0]].tag if found and index + found[0] < len(words) else ""
        if found and after not in _NOUNS:
            other = joined(words[2:index])
            text = joined(words[2 : index + found[0]])
            return Relation(_INVERSE.get(found[1], found[1]), other, text)
    return None


def _asks_for_object(words: Sequence[Token]) -> bool:
    """Handles "who does the cat bite": only the other one's action on the target is given."""
    if len(words) < 3 or words[0].word not in ("who", "whom", "what"):
        return False
    asked = words[1].tag == "BE" and words[2].tag in ("DET", "POSS")
    return words[1].tag == "DO" or (asked and _acts_at_end(words))


def _acts_at_end(words: Sequence[Token]) -> bool:
    """Handles "who are the adults in black watching": a participle without an object."""
    last = len(words) - 1
    while last > 2 and words[last].tag in ("PREP", "ADV"):
        last -= 1
    return words[last].tag == "ING"


def _text(words: Sequence[Token], indices: list[int]) -> str:
    chosen = [words[i] for i in indices]
    while chosen and chosen[0].word in ("and", "but", "or", ",", ".", ";", ":"):
        chosen = chosen[1:]
    while chosen and chosen[-1].word in ("and", "but", "or", ",", ".", ";", ":"):
        chosen = chosen[:-1]
    if chosen and chosen[0].glued:  # "'s running" of "somebody's running"
        chosen = [Token(chosen[0].word, chosen[0].word), *chosen[1:]]
    return joined(chosen)


def _negated(words: Sequence[Token], parts: list[Clause], phrase: NounPhrase) -> str:
    for part in parts:
        if part.negated:
            if part.verb >= 0 and words[part.verb].tag not in ("BE", "HAVE"):
                return joined(words[part.verb : part.end])
            denial = next(
                (i for i in range(part.start, part.end) if words[i].tag == "NEG"), part.start
            )
            return joined(words[denial + 1 : part.end])
    own = {i for p in parts if p.own and p.kind == "attribute" for i in range(p.start, p.end)}
    for index in range(phrase.end, len(words)):
        if index not in own:
            continue
        word = words[index].word
        after = words[index + 1] if index + 1 < len(words) else None
        but = word == "but" and index == phrase.end and after is not None and after.tag in _NOUNS
        without = word in _WITHOUT
        pair = after is not None and (word, after.word) in (
            ("other", "than"),
            ("apart", "from"),
            ("except", "for"),
        )
        no = word in ("no", "neither") and words[index - 1].word in _BEFORE_NO
        if but or without or pair or no:
            begin = index + (2 if pair else 1)
            return joined(words[begin : _end_of_noun(words, begin)])
    return ""


def _end_of_noun(words: Sequence[Token], begin: int) -> int:
    """The end of the noun phrase that starts here, with its prepositional phrases."""
    end = begin
    while end < len(words) and (
        words[end].tag in (*_NOUNS, "PREP", "OWNER", "ING") or words[end].word == "nor"
    ):
        if words[end].tag == "ING" and end > begin:
            break
        if words[end].tag == "PREP" and words[end].word in ("with", "without"):
            break
        end += 1
    return end


def _relation(words: Sequence[Token], parts: list[Clause], phrase: NounPhrase) -> Relation | None:
    for part in parts:
        if part.kind != "attribute" or not part.own or part.negated:
            continue
        for index in range(part.start, part.end):
            found = _relation_at(words, index)
            if found is None:
                continue
            length, kind = found
            begin = index + length
            if begin >= len(words) or words[begin].tag not in _NOUNS:
                continue
            if words[index].word == "by" and words[index - 1].tag == "PART":
                continue  # "surrounded by children"
            end = _end_of_relation(words, parts, part, begin)
            if words[end - 1].word in _VIEW and end - begin <= 2:
                continue  # "right of the image", "closest to me": a place in the image
            if kind in ("left of", "right of") and _is_room(words[begin:end]):
                continue  # "on the left side of the kitchen", which the robot is in
            return Relation(kind, joined(words[begin:end]), joined(words[index:end]))
    return None


def _is_room(words: Sequence[Token]) -> bool:
    """Whether a noun with its article is the room itself: "the room", "the living room"."""
    noun = joined([word for word in words if word.tag != "DET"])
    return noun in lexicon.SPACES


def relation_of(words: Sequence[Token]) -> Relation | None:
    """The relation at the start of tagged words: "to the left of the door"."""
    found = _relation_at(words, 0)
    if found is None or found[0] >= len(words):
        return None
    return Relation(found[1], joined(words[found[0] :]), joined(words))


def _relation_at(words: Sequence[Token], index: int) -> tuple[int, str] | None:
    for pattern, kind in _STARTING.get(words[index].word, ()):
        here = tuple(token.word for token in words[index : index + len(pattern)])
        if here == pattern and (words[index].tag != "ADJ" or len(pattern) > 1):
            return len(pattern), kind
    return None


def _end_of_relation(words: Sequence[Token], parts: list[Clause], part: Clause, begin: int) -> int:
    """The end of the clause, including the following clauses about the other noun."""
    end = part.end
    for later in parts:
        if later.start == end and not later.own and later.kind == part.kind:
            end = later.end
    while end > begin + 1 and words[end - 1].tag in ("CONJ", "MARK"):
        end -= 1
    return max(end, begin + 1)
