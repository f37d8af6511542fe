# SPDX-License-Identifier: Apache-2.0

"""Parts of speech by lexicon and context, for readers without a parser.

Tags: DET POSS NUM ORD ADJ NOUN PRON OBJ PREP ADV REL CONJ SUB BE HAVE DO MODAL NEG TO
VERB (finite) BASE ING PART (past participle) MARK (punctuation) OWNER (possessive "'s").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from stvg_ros.commands import lexicon
from stvg_ros.commands.tokens import Token
from stvg_ros.commands.verbs import BASES, FORMS, MOSTLY_NOUN, STATIC_PARTICIPLES
from stvg_ros.commands.word_classes import (
    CLOSED_WORDS,
    garment_noun,
    noun_for_sure,
    nounish,
    object_follows,
)
from stvg_ros.commands.wordlist import word_set

_NOMINAL = word_set("DET POSS NUM ORD ADJ OWNER")  # a noun follows later
_ACTING = word_set("leave exit step stop start slide ride fly drink sip")  # mostly nouns
_LIMBS = word_set(
    "arm arms hand hands leg legs eyes head back mouth fist fingers thumb sleeves hair knees elbows"
)
_AGENTS = word_set("PRON NOUN REL")


class Tagger(Protocol):
    """Tags each word with its part of speech.

    `Token.noun` is set if the tagger also finds the noun that a clause describes.
    """

    name: str

    def tag(self, words: Sequence[Token]) -> list[Token]:
        """The words with their tags; none added, none removed."""
        ...


class LexiconTagger:
    """Tags by word lists, endings and context; needs no model."""

    name = "rules"

    def tag(self, words: Sequence[Token]) -> list[Token]:
        """The words with their tags; see `Tagger`."""
        result: list[Token] = []
        for index, token in enumerate(words):
            result.append(replace(token, tag=_tag(words, index, result)))
        return result


def _tag(words: Sequence[Token], index: int, done: list[Token]) -> str:
    word = words[index].word
    if word in ".,;:!?":
        return "MARK"
    before = done[-1] if done else None
    after = words[index + 1].word if index + 1 < len(words) else ""
    special = _ambiguous(word, before, after, words, index)
    if special:
        return special
    closed = "ADJ" if lexicon.is_colour_compound(word) else CLOSED_WORDS.get(word)
    if closed and not (closed == "ADJ" and word in FORMS):
        return _closed(word, closed, before, after, words, index)
    return _open(word, before, words, index, done)


def _ambiguous(
    word: str, before: Token | None, after: str, words: Sequence[Token], index: int
) -> str:
    """The tag of an ambiguous word, by its neighbours; "" for all others."""
    last = before.tag if before else ""
    if word == "is" and words[index].glued:
        owner = last == "NOUN" or (before is not None and before.word in lexicon.INDEFINITE)
        whose = owner and nounish(after) and "ING" not in FORMS.get(after, ())
        return "OWNER" if whose else "BE"
    if word == "that":
        someone = before is not None and before.word in lexicon.INDEFINITE | {"one"}
        relative = last in ("NOUN", "OBJ") or someone
        verbal = after in FORMS or CLOSED_WORDS.get(after) in (
            "BE",
            "HAVE",
            "DO",
            "MODAL",
            "ADV",
            "NEG",
        )
        return "REL" if last == "NOUN" or (relative and (verbal or not after)) else "DET"
    if word == "her":
        return "POSS" if nounish(after) else "OBJ"
    if word == "one":
        numeral = last not in ("DET", "ADJ", "ORD") and nounish(after)
        return "NUM" if numeral else "NOUN"
    if word == "to":
        base = "BASE" in FORMS.get(after, ()) or after in ("be", "have", "do")
        return "TO" if base and last not in ("BE",) and not _towards(after) else "PREP"
    if (word, after) in (("other", "than"), ("close", "to"), ("adjacent", "to")):
        return "PREP"
    if word == "neither":
        return "NEG" if last in ("BE", "REL", "HAVE", "MODAL") else "DET"
    if word in ("other", "same"):
        return "ADJ" if nounish(after) else "NOUN"
    if word in ("last", "first", "next"):
        if word == "next" and after == "to":
            return "PREP"
        return "ORD" if last in ("DET", "POSS", "") or nounish(after) else "ADV"
    if word in ("left", "right", "back", "front", "middle", "top"):
        return _side(word, last, after)
    if word == "like":
        return "BASE" if last in ("MODAL", "PRON") else "PREP"
    return ""


def _towards(word: str) -> bool:
    return word in ("work", "water", "bed", "exit")


def _side(word: str, last: str, after: str) -> str:
    if word in ("left", "right") and after == "of" and last in ("NOUN", "PRON"):
        return "ADV"
    if word == "left" and last == "CONJ":
        return "VERB"
    if word == "left" and last in ("REL", "PRON", "ADV", "NOUN", "HAVE") and last:
        noun_before = last == "NOUN" and not after
        return "ADV" if noun_before else ("VERB" if last != "HAVE" else "PART")
    if last in ("DET", "POSS", "ADJ", "PREP"):
        return "ADJ" if nounish(after) and after not in FORMS else "NOUN"
    if word in ("back", "left", "right"):
        return "ADV"
    return "ADJ" if nounish(after) else "NOUN"


def _closed(
    word: str, tag: str, before: Token | None, after: str, words: Sequence[Token], index: int
) -> str:
    last = before.tag if before else ""
    if tag == "ADJ":
        further = words[index + 2].word if index + 2 < len(words) else ""
        listed = after in ("and", ",") and CLOSED_WORDS.get(further) == "ADJ"
        if listed and last in ("DET", "POSS", "ADJ", "NUM"):
            return "ADJ"  # "a black and big dog"
        if nounish(after) and not _verb_follows(words, index, last in ("PREP", "ING")):
            return "ADJ"
        # "in red", "the old", "a blonde": the colour replaces the noun.
        alone = _worn(words, index) or last in ("PREP", "DET", "POSS", "ADJ", "CONJ", "ING")
        return "NOUN" if alone else "ADJ"
    if tag == "PREP" and word in lexicon.PARTICLES:
        worn = word == "on" and before is not None and garment_noun(before.word)
        verb = "THIRD" in FORMS.get(after, ()) and (worn or BASES[after] not in MOSTLY_NOUN)
        opening = ("DET", "POSS", "NUM", "OBJ", "ORD", "PREP", "PRON")
        if verb or not (nounish(after) or CLOSED_WORDS.get(after) in opening):
            return (
                "ADV" if last in ("VERB", "BASE", "ING", "NOUN", "OBJ", "PART", "ADV") else "PREP"
            )
    if tag in ("DO", "HAVE") and last == "TO":
        return "BASE"
    if tag == "ADV" and last in ("DET", "POSS") and nounish(after):
        return "ADJ"
    return tag


def _worn(words: Sequence[Token], index: int) -> bool:
    """Whether a word is a colour after "in" or "wears"."""
    before = words[index - 1].word if index else ""
    wears = before == "in" or BASES.get(before) == "wear"
    return wears and words[index].word in lexicon.COLOURS


def _verb_follows(words: Sequence[Token], index: int, bare: bool) -> bool:
    """Whether the next word can only be a verb, as in "in red jumps".

    Without a determiner before the colour (`bare`), "waving" is a verb in "in red waving hello".
    """
    if index + 1 >= len(words):
        return False
    word = words[index + 1].word
    forms = FORMS.get(word, set())
    if word in lexicon.NOT_VERBS or lexicon.is_person(word) or word in lexicon.GARMENTS:
        return False
    if garment_noun(word) and not object_follows(words, index + 1):
        return False
    if "THIRD" in forms:
        acts = BASES[word] in _ACTING and _worn(words, index)
        return acts or BASES[word] not in MOSTLY_NOUN or object_follows(words, index + 1)
    if "ING" in forms:
        following = words[index + 2].word if index + 2 < len(words) else ""
        return not (garment_noun(following) or (noun_for_sure(following) and not bare))
    return bool(forms & {"PAST"}) and word not in STATIC_PARTICIPLES


def _open(
    word: str, before: Token | None, words: Sequence[Token], index: int, done: list[Token]
) -> str:
    last = before.tag if before else ""
    forms = FORMS.get(word, set())
    worn = word == "hands" and before is not None and garment_noun(before.word)
    if worn and object_follows(words, index):
        return "VERB"  # "the man in the white shirt hands her a glass"
    if word in lexicon.NOT_VERBS or (lexicon.is_person(word) and last in ("DET", "POSS", "ADJ")):
        return "NOUN"
    if not forms and word in STATIC_PARTICIPLES and last not in _NOMINAL:
        return "PART"  # "clad in red"
    if not forms:
        return _unknown(word, last, words, index)
    if "ING" in forms:
        return _ing(last, words, index)
    if forms & {"PAST", "PART"} and not forms & {"BASE"}:
        return _past(word, last, words, index, forms)
    if "THIRD" in forms:
        return _third(word, before, words, index, done)
    return _base(word, last, words, index, done, forms)


def _unknown(word: str, last: str, words: Sequence[Token], index: int) -> str:
    if word.endswith("ly") and len(word) > 4:
        return "ADV"
    if word.endswith("ing") and len(word) > 5 and last not in ("DET", "POSS", "PREP"):
        return _ing(last, words, index)
    after = words[index + 1].word if index + 1 < len(words) else ""
    if word.endswith("ed") and "-" in word and last in ("ING", "VERB", "NOUN"):
        return "ADJ" if nounish(after) else "ADV"  # "sitting cross-legged"
    if word.endswith("ed") and len(word) > 4:
        return _past(word, last, words, index, {"PAST", "PART"})
    if word.endswith(("ful", "ous", "ish", "less", "able", "-haired", "-aged")) and nounish(
        words[index + 1].word if index + 1 < len(words) else ""
    ):
        return "ADJ"
    if word.endswith("s") and not word.endswith(("ss", "us")) and word not in lexicon.GARMENTS:
        subject = last == "NOUN" and lexicon.is_animate(words[index - 1].word)
        if last == "REL" or (subject and _verb_place(words, index)):
            return "VERB"
    plural = last == "NOUN" and lexicon.is_plural(words[index - 1].word)
    if plural and lexicon.is_animate(words[index - 1].word) and not lexicon.is_plural(word):
        return "BASE" if _verb_place(words, index) else "NOUN"
    if last == "REL" and index >= 2 and words[index - 1].word in ("who", "that"):
        return "BASE"
    return "NOUN"


def _verb_place(words: Sequence[Token], index: int) -> bool:
    """Whether the context after an unknown word fits a verb: the end, an adverb, an object."""
    after = words[index + 1].word if index + 1 < len(words) else ""
    return not after or after in ".,;:" or CLOSED_WORDS.get(after) in ("ADV", "PREP", "DET", "POSS")


def _ing(last: str, words: Sequence[Token], index: int) -> str:
    after = words[index + 1].word if index + 1 < len(words) else ""
    if last in _NOMINAL:
        return "ADJ" if nounish(after) else ("ING" if last == "ADJ" else "NOUN")
    if last == "PREP":
        return "ADJ" if noun_for_sure(after) else "NOUN"
    if last == "" and noun_for_sure(after):
        return "ADJ"
    if last == "CONJ" and index >= 2 and noun_for_sure(after) and words[index - 2].word in FORMS:
        return "ING"
    if last == "ING" and after in lexicon.GARMENTS:
        return "ADJ"  # "wearing running shoes"
    return "ING"


def _past(word: str, last: str, words: Sequence[Token], index: int, forms: set[str]) -> str:
    after = words[index + 1].word if index + 1 < len(words) else ""
    if last in ("DET", "POSS", "NUM", "ORD") or (last in ("ADJ", "PREP") and noun_for_sure(after)):
        return "ADJ"
    if last in ("BE", "HAVE") or (last == "NEG" and "PART" in forms):
        return "PART"
    if last == "ADV" and index >= 2 and words[index - 2].word in lexicon.BE | lexicon.HAVE:
        return "PART"
    if word in STATIC_PARTICIPLES or after == "by":
        return "PART"
    if last == "NOUN" and _state(words, index):
        return "ADJ"  # "with her left arm raised"
    if forms == {"PART"}:
        return "PART"
    return "VERB"


def _state(words: Sequence[Token], index: int) -> bool:
    """Whether a participle describes a part of the body after "with"."""
    if words[index - 1].word not in _LIMBS:
        return False
    start = index - 2
    while start > 0 and (
        words[start].word in (*lexicon.POSSESSIVES, "the", "one", "both", "left", "right", "a")
    ):
        start -= 1
    return start >= 0 and words[start].word in ("with", *lexicon.HAVE, "having")


def _third(
    word: str, before: Token | None, words: Sequence[Token], index: int, done: list[Token]
) -> str:
    """A word in -s: a verb after its subject, a plural noun inside a noun phrase."""
    last = before.tag if before else ""
    if last in _NOMINAL or last == "PREP":
        return "NOUN"
    if last in ("REL", "PRON", "ADV", "NEG", "MARK", "OBJ", ""):
        return "VERB"
    mostly_noun = BASES[word] in MOSTLY_NOUN
    acting = BASES[word] in _ACTING
    if last == "CONJ":
        verbs = any(token.tag in ("VERB", "ING", "BE", "PART", "HAVE") for token in done)
        first = done[-2] if len(done) > 1 else done[-1]
        worn = garment_noun(first.word) or first.word in lexicon.COLOURS
        another = worn or first.tag in ("VERB", "ING", "ADV", "PART")
        there = not any(token.tag in ("VERB", "BASE", "ING", "HAVE") for token in done)
        listed = mostly_noun and not (acting and (another or there))
        verbal = not listed or object_follows(words, index)
        return "VERB" if verbs and verbal else "NOUN"
    if last == "NOUN" and before is not None:
        if lexicon.moves(before.word) and not _noun_of_compound(before.word, done):
            return "VERB"
        worn = garment_noun(before.word) or before.word in lexicon.COLOURS
        if worn and acting and not _main_verb_in(done):
            return "VERB"  # "the woman in the grey suit leaves"
        if mostly_noun:
            return "VERB" if object_follows(words, index) else "NOUN"
        return "VERB"
    return "VERB" if last in ("BE", "PART", "ING") and not mostly_noun else "NOUN"


def _two_nouns(done: list[Token]) -> bool:
    """Whether a conjunction joins two people, as in "a man and a woman in red walk"."""
    joint = next((i for i, token in enumerate(done) if token.word == "and"), len(done))
    before = any(lexicon.is_animate(token.word) for token in done[:joint])
    return before and any(lexicon.is_animate(token.word) for token in done[joint:])


def _verb_in(done: list[Token]) -> bool:
    return any(token.tag in ("VERB", "BASE", "BE", "ING", "PART") for token in done)


def _main_verb_in(done: list[Token]) -> bool:
    """Whether a verb precedes that is not of a relative clause."""
    finite = sum(token.tag in ("VERB", "BASE", "BE", "HAVE") for token in done)
    return finite > sum(token.tag == "REL" for token in done)


def _noun_of_compound(word: str, done: list[Token]) -> bool:
    """Whether a noun follows a preposition, as in "with a toy car ...", and is not a subject."""
    return not lexicon.is_animate(word) and any(token.tag == "PREP" for token in done[-4:])


def _base(
    word: str,
    last: str,
    words: Sequence[Token],
    index: int,
    done: list[Token],
    forms: set[str],
) -> str:
    if last in ("TO", "MODAL", "DO"):
        return "BASE"
    if last == "NEG" and index >= 2 and words[index - 2].word in lexicon.DO | lexicon.MODALS:
        return "BASE"
    if "PART" in forms and last in ("BE", "HAVE"):
        return "PART"
    if last == "ADV" and len(done) >= 2 and done[-2].tag in ("TO", "MODAL"):
        return "BASE"
    if last == "":
        after = words[index + 1].word if index + 1 < len(words) else ""
        return (
            "BASE"
            if CLOSED_WORDS.get(after) in ("DET", "POSS", "OBJ", "PREP") or not after
            else "NOUN"
        )
    plural = any(token.tag == "NOUN" and lexicon.is_plural(token.word) for token in done) or any(
        token.word in ("they", "people") for token in done
    )
    subject = next((t for t in reversed(done) if t.tag != "ADV"), None)
    if subject is not None and subject.tag == "PRON" and subject.word in lexicon.INDEFINITE:
        return "BASE"  # "did somebody just leave"
    if last in ("REL", "PRON") or (last == "ADV" and plural):
        return "BASE" if plural or done[-1].word in ("they", "you", "i", "we", "who") else "NOUN"
    several = last == "NOUN" and lexicon.is_plural(done[-1].word)
    if several and (lexicon.moves(done[-1].word) or word not in MOSTLY_NOUN):
        return "BASE"
    acts = forms == {"BASE"} and word not in MOSTLY_NOUN and not _verb_in(done)
    if last == "NOUN" and acts and (plural or _two_nouns(done)):
        return "BASE"  # "two men in front of the car argue"
    if last == "CONJ" and any(token.tag == "BASE" for token in done):
        return "BASE"
    if "PAST" in forms and last in ("REL", "PRON"):
        return "VERB"
    known = CLOSED_WORDS.get(word)
    if known == "ADJ":
        after = words[index + 1].word if index + 1 < len(words) else ""
        return "ADJ" if nounish(after) else "NOUN"
    if "PAST" in forms and last == "NOUN" and lexicon.is_animate(done[-1].word):
        return "VERB"  # "a man put his hat on"
    return "NOUN"
