# SPDX-License-Identifier: Apache-2.0

"""The class of listed words, and what a word's form tells."""

from __future__ import annotations

from collections.abc import Sequence

from stvg_ros.commands import lexicon
from stvg_ros.commands.tokens import Token
from stvg_ros.commands.verbs import FORMS

_CLOSED = {
    "DET": lexicon.DETERMINERS | lexicon.PREDETERMINERS,
    "POSS": lexicon.POSSESSIVES,
    "NUM": frozenset(lexicon.NUMBERS),
    "ORD": lexicon.ORDINALS,
    "BE": lexicon.BE,
    "HAVE": lexicon.HAVE,
    "DO": lexicon.DO,
    "MODAL": lexicon.MODALS,
    "NEG": lexicon.NEGATIONS,
    "CONJ": lexicon.CONJUNCTIONS,
    "SUB": lexicon.SUBORDINATORS,
    "PRON": lexicon.SUBJECT_PRONOUNS | lexicon.INDEFINITE,
    "OBJ": lexicon.OBJECT_PRONOUNS,
    "REL": lexicon.RELATIVES | {"what"},
    "ADV": lexicon.ADVERBS,
    "PREP": lexicon.PREPOSITIONS,
    "ADJ": lexicon.ADJECTIVES,
}
_ORDER = [
    "NEG",
    "BE",
    "HAVE",
    "DO",
    "MODAL",
    "POSS",
    "DET",
    "NUM",
    "PRON",
    "OBJ",
    "REL",
    "CONJ",
    "SUB",
    "PREP",
    "ORD",
    "ADV",
    "ADJ",
]  # the first class that contains the word
CLOSED_WORDS = {word: tag for tag in reversed(_ORDER) for word in _CLOSED[tag]}


def nounish(word: str) -> bool:
    """Whether a word can begin or continue a noun phrase after a determiner."""
    if not word or word in ".,;:!?":
        return False
    tag = CLOSED_WORDS.get(word)
    return tag in (None, "ADJ", "NUM", "ORD") and not (
        word in FORMS and FORMS[word] <= {"PAST", "PART"} and tag is None
    )


def noun_for_sure(word: str) -> bool:
    """Whether a word is certainly a noun: a known one, or one that is no verb and in no list."""
    known = lexicon.is_animate(word) or word in lexicon.GARMENTS or word in lexicon.FURNITURE
    return known or (nounish(word) and word not in FORMS and CLOSED_WORDS.get(word) is None)


def object_follows(words: Sequence[Token], index: int) -> bool:
    """Whether an object or a particle follows the word at an index."""
    after = words[index + 1].word if index + 1 < len(words) else ""
    tag = CLOSED_WORDS.get(after)
    return tag in ("DET", "POSS", "OBJ", "ADV") or after in lexicon.PARTICLES | {"at", "to", "into"}


def garment_noun(word: str) -> bool:
    """Whether a word names garments: "dress", "dresses"."""
    return word in lexicon.GARMENTS or lexicon.singular(word) in lexicon.GARMENTS
