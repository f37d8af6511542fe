# SPDX-License-Identifier: Apache-2.0

"""Extracts measurable features of a description: garment, hair, gesture, pose, ...

Vocabulary of `Feature`; names are canonical, `text` has the words of the sentence. `side` is the
word of the sentence: whose left it is, is the measure's decision.

=========  ======================================================================================
kind       names (side, details)
=========  ======================================================================================
person     man, woman, child, baby, or another kind ("waiter"); no item for "person", "someone"
garment    the singular noun: "jacket", "t shirt"; "jeans", "glasses" stay plural; "clothes" if no
           garment is named ("in red"). `part`: upper, lower, whole, head, face, feet, hands, neck,
           carried or worn. `details`: patterns (striped, checked, ...), materials, long, short,
           "long sleeves", "short sleeves", sleeveless
hair       hair, bald, beard, moustache, ponytail, braids, bun, curls, bangs.
           `details`: long, short, curly, straight, wavy
gesture    wave (left, right, both: the arm), raise arm (left, right, both), point (left, right, up,
           down, forward), cross arms, hand to face, hands on hips, stretch arms, raise leg, clap,
           nod, shake head, beckon, salute, bow, shrug, gesture
pose       standing, sitting, lying, crouching, kneeling, bending, leaning
change     sit down, stand up, lie down, fall, pick up, turn round, jump, bend down, kneel down,
           crouch down, turn (left, right)
movement   walk, run, move, enter, leave, pass, stand still, stop, dance, climb, crawl, ride, swim,
           skate (left, right, towards, away, up, down, forward, backward)
place      left, right, middle, top, bottom, corner, background, foreground, nearest, farthest;
           "from left 3": the third from the left (right likewise). In the image.
size       tall, short, big, small, thin, fat; tallest, shortest, biggest, smallest
words      the words that no item covers, in one item, which is the last
=========  ======================================================================================

`colours` of garments and hair are basic colours: black, white, gray, red, orange, yellow, green,
blue, purple, pink, brown, beige, gold, silver, blond; "dark blue", "light green" with a shade;
"dark" or "light" if only that is said. `negated`: the target must not have the item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stvg_ros.commands import lexicon
from stvg_ros.commands.command import Feature
from stvg_ros.commands.description import Description
from stvg_ros.commands.noun_phrase import noun_phrase
from stvg_ros.commands.tokens import Token, joined
from stvg_ros.commands.verbs import BASES
from stvg_ros.commands.wordlist import word_set

_GESTURES = {
    "wave": "wave",
    "point": "point",
    "clap": "clap",
    "nod": "nod",
    "beckon": "beckon",
    "salute": "salute",
    "bow": "bow",
    "shrug": "shrug",
    "gesture": "gesture",
}
_LIMBS = {"arm": "arm", "arms": "arms", "hand": "hand", "hands": "hands", "leg": "leg"}
_RAISING = word_set("raise lift hold stretch put wave cross")
_POSES = {
    "sit": "sitting",
    "stand": "standing",
    "lie": "lying",
    "crouch": "crouching",
    "kneel": "kneeling",
    "squat": "squatting",
    "lean": "leaning",
    "bend": "bending",
    "seated": "sitting",
    "recline": "lying",
}
_MOVEMENTS = word_set(
    "walk run jump go come move dance jog turn leave enter step approach climb crawl cross ride "
    "fall hop leap skate swim arrive march stroll sit-down get depart exit return"
)
_DIRECTIONS = {
    "left": "left",
    "right": "right",
    "forward": "forward",
    "forwards": "forward",
    "backward": "backward",
    "backwards": "backward",
    "up": "up",
    "down": "down",
    "away": "away",
    "back": "backward",
    "upstairs": "up",
    "downstairs": "down",
}
_PLACES = {
    "left": "left",
    "right": "right",
    "middle": "middle",
    "center": "middle",
    "centre": "middle",
    "background": "background",
    "foreground": "foreground",
    "front": "foreground",
    "back": "background",
}
_SILENT = word_set("DET POSS CONJ MARK REL BE PREP OWNER TO ADV HAVE")


def features(words: Sequence[Token], parts: Description) -> tuple[Feature, ...]:
    """The features of tagged words, in sentence order; the last holds the remaining words."""
    taken: set[int] = set()
    found: list[tuple[int, Feature]] = []
    related = _related(words, parts)
    taken |= related
    for rule in (_garments, _hair, _gestures, _poses, _movements, _places, _sizes):
        for indices, feature in rule(words, taken):
            if not taken & set(indices):
                taken |= set(indices)
                negated = _denied(feature.text, parts.negated)
                found.append((indices[0], replace(feature, negated=negated)))
    phrase = noun_phrase(words)
    left = [
        i
        for i in range(len(words))
        if i not in taken and i != phrase.head and words[i].tag not in (*_SILENT, "NUM", "NEG")
    ]
    told = [
        words[i] for i in left if words[i].word not in ("wearing", "wears", "dressed", "number")
    ]
    if told:
        found.append((len(words), Feature("words", joined(told), joined(told))))
    return tuple(feature for _, feature in sorted(found, key=lambda pair: pair[0]))


def _related(words: Sequence[Token], parts: Description) -> set[int]:
    """The words about another target, whose attributes are not the target's."""
    if parts.relation is None:
        return set()
    text = parts.relation.text
    for start in range(len(words)):
        for end in range(start + 1, len(words) + 1):
            if joined(words[start:end]) == text:
                return set(range(start, end))
    return set()


def _denied(text: str, negated: str) -> bool:
    return bool(negated) and f" {text} " in f" {negated} "


Found = list[tuple[list[int], Feature]]


def _run(words: Sequence[Token], end: int, allowed: frozenset[str]) -> int:
    """The start of the words that describe the noun at an index: "a red and black jacket"."""
    start = end
    while start > 0 and (words[start - 1].word in allowed):
        start -= 1
    while start < end and words[start].word in ("and", "or", ","):
        start += 1
    return start


_OF_GARMENT = (
    lexicon.COLOURS
    | lexicon.COLOUR_SHADES
    | lexicon.PATTERNS
    | {"and", "or", "long", "short"}
    | {"big", "small", "new", "old", "thick", "woolen", "leather", "baseball", "sun", "high", ","}
)


def _colours(words: Sequence[Token], start: int, end: int) -> tuple[str, ...]:
    result = []
    for index in range(start, end):
        word = words[index].word
        if word in lexicon.COLOURS:
            shade = words[index - 1].word if index > start else ""
            result.append(f"{shade} {word}" if shade in lexicon.COLOUR_SHADES else word)
    return tuple(result)


def _garments(words: Sequence[Token], taken: set[int]) -> Found:
    found: Found = []
    for index, token in enumerate(words):
        if index in taken:
            continue
        follows = words[index + 1].tag if index + 1 < len(words) else ""
        garment = {token.word, lexicon.singular(token.word)} & lexicon.GARMENTS
        if garment and follows != "NOUN" and token.tag in ("NOUN", "PART"):
            start = _run(words, index, _OF_GARMENT)
            pattern = [w.word for w in words[start:index] if w.word in lexicon.PATTERNS]
            colours = _colours(words, start, index)
            text = joined(words[start : index + 1])
            found.append(
                (list(range(start, index + 1)), _garment(token.word, pattern, text, colours))
            )
        elif token.word in lexicon.COLOURS and index and follows not in ("NOUN", "ADJ", "CONJ"):
            # "in red", "dressed in red and black", "wearing red"
            start = _run(words, index + 1, lexicon.COLOURS | lexicon.COLOUR_SHADES | {"and"})
            before = words[start - 1].word if start else ""
            if before in ("in", "wearing", "wears", "wear", "all"):
                colours = _colours(words, start, index + 1)
                text = joined(words[start : index + 1])
                span = list(range(start, index + 1))
                found.append((span, Feature("garment", "clothes", text, colours)))
    return found


def _garment(word: str, pattern: list[str], text: str, colours: tuple[str, ...]) -> Feature:
    return Feature("garment", " ".join([*pattern, _name(word)]), text, colours)


def _name(garment: str) -> str:
    plural = garment in (
        "trousers",
        "pants",
        "jeans",
        "shorts",
        "glasses",
        "sunglasses",
        "clothes",
        "goggles",
        "tights",
        "leggings",
        "overalls",
        "headphones",
        "pyjamas",
    )
    return garment if plural else lexicon.singular(garment)


def _hair(words: Sequence[Token], taken: set[int]) -> Found:
    found: Found = []
    for index, token in enumerate(words):
        if index in taken:
            continue
        if token.word in (
            "hair",
            "beard",
            "ponytail",
            "pigtails",
            "braid",
            "braids",
            "moustache",
            "mustache",
            "bangs",
            "ponytails",
            "bun",
            "curls",
        ):
            allowed = _OF_GARMENT | {"curly", "straight", "wavy", "dark", "grey"}
            start = _run(words, index, allowed)
            text = joined(words[start : index + 1])
            shape = [
                w.word
                for w in words[start:index]
                if w.word in ("long", "short", "curly", "straight", "wavy")
            ]
            name = " ".join([*shape, token.word])
            span = list(range(start, index + 1))
            found.append((span, Feature("hair", name, text, _colours(words, start, index))))
        elif token.word in ("blonde", "blond", "brunette", "bald", "bearded") or (
            token.word.endswith("-haired")
        ):
            found.append(([index], Feature("hair", token.word, token.text)))
    return found


def _side(words: Sequence[Token], start: int, end: int) -> str:
    sides = [w.word for w in words[start:end] if w.word in ("left", "right")]
    return sides[0] if sides else ""


def _gestures(words: Sequence[Token], taken: set[int]) -> Found:
    found: Found = []
    for index, token in enumerate(words):
        base = BASES.get(token.word, "") if _verbal(token) else ""
        if index in taken or not base:
            continue
        limb = next(
            (i for i in range(index + 1, min(index + 6, len(words))) if words[i].word in _LIMBS), -1
        )
        if base in _RAISING and limb > 0:
            verb = "raise" if base in ("lift", "put", "hold", "stretch") else base
            side = _side(words, index, limb)
            text = joined(words[index : limb + 1])
            name = f"{verb} {_LIMBS[words[limb].word]}"
            found.append((list(range(index, limb + 1)), Feature("gesture", name, text, (), side)))
        elif base in _GESTURES:
            end = index + 1
            while end < len(words) and words[end].word in (
                "to",
                "at",
                "the",
                "left",
                "right",
                "up",
            ):
                end += 1
            side = _side(words, index, end)
            end = end if side or "up" in [w.word for w in words[index:end]] else index + 1
            span = list(range(index, end))
            text = joined(words[index:end])
            found.append((span, Feature("gesture", _GESTURES[base], text, (), side)))
    return found


def _verbal(token: Token) -> bool:
    prenominal = token.tag == "ADJ" and token.word.endswith("ing")
    return token.tag in ("VERB", "BASE", "ING", "PART") or prenominal


def _poses(words: Sequence[Token], taken: set[int]) -> Found:
    found: Found = []
    for index, token in enumerate(words):
        base = "seated" if token.word == "seated" else BASES.get(token.word, "")
        if index in taken or base not in _POSES or not (_verbal(token) or token.word == "seated"):
            continue
        found.append(([index], Feature("pose", _POSES[base], token.text)))
    return found


def _movements(words: Sequence[Token], taken: set[int]) -> Found:
    found: Found = []
    for index, token in enumerate(words):
        base = BASES.get(token.word, "") if _verbal(token) else ""
        if index in taken or base not in _MOVEMENTS:
            continue
        end = index + 1
        while end < len(words) and words[end].word in (*_DIRECTIONS, "to", "the", "towards"):
            end += 1
        sides = [_DIRECTIONS[w.word] for w in words[index + 1 : end] if w.word in _DIRECTIONS]
        end = end if sides else index + 1
        span = list(range(index, end))
        side = sides[0] if sides else ""
        found.append((span, Feature("movement", base, joined(words[index:end]), (), side)))
    return found


def _places(words: Sequence[Token], taken: set[int]) -> Found:
    found: Found = []
    for index, token in enumerate(words):
        if index in taken or token.word not in _PLACES or index < 2:
            continue
        start = index - (3 if words[index - 1].word == "far" and index > 2 else 2)
        phrase = [t.word for t in words[start:index]]
        after = words[index + 1].word if index + 1 < len(words) else ""
        if phrase[0] in ("on", "in", "at", "to", "from") and phrase[1] == "the" and after != "of":
            text = joined(words[start : index + 1])
            side = token.word if token.word in ("left", "right") else ""
            span = list(range(start, index + 1))
            found.append((span, Feature("place", _PLACES[token.word], text, (), side)))
    return found


def _sizes(words: Sequence[Token], taken: set[int]) -> Found:
    phrase = noun_phrase(words)
    return [
        ([i], Feature("size", words[i].word, words[i].text))
        for i in range(min(phrase.end, len(words)))
        if i not in taken and words[i].word in lexicon.SIZES and i != phrase.head
    ]
