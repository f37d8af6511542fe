# SPDX-License-Identifier: Apache-2.0

"""Garments and hair with their colours, as measurable features."""

from __future__ import annotations

from collections.abc import Sequence

from stvg_ros.commands import lexicon
from stvg_ros.commands.colour_words import SHADES, colours_of
from stvg_ros.commands.command import Feature
from stvg_ros.commands.tokens import Token, joined
from stvg_ros.commands.wordlist import word_set

Found = list[tuple[list[int], Feature]]  # the indices of an item's words, and the item

_SLEEVED = word_set("sleeve sleeved sleeves")
_SLEEVES = {"long-sleeved": "long sleeves", "short-sleeved": "short sleeves",
            "long-sleeve": "long sleeves", "short-sleeve": "short sleeves"}  # fmt: skip
_LENGTHS = word_set(
    "long short high thick thin big small new old plastic paper cotton silk fur hard tight "
    "loose open flat wide plain"
)
_PARTS = {
    "upper": "shirt blouse sweater coat jacket hoodie hoody vest jumper pullover cardigan top tank "
    "raincoat waistcoat blazer polo tunic cloak poncho turtleneck tee sweatshirt jersey bib "
    "overcoat anorak parka windbreaker gilet cape sleeves apron",
    "lower": "skirt trousers pants jeans shorts leggings tights sweatpants chinos slacks trunks "
    "stockings tutu",
    "whole": "dress suit uniform robe gown kimono overall overalls swimsuit bikini pyjamas pajamas "
    "clothes clothing outfit costume tracksuit bathrobe dungarees sari scrubs leotard jumpsuit "
    "onesie nightgown",
    "head": "hat cap helmet beanie hood headscarf turban veil crown headphones earphones bandana "
    "hijab headdress tiara sombrero beret fedora visor bonnet earmuffs",
    "face": "glasses sunglasses goggles mask spectacles eyepatch",
    "feet": "sock socks shoe shoes boot boots sneakers heels sandals slippers wellies flip-flops "
    "loafers",
    "hands": "glove gloves watch ring bracelet mittens",
    "neck": "scarf tie necklace bow",
    "carried": "backpack rucksack bag handbag purse suitcase briefcase satchel",
}
_PART_OF = {"t shirt": "upper"} | {
    word: part for part, words in _PARTS.items() for word in words.split()
}
_PLURAL = word_set(
    "trousers pants jeans shorts glasses sunglasses clothes goggles tights leggings overalls "
    "headphones pyjamas pajamas earphones sweatpants sleeves dungarees wellies scrubs trunks "
    "chinos slacks stockings spectacles"
)
_HAIR = {
    "hair": "hair",
    "beard": "beard",
    "moustache": "moustache",
    "mustache": "moustache",
    "ponytail": "ponytail",
    "ponytails": "ponytail",
    "pigtails": "braids",
    "plaits": "braids",
    "plait": "braids",
    "goatee": "beard",
    "fringe": "bangs",
    "braid": "braids",
    "braids": "braids",
    "bangs": "bangs",
    "bun": "bun",
    "curls": "curls",
}
_HAIR_DETAILS = word_set("long short curly straight wavy")
_SHAVED = word_set("shaved shaven bald")
_OF_HAIR = {
    "bald": ("bald", ()),
    "balding": ("bald", ()),
    "bearded": ("beard", ()),
    "blond": ("hair", ("blond",)),
    "blonde": ("hair", ("blond",)),
    "brunette": ("hair", ("brown",)),
    "redhead": ("hair", ("red",)),
}


def is_carried(word: str) -> bool:
    """Whether a word names something carried, such as a backpack."""
    return _PART_OF.get(word) == "carried" or _PART_OF.get(lexicon.singular(word)) == "carried"


def garments(words: Sequence[Token], taken: set[int]) -> Found:
    """Garments with their colours and details: "in a red and black jacket", "dressed in red"."""
    found: Found = []
    for index, token in enumerate(words):
        if index in taken:
            continue
        follows = words[index + 1].tag if index + 1 < len(words) else ""
        garment = {token.word, lexicon.singular(token.word)} & lexicon.GARMENTS
        if garment and follows != "NOUN" and token.tag in ("NOUN", "PART"):
            found.append(_garment(words, index))
        elif token.word in (*lexicon.COLOURS, *SHADES) and index:
            if follows == "CONJ" and not _describes(words[min(index + 2, len(words) - 1)].word):
                follows = ""  # "wears blue and raises an arm"
            bare = follows not in ("NOUN", "ADJ", "CONJ")
            # "in red", "dressed in red and black", "wearing red"
            start = _colour_run(words, index + 1)
            before = words[start - 1].word if start else ""
            if bare and before in ("in", "wearing", "wears", "wear", "all"):
                text = joined(words[start : index + 1])
                colours = colours_of(words, start, index + 1)
                feature = Feature("garment", "clothes", text, colours, part="whole")
                found.append((list(range(start, index + 1)), feature))
    return found


def _garment(words: Sequence[Token], index: int) -> tuple[list[int], Feature]:
    start = _described_from(words, index)
    span = list(range(start, index + 1))
    colours = colours_of(words, start, index)
    after = _predicate(words, index)
    if after:
        colours = colours_of(words, index + 2, after)
        span += range(index + 1, after)
    word = words[index].word
    name = word if word in _PLURAL else lexicon.singular(word)
    part = _PART_OF.get(name, "") or _PART_OF.get(word, "worn")
    details = _details(words, start, index)
    text = joined(words[start : index + 1])
    if name == "sleeves":
        name, details = "clothes", tuple(f"{detail} sleeves" for detail in details)
    return span, Feature("garment", name, text, colours, part=part, details=details)


def _described_from(words: Sequence[Token], index: int) -> int:
    """The start of the words that describe the noun at an index: "a red and black jacket"."""
    start = index
    while start > 1 and words[start - 1].tag == "NOUN" and _compounds(words, start - 1):
        start -= 1
    while start > 0:
        listed = start > 1 and words[start - 1].word in ("and", "or", ",")
        before = words[start - 1 - listed].word
        if not _describes(before) or (listed and not _describes(words[start].word)):
            break
        start -= 1 + listed
    return start


def _compounds(words: Sequence[Token], index: int) -> bool:
    """Whether a noun can be the first part of a garment's name: "baseball cap", "cowboy hat"."""
    named = index > 1 and words[index - 1].tag in ("DET", "POSS", "ADJ", "PREP")
    word = words[index].word
    return (named or not lexicon.is_animate(word)) and word not in lexicon.COLOURS


def _describes(word: str) -> bool:
    return (
        word in lexicon.COLOURS
        or word in lexicon.COLOUR_SHADES
        or word in lexicon.PATTERNS
        or word in _LENGTHS
        or word in _SLEEVED
        or word in _SLEEVES
        or lexicon.is_colour_compound(word)
    )


def _details(words: Sequence[Token], start: int, end: int) -> tuple[str, ...]:
    """Pattern, material, length and compound nouns among some words."""
    result: list[str] = []
    for index in range(start, end):
        word = words[index].word
        if word in _SLEEVES:
            result.append(_SLEEVES[word])
        elif word in _SLEEVED and result:
            result[-1] = f"{result[-1]} sleeves"
        elif word in lexicon.COLOURS or word in SHADES or lexicon.is_colour_compound(word):
            continue
        elif word in lexicon.PATTERNS or word in _LENGTHS or words[index].tag == "NOUN":
            result.append(word)
    return tuple(result)


def _colour_run(words: Sequence[Token], end: int) -> int:
    start = end
    while start > 0 and (
        words[start - 1].word in lexicon.COLOURS
        or words[start - 1].word in lexicon.COLOUR_SHADES
        or words[start - 1].word == "and"
    ):
        start -= 1
    return start + (start < end and words[start].word == "and")


def _predicate(words: Sequence[Token], index: int) -> int:
    """The end of "is red" or "that is red" after a noun; 0 if there is none."""
    verb = index + 1 + (index + 1 < len(words) and words[index + 1].tag == "REL")
    if verb + 1 >= len(words) or words[verb].tag != "BE":
        return 0
    end = verb + 1
    while end < len(words) and (_describes(words[end].word) or words[end].word == "and"):
        end += 1
    end -= words[end - 1].word == "and"
    return end if end > verb + 1 else 0


def _hair_word(word: str) -> bool:
    return _describes(word) or word in _HAIR_DETAILS or word == "fair"


def hair(words: Sequence[Token], taken: set[int]) -> Found:
    """Hair and beard: "with short dark hair", "bald", "the blonde", "red-haired"."""
    found: Found = []
    for index, token in enumerate(words):
        if index in taken:
            continue
        after = words[index + 1].word if index + 1 < len(words) else ""
        kind = _HAIR.get(token.word) or _HAIR.get(lexicon.singular(token.word), "")
        haired = token.word == "haired" and index > 0 and _hair_word(words[index - 1].word)
        shaved = token.word == "head" and index > 0 and words[index - 1].word in _SHAVED
        if shaved:
            text = joined(words[index - 1 : index + 1])
            found.append(([index - 1, index], Feature("hair", "bald", text)))
        elif kind or haired:
            start = index
            while start > 0 and (
                _hair_word(words[start - 1].word) or words[start - 1].word in ("and", ",")
            ):
                start -= 1
            while words[start].word in ("and", ","):
                start += 1
            colours, span = colours_of(words, start, index), list(range(start, index + 1))
            predicate = _predicate(words, index)
            if predicate:
                colours = colours_of(words, index + 2, predicate)
                span += range(index + 1, predicate)
            details = tuple(w.word for w in words[start:index] if w.word in _HAIR_DETAILS)
            text = joined(words[start : index + 1])
            name = kind or "hair"
            owned = words[start - 1].tag == "POSS" if start else False
            if name == "hair" and owned and not colours and start == index:
                continue  # "combing her hair"
            found.append((span, Feature("hair", name, text, colours, details=details)))
        elif token.word in _OF_HAIR and after not in (*_HAIR, "and", "curly", "long"):
            name, colours = _OF_HAIR[token.word]
            found.append(([index], Feature("hair", name, token.text, colours)))
        elif token.word.endswith("-haired"):
            parts = [Token(part, part) for part in token.word.split("-")[:-1]]
            colours = colours_of(parts, 0, len(parts))
            details = tuple(part.word for part in parts if part.word in _HAIR_DETAILS)
            found.append(([index], Feature("hair", "hair", token.text, colours, details=details)))
    return found
