# SPDX-License-Identifier: Apache-2.0

"""A description in the fewest plain words, for a model that learned few sentences.

"Somebody who has an orange coat on and puts the left hand up" becomes "the person wearing an
orange coat who raises the left arm". "People who wear red" becomes "the person in red": each of
several is asked about by itself. What these words do not cover stays as it was said: the text is
changed only if every word of it has a place in the plain ones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from stvg_ros.commands.command import Command, Feature, others_of
from stvg_ros.commands.reader import grammar_reader
from stvg_ros.commands.tokens import cleaned, tokens
from stvg_ros.commands.verbs import BASES, third_person
from stvg_ros.commands.wordlist import word_set

_COLOURS = word_set("red orange yellow green blue purple black white gray")
_GARMENTS = {
    "t shirt": "t-shirt",
    **{name: name for name in ("shirt", "sweater", "coat", "jacket", "blouse")},
}
_BAGS = word_set("backpack handbag bag")
_NOUNS = word_set("person man woman")
# What is done, by the kind, name and side of a feature.
_VERBS = {
    ("gesture", "raise arm", "left"): "raises the left arm",
    ("gesture", "raise arm", "right"): "raises the right arm",
    ("gesture", "raise arm", "both"): "raises both arms",
    ("gesture", "point", "left"): "points left",
    ("gesture", "point", "right"): "points right",
    ("gesture", "wave", ""): "waves",
    ("gesture", "cross arms", ""): "crosses the arms",
    ("gesture", "drink", ""): "drinks",
    ("pose", "standing", ""): "stands",
    ("pose", "sitting", ""): "sits",
    ("pose", "lying", ""): "lies",
    ("pose", "kneeling", ""): "kneels",
    ("change", "sit down", ""): "sits down",
    ("change", "stand up", ""): "stands up",
    ("change", "fall", ""): "falls",
    ("change", "turn round", ""): "turns around",
    ("change", "turn", "away"): "turns the back to the camera",
    ("change", "jump", ""): "jumps",
    ("movement", "walk", "left"): "walks left",
    ("movement", "walk", "right"): "walks right",
    ("movement", "walk", ""): "walks",
    ("movement", "move", "left"): "walks left",
    ("movement", "move", "right"): "walks right",
    ("movement", "enter", ""): "enters",
    ("movement", "leave", ""): "leaves",
}
_RELATIONS = word_set("left_of right_of between in_front_of behind")
# Words outside of features that the plain ones need not repeat.
_IDLE = word_set("""
    the a an this that who which his her their in on with of from into out and is are was has have
    had having got wearing wears wear dressed clad carrying carries holding there here . person
    someone somebody anyone anybody human individual room picture image video scene view frame
    people everyone everybody all those are were
    """)
# The feature, by name and side, that what is done with a thing contains.
_WITHIN = {"picks up": ("pick up", ""), "carries": ("walk", "")}
_FLOORS, _HANDS = (" floor", " ground"), (" hand", " hands")
_UNCLEAR = re.compile(r"\b(?:sitting|kneeling) down\b", re.IGNORECASE)
_THING = re.compile(
    rf"(?:(?P<verb>\w+) )??(?:(?:{'|'.join(sorted(_COLOURS))}) )?(?P<kind>box|cup|ball)"
    r"(?P<place> hands?| floor| ground)?"
)


@lru_cache(maxsize=4096)
def plain_words(text: str) -> str:
    """A description in plain words; the text itself where they do not cover all of it."""
    return _plain(text) or text


def _plain(text: str) -> str:
    """The same in plain words, or ""."""
    command = grammar_reader("rules").read(text)
    if not _simple(command):
        return ""
    things = [one for one in command.features if one.kind == "words"]
    held, thing = _held(text, things[0], command.features) if things else ("", "")
    if things and not held:
        return ""
    within = _WITHIN.get(held)
    features = [
        one for one in command.features if one.kind != "words" and (one.name, one.side) != within
    ]
    noun, looks, doings = _noun(features), _looks(features), _doings(features)
    related = _related(command)
    known = len(looks) + len(doings) + sum(one.kind == "noun" for one in features)
    if not noun or related is None or known < len(features) or _more(text, command):
        return ""
    doings += [f"{held} {thing}"] if held else []
    clause = f"who {' and '.join(doings)}" if doings else ""
    return " ".join(filter(None, (noun, *looks, related, clause)))


def _simple(command: Command) -> bool:
    """Whether a command is a description of one person, or of each of several, and no more."""
    more = (command.refusal, command.problems, command.negated, command.time, command.then)
    return command.number in ("one", "all") and not any(more) and not command.place


def _more(text: str, command: Command) -> bool:
    """Whether words of the text are in no feature: "slowly", "then", "first"."""
    said = Counter(token.word for token in tokens(cleaned(text)[0]))
    covered = [one.text for one in command.features]
    covered += [command.relation.text] if command.relation else []
    for part in covered:
        said -= Counter(token.word for token in tokens(part))
    return not {*said} <= _IDLE


def _noun(features: Sequence[Feature]) -> str:
    kinds = [one.name for one in features if one.kind == "noun"] or ["person"]
    return f"the {kinds[0]}" if kinds[0] in _NOUNS else ""


def _looks(features: Sequence[Feature]) -> list[str]:
    """Clothes and bags: "in red", "wearing a red coat", "with a backpack"; at most one of each."""
    worn = [one for one in features if one.kind == "garment" and not one.details]
    bags = [f"with a {one.name}" for one in worn if one.name in _BAGS and not one.colours]
    clothes = [_clothes(one) for one in worn if one.name not in _BAGS]
    return [*[one for one in clothes if one][:1], *bags[:1]]


def _clothes(worn: Feature) -> str:
    """How one garment is said; "" if it has no plain words."""
    if not {*worn.colours} <= _COLOURS or len(worn.colours) > 1:
        return ""
    if worn.name == "clothes":
        return f"in {worn.colours[0]}" if worn.colours else ""
    if worn.name not in _GARMENTS:
        return ""
    said = " ".join((*worn.colours, _GARMENTS[worn.name]))
    return f"wearing {'an' if said[0] in 'aeiou' else 'a'} {said}"


def _doings(features: Sequence[Feature]) -> list[str]:
    """What is done; "sitting down" may be a pose or a change, and has no plain words."""
    clear = [one for one in features if one.kind != "pose" or not _UNCLEAR.search(one.text)]
    keys = [(one.kind, one.name, one.side) for one in clear]
    return [_VERBS[key] for key in keys if key in _VERBS]


def _related(command: Command) -> str | None:
    """The words "left of the person in red"; "" without a relation, None if it has none."""
    relation = command.relation
    if relation is None:
        return ""
    others = [_plain(one) for one in others_of(relation)]
    pair = 2 if relation.kind == "between" else 1
    if relation.kind.replace(" ", "_") not in _RELATIONS or len(others) != pair or not all(others):
        return None
    return f"{relation.kind} {' and '.join(others)}"


def _held(text: str, words: Feature, features: Sequence[Feature]) -> tuple[str, str]:
    """What is done with a thing, and the thing: "picks up", "a red box"; "" if more is said."""
    said = text.lower()
    found = _THING.fullmatch(words.text.lower())
    named = re.search(rf"\b(?:an?|the) (?:\w+ )?{found['kind']}\b", said) if found else None
    if found is None or named is None:
        return "", ""
    base = BASES.get(found["verb"], found["verb"]) if found["verb"] else ""
    place = found["place"] or ""
    done = {one.name for one in features if not one.side}
    if "pick up" in done and not base and place not in _HANDS:
        return "picks up", named[0]
    if place in _FLOORS:
        lifted = {"lift": "picks up", "take": "picks up", "put": "puts down"}
        return lifted.get(base, ""), named[0]
    if base == "put" and " down" in said:
        return "puts down", named[0]
    if base in ("carry", "hold"):
        return third_person(base), named[0]
    in_hands = place in _HANDS and not base
    return ("carries" if "walk" in done else "holds") if in_hands else "", named[0]
