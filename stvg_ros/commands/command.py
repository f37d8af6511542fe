# SPDX-License-Identifier: Apache-2.0

"""The fields of a parsed command, which every reader fills."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from stvg_ros.commands.lexicon import (
    DETERMINERS,
    INDEFINITE,
    PREPOSITIONS,
    VEHICLES,
    is_animate,
    singular,
)
from stvg_ros.commands.verbs import FORMS
from stvg_ros.commands.wordlist import word_set

Intent = Literal["find", "follow", "count", "describe", "exists", "watch", "other"]
INTENTS: tuple[Intent, ...] = (
    "find",
    "follow",
    "count",
    "describe",
    "exists",
    "watch",
    "other",
)
FeatureKind = Literal[
    "noun", "garment", "hair", "gesture", "pose", "change", "movement", "place", "size", "words"
]


@dataclass(frozen=True)
class Feature:
    """A measurable feature of the target.

    Attributes:
        kind: What is measured; "words" if no item covers them.
        name: The canonical name: "jacket", "raise arm", "sitting", "walk"; see `features`.
        text: The words of the sentence.
        colours: Basic colours of a garment or of hair, with "dark" or "light" before them.
        side: "left", "right" or "both" of a limb; the direction of a movement; or "".
        negated: The sentence negates it.
        part: The part of the body that a garment covers, such as "upper"; or "".
        details: Pattern, material and length of a garment or of hair.
    """

    kind: FeatureKind
    name: str
    text: str
    colours: tuple[str, ...] = ()
    side: str = ""
    negated: bool = False
    part: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Relation:
    """Spatial relation of the target to another described target.

    Attributes:
        kind: "left of", "right of", "near", "between", "in front of", "behind", "above" or
            "below".
        other: The other target's description.
        text: The words of the sentence, preposition included.
    """

    kind: str
    other: str
    text: str


def others_of(relation: Relation | None) -> list[str]:
    """The descriptions of the other people; empty if the relation is to a thing.

    "Between the man in red and the woman in blue" has two; "between two people" has one, which
    stands for both.
    """
    if relation is None:
        return []
    parts = [relation.other]
    if relation.kind == "between":
        parts = re.split(r"\s+and\s+", relation.other, maxsplit=1)
        if parts[-1].split()[0].lower() not in DETERMINERS | INDEFINITE:  # "men in red and blue"
            parts = [relation.other]
    return parts if all(_of_people(part) for part in parts) else []


def _of_people(text: str) -> bool:
    return any(is_animate(word) or word in (*INDEFINITE, "others") for word in text.lower().split())


@dataclass(frozen=True)
class TimeSpan:
    """A span relative to now.

    Attributes:
        text: The words of the sentence.
        start_s: Start of the span, in seconds before now.
        end_s: End of the span, in seconds before now; at most `start_s`.
    """

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Command:
    """A parsed sentence. Every text consists of words of the sentence.

    Attributes:
        intent: The task with regard to the target; "other" if no target needs to be visible.
        target: The description alone, for the question to the model. Never empty.
        attribute: Appearance and possession of the target, with its noun; "" if only the kind
            is named.
        action: What the target does, without its noun; "" if no action is named.
        place: Room or furniture that the robot is sent to.
        then: Tasks after finding the target, in the words of the sentence.
        number: "one", "all", or a number.
        relation: Spatial relation to another target.
        negated: What the target must not be or do ("not" in JSON).
        time: A span relative to now.
        repeated: "Whenever", "every time": each event is reported, not only the next one.
        again: "Again", "once more": who is meant was seen before, possibly before the window.
        asked: Topic of a question: "name", "pose", "gesture", "clothes", "action",
            "description".
        noun: The target's kind with its determiner, such as "the man".
        name: A person's name or a relative ("my mum"), which cannot be recognised in an image.
        features: Items that can be measured.
        clause: The action with its subject in the reader's words, if it gave any.
        refusal: Why images cannot answer the command; "" if they can.
        reader: Name of the reader.
        problems: Errors and omissions, one sentence each.
    """

    intent: Intent
    target: str
    attribute: str = ""
    action: str = ""
    place: str = ""
    then: str = ""
    number: Literal["one", "all"] | int = "one"
    relation: Relation | None = None
    negated: str = ""
    time: TimeSpan | None = None
    asked: str = ""
    noun: str = ""
    name: str = ""
    features: tuple[Feature, ...] = ()
    clause: str = ""
    repeated: bool = False
    again: bool = False
    refusal: str = ""
    reader: str = ""
    problems: tuple[str, ...] = field(default=())

    @property
    def attribute_query(self) -> str:
        """DSTH's Q_s: the attribute, or "" if only the kind is named."""
        return self.attribute

    @property
    def action_query(self) -> str:
        """DSTH's Q_t: the noun with what it does, such as "the man who waves", or ""."""
        if not self.action or self.clause:
            return self.clause
        first, _, rest = self.action.partition(" ")
        pronoun, apostrophe, contracted = first.lower().partition("'")
        noun = self.noun
        if not noun:
            return self.action
        if pronoun in ("he", "she", "it", "they"):
            return self.action
        acting = noun.split()[-1].lower()
        who = "that" if acting in VEHICLES or singular(acting) in VEHICLES else "who"
        if pronoun in ("that", "which", "who"):
            verb = {"s": "is ", "re": "are "}.get(contracted, "") if apostrophe else ""
            return f"{noun} {who} {verb}{rest}".strip()
        if pronoun in _NO_CLAUSE:
            return f"{noun} {self.action}"
        if pronoun.endswith("ing") and len(pronoun) > 4:
            return f"{noun} {who} {'is' if self.number == 'one' else 'are'} {self.action}"
        return f"{noun} {who} {self.action}"

    @property
    def negated_query(self) -> str:
        """What the target must not be or do, as a description for a question; or ""."""
        if not self.negated:
            return ""
        first = self.negated.split()[0].lower()
        noun = self.noun or "someone"
        if noun.split()[0].lower() in ("nobody", "everyone", "anyone", "whoever"):
            noun = "someone"
        if first in _DESCRIBING and any(is_animate(w) for w in self.negated.lower().split()):
            return self.negated
        if first.endswith("ing") or first in PREPOSITIONS:
            return f"{noun} {self.negated}"
        if "BASE" in FORMS.get(first, ()):
            return f"{noun} who does {self.negated}"
        return f"{noun} with {self.negated}"

    def json(self) -> dict[str, object]:
        """The fields as JSON values, under the names of the command line."""
        return {
            "intent": self.intent,
            "target": self.target,
            "attribute": self.attribute,
            "action": self.action,
            "place": self.place,
            "then": self.then,
            "number": self.number,
            "relation": self.relation.text if self.relation else "",
            "not": self.negated,
            "time": self.time.text if self.time else "",
            "again": self.again,
            "reader": self.reader,
            "problems": list(self.problems),
            "asked": self.asked,
            "features": [feature_json(feature) for feature in self.features],
        }


_DESCRIBING = frozenset(("the", "a", "an", "this", "that", "my", "his", "her"))
_NO_CLAUSE = word_set("to before after while when as until about")


def feature_json(feature: Feature) -> dict[str, object]:
    """One feature as JSON, without empty fields."""
    values: dict[str, object] = {"kind": feature.kind, "name": feature.name, "text": feature.text}
    if feature.colours:
        values["colours"] = list(feature.colours)
    if feature.side:
        values["side"] = feature.side
    if feature.part:
        values["part"] = feature.part
    if feature.details:
        values["details"] = list(feature.details)
    if feature.negated:
        values["not"] = True
    return values


def intent_of(text: str) -> Intent:
    """The intent of that name; "find" if there is none."""
    return next((intent for intent in INTENTS if intent == text), "find")
