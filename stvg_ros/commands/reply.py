# SPDX-License-Identifier: Apache-2.0

"""The prompt that makes a language model read a sentence, and the conversion of its reply.

The fields are valid for any reply: a text is accepted only if its words are in the sentence in
that order, an intent only if it is known, and attribute and action share no word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from stvg_ros.commands.command import INTENTS, Command, Intent, Relation, TimeSpan
from stvg_ros.commands.description import relation_of
from stvg_ros.commands.features import features_of
from stvg_ros.commands.language import language_of
from stvg_ros.commands.lexicon import NUMBERS
from stvg_ros.commands.noun_phrase import noun_phrase
from stvg_ros.commands.tagging import LexiconTagger
from stvg_ros.commands.times import find_time, repeated
from stvg_ros.commands.tokens import Token, joined, tokens
from stvg_ros.commands.understanding import understood

TEXTS = ("target", "attribute", "action", "place", "then", "relation", "not", "time")
FIELDS = ("intent", "target", "attribute", "action", "place", "then", "number", "relation", "not",
          "time")  # fmt: skip

SYSTEM = (
    "You read what a person says to a robot with a camera. Reply with one JSON object with the "
    "keys "
    '"intent" (find, follow, count, describe, exists, watch or other), "target" (the description '
    'of whom to look for), "attribute" (the part of it that says what the target looks like), '
    '"action" (the part that says what the target does), "place" (room or furniture to go to), '
    '"then" (what the robot does afterwards), "number" (one, all or a number), "relation" (side or '
    'nearness to another target), "not" (what the target must not be or do) and "time" (when, '
    "relative to now). Copy words of the sentence; leave empty what is not said. No other text."
)
_NOTHING = dict.fromkeys(TEXTS, "")
_READ_CHARACTERS = 2**14  # of a reply
_PAIR = re.compile(rf'"({"|".join(FIELDS)})"\s*:\s*(?:"((?:[^"\\\n]|\\.)*)"|(\d{{1,4}}))')
EXAMPLES: tuple[tuple[str, dict[str, str]], ...] = (
    (
        "please find the man in the blue coat who waves in the office and tell him the time",
        {
            **_NOTHING,
            "intent": "find",
            "target": "the man in the blue coat who waves",
            "attribute": "the man in the blue coat",
            "action": "who waves",
            "place": "the office",
            "then": "tell him the time",
            "number": "one",
        },
    ),
    (
        "how many people are sitting in the kitchen",
        {
            **_NOTHING,
            "intent": "count",
            "target": "people are sitting",
            "action": "are sitting",
            "place": "the kitchen",
            "number": "all",
        },
    ),
    (
        "folge der Frau ohne Hut links von der Tür",
        {
            **_NOTHING,
            "intent": "follow",
            "target": "der Frau ohne Hut links von der Tür",
            "attribute": "der Frau ohne Hut links von der Tür",
            "number": "one",
            "relation": "links von der Tür",
            "not": "Hut",
        },
    ),
)


def ordered(values: Mapping[str, object]) -> dict[str, object]:
    """The fields in the order of the schema; a missing one is empty."""
    return {name: values.get(name, "") for name in FIELDS}


def schema() -> dict[str, Any]:
    """JSON schema of a reply."""
    texts: dict[str, Any] = {name: {"type": "string"} for name in FIELDS}
    texts["intent"] = {"type": "string", "enum": list(INTENTS)}
    texts["number"] = {"type": ["string", "integer"]}
    return {
        "type": "object",
        "properties": texts,
        "required": list(FIELDS),
        "additionalProperties": False,
    }


def parsed(reply: str) -> Mapping[str, object] | None:
    """The last JSON object of a reply that has fields of a command; None if there is none.

    The text before it, such as a model's reasoning, may hold braces and drafts. Of an object that
    is cut off or has a syntax error, the complete pairs of a field and its value are taken. Of a
    long reply the end is read, as each brace may open an object that has to be tried.
    """
    decoder, found = json.JSONDecoder(), None
    reply = reply[-_READ_CHARACTERS:]
    start = reply.find("{")
    while start >= 0:
        end = start + 1
        try:
            value, end = decoder.raw_decode(reply, start)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict) and (found is None or not value.keys().isdisjoint(FIELDS)):
            found = value
        start = reply.find("{", end)
    if found is None or found.keys().isdisjoint(FIELDS):
        pairs = {name: _unescaped(text) or digits for name, text, digits in _PAIR.findall(reply)}
        return pairs if "target" in pairs else found
    return found


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text


def command_of(
    values: Mapping[str, object], sentence: str, reader: str, problems: Sequence[str] = ()
) -> Command:
    """A command from a model's fields; invalid ones are dropped and listed in `problems`."""
    said = tokens(sentence)
    found: dict[str, list[Token]] = {}
    refused = []
    for name in TEXTS:
        words, fits = _words_of(values.get(name, ""), said)
        found[name] = words
        if not fits:
            refused.append(name)
    intent = values.get("intent")
    if intent not in INTENTS:
        refused.append("intent")
    notes = list(problems)
    if refused:
        notes.append(f"The model's {', '.join(refused)} did not fit the sentence.")
    target = found["target"]
    if not found["target"]:
        notes.append("The model named no target; the whole sentence is asked.")
        target = tokens(understood(sentence, LexiconTagger()).target)
    attribute, action = _apart(found["attribute"], found["action"])
    noun = _noun(target)
    clause = str(values.get("action", "")).strip() if action else ""
    if not clause.lower().startswith(f"{noun.lower()} "):
        clause = ""
    english = language_of(sentence) == "English"
    kind: Intent = next((i for i in INTENTS if i == intent), "find")
    return Command(
        intent=kind,
        target=joined(target) or sentence.strip() or "?",
        attribute=joined(attribute),
        action=joined(action),
        place=joined(found["place"]),
        then=joined(found["then"]),
        number=_number(values.get("number")),
        relation=_relation(found["relation"]),
        negated=joined(found["not"]),
        time=_time(found["time"]),
        noun=noun,
        features=features_of(joined(target)) if english else (),
        clause=clause,
        repeated=kind == "watch" and repeated(said),
        reader=reader,
        problems=tuple(notes),
    )


def _words_of(value: object, said: Sequence[Token]) -> tuple[list[Token], bool]:
    """The words of the sentence that a text repeats, and whether it repeats them exactly."""
    if not isinstance(value, str) or not value.strip() or value.strip().lower() in ("none", "null"):
        return [], value is None or isinstance(value, str)
    wanted = [token.word for token in tokens(value[:1000]) if token.text not in ".,;:!?"]
    here = [i for i, token in enumerate(said) if token.text not in ".,;:!?"]
    words = [said[i].word for i in here]
    for start in range(len(words) - len(wanted) + 1):
        if wanted and words[start : start + len(wanted)] == wanted:
            return list(said[here[start] : here[start + len(wanted) - 1] + 1]), True
    chosen, at = [], 0  # words of the sentence in its order, possibly with gaps
    for word in wanted:
        while at < len(words) and words[at] != word:
            at += 1
        if at == len(words):
            return [], False
        chosen.append(said[here[at]])
        at += 1
    return chosen, bool(chosen) or not wanted


def _apart(attribute: list[Token], action: list[Token]) -> tuple[list[Token], list[Token]]:
    """Attribute and action without common words, which are removed from the action."""
    both = {id(token) for token in attribute}
    rest = [token for token in action if id(token) not in both]
    return attribute, rest


def _number(value: object) -> Literal["one", "all"] | int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 < value <= 1000:
        return value
    text = str(value).strip().lower()
    if text == "all":
        return "all"
    count = NUMBERS.get(text, int(text) if text.isdecimal() and len(text) < 4 else 1)
    return count if count > 1 else "one"


def _relation(words: list[Token]) -> Relation | None:
    if not words:
        return None
    known = relation_of(LexiconTagger().tag(words))
    return known or Relation("near", joined(words), joined(words))


def _time(words: list[Token]) -> TimeSpan | None:
    found = find_time(words)
    return found[2] if found else None


def _noun(target: Sequence[Token]) -> str:
    """The target's kind, for the sub-query of its action."""
    return noun_phrase(LexiconTagger().tag(target)).kind or "the one"
