# SPDX-License-Identifier: Apache-2.0

"""Basic colours of the words in a description."""

from __future__ import annotations

from collections.abc import Sequence

from stvg_ros.commands import lexicon
from stvg_ros.commands.tokens import Token

_BASIC_COLOURS = {
    "grey": "gray",
    "golden": "gold",
    "violet": "purple",
    "lilac": "light purple",
    "lavender": "light purple",
    "indigo": "dark blue",
    "navy": "dark blue",
    "teal": "turquoise",
    "cyan": "turquoise",
    "cream": "beige",
    "tan": "beige",
    "khaki": "beige",
    "maroon": "dark red",
    "burgundy": "dark red",
    "crimson": "red",
    "scarlet": "red",
    "olive": "dark green",
    "magenta": "pink",
    "blonde": "blond",
    "brunette": "brown",
    "fair": "blond",
    "mustard": "yellow",
    "charcoal": "dark gray",
    "peach": "light orange",
    "coral": "pink",
    "ivory": "beige",
    "plum": "dark purple",
    "rust": "brown",
    "ruby": "red",
    "emerald": "green",
    "aqua": "turquoise",
    "salmon": "pink",
    "fuchsia": "pink",
    "mint": "light green",
    "mauve": "light purple",
    "bronze": "brown",
    "copper": "brown",
    "auburn": "brown",
    "chestnut": "brown",
    "ginger": "red",
    "off-white": "white",
    "bluish": "blue",
    "reddish": "red",
    "greenish": "green",
    "yellowish": "yellow",
    "whitish": "white",
    "brownish": "brown",
    "greyish": "gray",
    "grayish": "gray",
    "pinkish": "pink",
    "blackish": "black",
}
SHADES = {"dark": "dark", "deep": "dark", "light": "light", "pale": "light", "pastel": "light"}


def colours_of(words: Sequence[Token], start: int, end: int) -> tuple[str, ...]:
    """Basic colours among some words, each with its shade, in sentence order.

    A compound counts as its parts: "light-blue", "red-and-white".
    """
    said = [part for token in words[start:end] for part in _parts(token.word)]
    result: list[str] = []
    for index, word in enumerate(said):
        after = said[index + 1] if index + 1 < len(said) else ""
        before = said[index - 1] if index else ""
        shade = SHADES.get(before, "")
        if word in lexicon.COLOURS or word == "fair":
            basic = _BASIC_COLOURS.get(word, word)
            name = basic if " " in basic or not shade else f"{shade} {basic}"
            if result and result[-1].endswith(f" {basic}") and before == "navy":
                continue  # "navy blue"
            result.append(name)
        elif word in SHADES and after not in lexicon.COLOURS:
            result.append(SHADES[word])
    return tuple(result)


def _parts(word: str) -> list[str]:
    return word.split("-") if lexicon.is_colour_compound(word) else [word]
