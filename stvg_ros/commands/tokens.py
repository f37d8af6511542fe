# SPDX-License-Identifier: Apache-2.0

"""Tokenises a written or spoken sentence: expands contractions and drops disfluencies."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stvg_ros.commands.wordlist import NUMBER_WORDS, word_set

MOST_CHARACTERS = 800  # of a sentence; the rest is not read
MOST_WORDS = 100

# Chat templates mark roles and turns with such tokens; they must not reach a model.
_TEMPLATE = re.compile(
    r"#{2,}\s{0,4}(?:instruction|response|input|output|system|user|assistant|human)s?\s{0,2}:?|"
    r"<\|[^|<>]{0,40}\|>|<(?:/?[a-z_][a-z0-9_]{0,30}|/?s|0x[0-9a-f]{2})>|\[/?inst\]|<</?sys>>|"
    r"<[｜|][^<>]{0,40}[｜|]>|```\w{0,10}|\{\s{0,4}[\"\']\w{1,30}[\"\']\s{0,4}:",
    re.IGNORECASE,
)
# Places of images in a prompt; the sentence goes on after them.
_MEDIA = re.compile(r"</?(?:image|img|video|audio|frame)[^<>]{0,40}>", re.IGNORECASE)
_ESCAPE = re.compile(r"\x1b\[[0-9;?]{0,16}[A-Za-z]")  # of terminals
_ROLE = re.compile(r"(?:^|(?<=[\s.]))(?:assistant|user|human|model)\s?:", re.IGNORECASE)
# What a system message orders ends where the user's turn begins.
_SYSTEM = re.compile(
    r"(?:^|(?<=[\s.]))system\s?:(?:[^\0]{0,400}?(?=(?:user|human)\s?:))?", re.IGNORECASE
)
_INJECTION = re.compile(
    r"\b(?:ignore|disregard|forget|override)\s+(?:(?:all|any|of|everything|the|your|my|these|those|"
    r"previous|prior|above|earlier|preceding)\s+){1,4}(?:instructions?|prompts?|rules?|text|"
    r"messages?|and\b|words?|above|before|context)?|\byou are now\b|\bact as\b|\bpretend to be\b|"
    r"\bnew (?:instructions?|task)\b|\bend of (?:query|prompt|instructions?|message|text)\b|"
    r"\b(?:do not|don['’]?t|never) (?:follow|obey|use) (?:(?:the|any|your|these|those|my|all|"
    r"previous|prior|above|earlier)\s){0,3}(?:instructions?|rules?|prompts?)(?: above)?|"
    r"\bfrom now on\b[^.!?]{0,80}|\b(?:print|reveal|show|repeat|output)\s(?:me\s)?your\s(?:\w+\s)?"
    r"(?:prompt|instructions?|rules?)\b|\bsystem prompt\b|"
    r"\b(?:output|print|respond|reply)\s+(?:only|with|yes|the)\b|\balways (?:answer|say|reply)\b|"
    r"\banswer (?:yes|no)\b",
    re.IGNORECASE,
)
# Words between a description and an instruction after it: "..., but first".
_LINK = re.compile(r"(?:[\s,;.]|\b(?:and|but|then|first|please|also|now)\b)+$", re.IGNORECASE)
# The point after a title does not end a sentence.
_WORD = re.compile(
    r"\b(?:[DdMm]r|[Mm]rs|[Mm]s|[Pp]rof)\.(?=\s+[^\W_])|[^\W_]+(?:['’.\-/][^\W_]+)*|[.,;:!?]"
)
_CONTRACTION = re.compile(r"^(.+?)(n['’]t|['’](?:s|re|m|ve|ll|d))$", re.IGNORECASE)

_FULL = {
    "n't": "not",
    "'s": "is",
    "'re": "are",
    "'m": "am",
    "'ve": "have",
    "'ll": "will",
    "'d": "would",
}
# Speech recognisers omit apostrophes.
_WITHOUT_APOSTROPHE = {
    "whos": "who's",
    "wheres": "where's",
    "whats": "what's",
    "theres": "there's",
    "hes": "he's",
    "shes": "she's",
    "isnt": "isn't",
    "arent": "aren't",
    "wasnt": "wasn't",
    "doesnt": "doesn't",
    "dont": "don't",
    "didnt": "didn't",
    "hasnt": "hasn't",
    "havent": "haven't",
    "cant": "can't",
    "im": "i'm",
    "id": "i'd",
    "thats": "that's",
    "lets": "let's",
    "youre": "you're",
    "theyre": "they're",
}
# "the man, no wait, the woman": what follows replaces what precedes.
_REPAIRS = tuple(
    tuple(phrase.split())
    for phrase in (
        "no wait i mean", "sorry i mean", "no i mean", "no sorry", "sorry no", "no wait", "wait no",
        "or rather", "i mean", "i meant", "scratch that", "make that", "correction",
    )
)  # fmt: skip
_REPAIRING = frozenset(phrase[0] for phrase in _REPAIRS)
_TORN = word_set("in with to at on of the a an and wearing for")
_HESITATIONS = word_set("uh uhh um umm uhm er erm eh hmm hm mm ah äh ähm")
_PARENTHETICAL = (("you", "know"), ("i", "mean"), ("sort", "of"), ("kind", "of"), ("like", ","))
_BEFORE_LIKE = word_set("wearing wears in with has have holding carrying is")
_JOINED = {("t", "shirt"), ("tee", "shirt"), ("t", "shirts"), ("tee", "shirts"), ("flip", "flops")}
_DIGITS = {str(number): word for number, word in enumerate(NUMBER_WORDS)} | {
    "30": "thirty",
    "40": "forty",
    "50": "fifty",
    "60": "sixty",
}
_DOUBLED = word_set("had that very so bye go")  # words that may occur twice


@dataclass(frozen=True)
class Token:
    """A word or a punctuation mark.

    Attributes:
        text: The text for display.
        word: Lower case, contractions expanded ("'s" is "is").
        glued: No space precedes it.
        tag: Its part of speech, set by a tagger.
        noun: The index of the noun that a participle or relative clause describes, if a parser
            found it; otherwise -1.
    """

    text: str
    word: str
    glued: bool = False
    tag: str = ""
    noun: int = -1


def cleaned(text: str) -> tuple[str, tuple[str, ...]]:
    """The sentence without text that is not speech, and a list of the removals.

    Control characters become spaces. A mark of a chat template ends the sentence, or starts it
    if nothing precedes the mark; so does an instruction to a language model.
    """
    problems = []
    if len(text) > MOST_CHARACTERS:
        text = text[:MOST_CHARACTERS].rsplit(None, 1)[0]
        problems.append(f"Only the first {MOST_CHARACTERS} characters were read.")
    text = re.sub(r"\\[nrt]", " ", _ESCAPE.sub(" ", text))
    text = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    text = unicodedata.normalize("NFC", text)
    if _MEDIA.search(text):
        text = _MEDIA.sub(" ", text)
        problems.append("Marks of a chat template were removed.")
    turns = _ROLE.sub("\0", _SYSTEM.sub("\0", _TEMPLATE.sub("\0", text))).split("\0")
    plain = next((turn for turn in turns if any(map(str.isalnum, turn))), "")
    if len(turns) > 1:
        problems.append("Marks of a chat template, and what follows them, were removed.")
    order = _INJECTION.search(plain)
    if order:
        after = plain[order.end() :].lstrip(" .,:;")
        before = _LINK.sub("", plain[: order.start()])
        plain = before if before.strip(" .,;:!?") else cleaned(after)[0]
        problems.append("An instruction to a language model was removed.")
    if len(_WORD.findall(plain)) > MOST_WORDS:
        problems.append(f"Only the first {MOST_WORDS} words were read.")
    return " ".join(plain.split()), tuple(problems)


def tokens(text: str) -> list[Token]:
    """The normalised words of a cleaned sentence.

    Contractions are split, hesitations and repeated words dropped, "t-shirt" and "t shirt"
    become one spelling, small numbers become words; a sentence in capitals becomes lower case.
    """
    letters = [c for c in text if c.isalpha()]
    if len(letters) > 3 and all(not c.islower() for c in letters):
        text = text.lower()
    found = [
        part for word in _WORD.findall(text)[:MOST_WORDS] for part in _parts(word.replace("’", "'"))
    ]
    return _without_repetitions(_without_hesitations(_repaired(_joined(found))))


def _repaired(found: list[Token]) -> list[Token]:
    """The words with a correction in the place of what it corrects, from the same first word on."""
    said = [token.word for token in found]
    for start in range(1, len(said) - 1):
        if said[start] not in _REPAIRING:
            continue
        mark = next((m for m in _REPAIRS if tuple(said[start : start + len(m)]) == m), ())
        if not mark:
            continue
        begin = start + len(mark)
        while begin < len(said) and (said[begin] in ".,;:" or said[begin] in _HESITATIONS):
            begin += 1
        torn = mark == ("i", "mean") and said[start - 1] in _TORN  # "in, I mean, the red shirt"
        if torn:
            return found[:start] + found[begin:]
        same = [i for i in range(start) if begin < len(said) and said[i] == said[begin]]
        if not same:
            return found[:start] + found[begin:] if mark == ("i", "mean") else found
        return _repaired([*found[: same[-1]], *found[begin:]])
    return found


def _parts(word: str) -> list[Token]:
    low = _WITHOUT_APOSTROPHE.get(word.lower(), word.lower())
    if low != word.lower():
        word = low
    match = _CONTRACTION.match(word)
    if match and match.group(1):
        stem, end = match.groups()
        whole = {"ca": "can", "wo": "will", "sha": "shall"}.get(stem.lower(), stem.lower())
        return [Token(stem, whole), Token(end, _FULL[end.lower()], glued=True)]
    if low in ("t-shirt", "tshirt", "tee-shirt", "teeshirt", "t.shirt"):
        return [Token("t", "t"), Token("shirt", "shirt")]
    if low in ("t-shirts", "tshirts", "tee-shirts", "teeshirts", "t.shirts"):
        return [Token("t", "t"), Token("shirts", "shirts")]
    if low in _DIGITS:
        return [Token(_DIGITS[low], _DIGITS[low])]
    return [Token(word, low if word in ".,;:!?" else low.rstrip("."), glued=word in ".,;:!?")]


def _joined(found: list[Token]) -> list[Token]:
    """Joins "t shirt" to one token, so that "t" is not parsed as a word."""
    result: list[Token] = []
    for token in found:
        if result and (result[-1].word, token.word) in _JOINED:
            first = "t" if result[-1].word == "tee" else result[-1].word
            text = "t" if first == "t" else result[-1].text
            result[-1] = Token(f"{text} {token.text}", f"{first} {token.word}")
        elif result and result[-1].word == "number" and token.word in _DIGITS.values():
            result.append(replace(token, word="43"))  # a printed number, not a count
        else:
            result.append(token)
    return result


def _without_hesitations(found: list[Token]) -> list[Token]:
    result: list[Token] = []
    index = 0
    while index < len(found):
        pair = tuple(token.word for token in found[index : index + 2])
        like = found[index].word == "like" and bool(result) and result[-1].word in _BEFORE_LIKE
        if like and len(pair) == 2 and pair[1] in ("a", "an", "the", "this", "some"):
            index += 1  # "wearing like a black hoodie"
            continue
        spoken = pair in _PARENTHETICAL and (
            index == 0 or (result[-1:] and result[-1].word not in ("do", "a", "what", "that", "of"))
        )
        if found[index].word in _HESITATIONS:
            index += 1
            if index < len(found) and found[index].text == "," and not result:
                index += 1
        elif spoken and pair[0] != "like" and index + 2 < len(found):
            index += 2
        else:
            result.append(found[index])
            index += 1
    return result


def _without_repetitions(found: list[Token]) -> list[Token]:
    """Removes repetitions of words and pairs of words."""
    result: list[Token] = []
    for token in found:
        twice = bool(result) and result[-1].word == token.word and token.word not in _DOUBLED
        if twice and not token.glued:
            continue
        result.append(token)
        if len(result) >= 4 and not any(t.text in ".,;:!?" for t in result[-4:]):
            words = [t.word for t in result[-4:]]
            if words[:2] == words[2:]:
                del result[-2:]
    return result


def joined(found: Sequence[Token]) -> str:
    """The text of some words, without punctuation at both ends."""
    words = list(found)
    while words and words[0].text in ".,;:!?":
        words.pop(0)
    while words and words[-1].text in ".,;:!?":
        words.pop()
    text = ""
    for token in words:
        text += token.text if token.glued or not text else f" {token.text}"
    return text
