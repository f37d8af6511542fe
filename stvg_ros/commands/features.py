# SPDX-License-Identifier: Apache-2.0

"""Extracts measurable features of a description: garment, hair, gesture, pose, ...

Vocabulary of `Feature`; names are canonical, `text` has the words of the sentence. `side` is the
word of the sentence: whose left it is, is the measure's decision.

=========  ======================================================================================
kind       names (side, details)
=========  ======================================================================================
noun       man, woman, boy, girl, child, baby, or another kind ("waiter", "dog"); no item for
           "person", "someone"
garment    the singular noun: "jacket", "t shirt"; "jeans", "glasses" stay plural; "clothes" if no
           garment is named ("in red"). `part`: upper, lower, whole, head, face, feet, hands, neck,
           carried or worn. `details`: patterns (striped, checked, ...), materials, long, short,
           "long sleeves", "short sleeves", sleeveless
hair       hair, bald, beard, moustache, ponytail, braids, bun, curls, bangs.
           `details`: long, short, curly, straight, wavy
gesture    wave (left, right, both: the arm), raise arm (left, right, both), point (left, right, up,
           down, forward), cross arms, hand to face, hands on hips, stretch arms, raise leg, clap,
           nod, shake head, thumbs up, beckon, salute, bow, shrug, drink, gesture
pose       standing, sitting, lying, crouching, kneeling, bending, leaning; facing (towards, away:
           the side of the body that the camera sees; left, right)
change     sit down, stand up, lie down, fall, pick up, turn round, jump, bend down, kneel down,
           crouch down, turn (left, right), take off, put on (a garment)
movement   walk, run, move, enter, leave, pass, cross, stand still, stop, dance, climb, crawl, ride,
           swim, skate (left, right, towards, away, up, down, forward, backward)
place      left, right, middle, top, bottom, corner, background, foreground, nearest, farthest in
           the image; ordinal (`side` from which, `details` the number)
size       tall, short, big, small, thin, fat; tallest, shortest, biggest, smallest
words      the words that no item covers, in one item, which is the last
=========  ======================================================================================

`colours` of garments and hair are basic colours: black, white, gray, red, orange, yellow, green,
blue, turquoise, purple, pink, brown, beige, gold, silver, blond; "dark blue", "light green" with a
shade; "dark" or "light" if only that is said. `negated`: the target must not have the item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stvg_ros.commands import lexicon
from stvg_ros.commands.appearance_features import garments, hair, is_carried
from stvg_ros.commands.clauses import clauses
from stvg_ros.commands.command import Feature
from stvg_ros.commands.description import Description, description
from stvg_ros.commands.gesture_features import gestures
from stvg_ros.commands.motion_features import changes, facings, movements, poses
from stvg_ros.commands.noun_phrase import GROUPS, noun_phrase
from stvg_ros.commands.person_features import kind, places, sizes
from stvg_ros.commands.tagging import LexiconTagger
from stvg_ros.commands.tokens import Token, joined, tokens
from stvg_ros.commands.verbs import BASES, HOLDING
from stvg_ros.commands.wordlist import word_set

_RULES = (hair, garments, gestures, facings, changes, movements, poses, places, sizes, kind)
_SILENT = word_set("DET POSS CONJ MARK REL BE PREP OWNER TO ADV HAVE DO MODAL NUM NEG PRON OBJ")
_WEARING = word_set("wearing wears wear dressed sporting clad number one ones")
_SCENES = word_set("room picture image video scene view frame")
_IN_SCENE = word_set("in into of from across through around")
_INTO_SCENE = word_set("enter leave exit cross")
_OF_OTHERS = word_set("in with wearing dressed without holding carrying having")


def features(words: Sequence[Token], parts: Description) -> tuple[Feature, ...]:
    """The features of tagged words, in sentence order; the last holds the remaining words."""
    head = noun_phrase(words).head
    taken = _related(words, parts)
    others = _others(words, head, parts) - taken
    taken |= others
    found: list[tuple[int, Feature]] = []
    for rule in _RULES:
        for indices, feature in rule(words, taken):
            if not taken & set(indices):
                taken |= set(indices)
                negated = _denied(feature, parts.negated)
                found.append((indices[0], replace(feature, negated=negated)))
    left = [
        token
        for i, token in enumerate(words)
        if (i not in taken or i in others) and i != head and not _silent(words, i)
    ]
    if left:
        found.append((len(words), Feature("words", joined(left), joined(left))))
    return tuple(feature for _, feature in sorted(found, key=lambda pair: pair[0]))


def features_of(text: str) -> tuple[Feature, ...]:
    """The features of an English description, such as the other target of a relation."""
    words = LexiconTagger().tag(tokens(text))
    return features(words, description(words)) if words else ()


def _related(words: Sequence[Token], parts: Description) -> set[int]:
    """The words about another target, whose attributes are not the target's."""
    if parts.relation is None:
        return set()
    text = parts.relation.text
    for start in range(len(words)):
        if not text.startswith(words[start].text):
            continue
        for end in range(start + 1, len(words) + 1):
            if joined(words[start:end]) == text:
                return set(range(start, end))
    return set()


def _silent(words: Sequence[Token], index: int) -> bool:
    """Whether a word says nothing that could be measured: "a couple of", "minutes ago"."""
    token = words[index]
    after = words[index + 1].word if index + 1 < len(words) else ""
    counted = after == "of" and (token.word in GROUPS or token.tag == "ORD")
    dated = after in ("ago", "earlier") and token.word in lexicon.TEMPORAL
    carries = BASES.get(token.word) in HOLDING and any(
        is_carried(t.word) for t in words[index + 1 : index + 4]
    )
    owns = token.word == "got" and index > 0 and words[index - 1].tag == "HAVE"
    named = token.tag in _SILENT or token.word in _WEARING
    return named or counted or dated or carries or owns or _is_scene(words, index)


def _is_scene(words: Sequence[Token], index: int) -> bool:
    """Whether a word is what the camera sees: "in the room", "leaves the picture"."""
    compound = index + 1 < len(words) and words[index + 1].tag == "NOUN"
    if words[index].word not in _SCENES or compound or not index:
        return False
    before = index - 1 - (words[index - 1].word in ("the", "this"))
    entered = BASES.get(words[before].word) in _INTO_SCENE
    return before >= 0 and (words[before].word in _IN_SCENE or entered)


def _others(words: Sequence[Token], head: int, parts: Description) -> set[int]:
    """The words that describe another person or animal: "carries a child in red"."""
    if len(words) > 2 and words[0].word in ("who", "what", "whom") and words[1].tag == "DO":
        return set(range(1, len(words)))  # "who does the woman in red hug"
    nested = (part for part in clauses(words, noun_phrase(words)) if not part.own)
    found = {index for part in nested for index in range(part.start, part.end)}
    for index in range(head + 1, len(words)):
        word = words[index].word
        compound = index + 1 < len(words) and words[index + 1].tag == "NOUN"  # "cowboy hat"
        person = words[index].tag == "NOUN" and lexicon.is_animate(word) and not compound
        if not person or index in found or head < 0 or f" {word} " in f" {parts.negated} ":
            continue
        start = index
        while start > head + 1 and words[start - 1].tag in ("ADJ", "NUM", "DET", "POSS", "NOUN"):
            start -= 1
        if all(token.tag == "CONJ" for token in words[head + 1 : start]):
            continue  # "the man or the woman in red"
        dressed = lexicon.is_person(word)  # "the woman with a dog in a red coat"
        end = _end_of_other(words, index + 1) if dressed else index + 1
        found |= set(range(start, end))
    return found


def _end_of_other(words: Sequence[Token], end: int) -> int:
    """The end of the description of another person: "in a red and black coat", "who jumps"."""
    while end < len(words) and (words[end].word in _OF_OTHERS or words[end].tag == "REL"):
        clause = words[end].tag == "REL"
        end += 1
        while end < len(words):
            tag = words[end].tag
            after = words[end + 1].tag if end + 1 < len(words) else ""
            listed = tag == "CONJ" and after == "ADJ" and words[end - 1].tag == "ADJ"
            if not listed and tag in ("MARK", "SUB", "CONJ", "ADV"):
                break
            if not clause and (tag in ("VERB", "BASE", "PREP", "REL") or words[end].word == "to"):
                break
            end += 1
    return end


def _denied(feature: Feature, negated: str) -> bool:
    """Whether a feature is in the negated words; "not moving" is a feature of its own."""
    return f" {feature.text} " in f" {negated} " and feature.name != "stand still"
