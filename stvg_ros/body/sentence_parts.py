# SPDX-License-Identifier: Apache-2.0

"""Where the features of a command are in its sentence, and which happen one after another."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stvg_ros.commands.command import Feature
from stvg_ros.commands.wordlist import word_set

# Words before a feature that belong to it: "who is waving", "in the red jacket".
_STARTS = word_set("in with wearing wear wears dressed who that")
_LEADING = _STARTS | word_set("is are the a an his her their")
_TIMED = ("gesture", "pose", "change", "movement")
# What a person cannot do at once with another one of these.
_EXCLUDING = ("pose", "change")
_THEN = re.compile(
    r"\b(then|after that|after which|afterwards?|later|next|finally|subsequently|before)\b"
)
_AFTER = re.compile(r"\bafter\b(?! (that|which))")
_LISTED = re.compile(r"[,.;]|\band\b")

Place = tuple[int, int]  # first and last character (exclusive) in the sentence


def places(features: Sequence[Feature], sentence: str) -> list[Place | None]:
    """Where the features' words begin and end, in sentence order; None if they are not there."""
    text, start, found = sentence.lower(), 0, list[Place | None]()
    for feature in features:
        words = feature.text.lower()
        at = text.find(words, start)
        if at < 0:  # other words lie between: "picks the phone up"
            words = words.split()[0] if words else ""
            at = text.find(words, start) if words else -1
        found.append(None if at < 0 else (at, at + len(words)))
        start = start if at < 0 else at + len(words)
    return found


def phrases(features: Sequence[Feature], sentence: str) -> list[str]:
    """The words of each feature as they are said of somebody: "in the red jacket", "who waves"."""
    said = []
    for feature, place in zip(features, places(features, sentence), strict=True):
        before = [] if place is None else sentence[: place[0]].lower().split()
        leading: list[str] = []
        while before and before[-1] in _LEADING and len(leading) < 3:
            leading.insert(0, before.pop())
        while leading and leading[0] not in _STARTS:
            leading.pop(0)
        if leading[:1] in (["wear"], ["wears"]):
            leading[0] = "wearing"
        said.append(" ".join([*leading, feature.text]))
    return said


def stages(features: Sequence[Feature], sentence: str) -> list[list[int]]:
    """What the sentence says to happen one after another: indices of features, stage by stage.

    "Stands, then squats" has two stages, and so has "falls and gets up", since nobody does both at
    once; "walks to the left and waves" has one. Features that last belong to no stage.

    Args:
        features: in sentence order.
        sentence: with their words.
    """
    order: list[list[int]] = []
    last: int | None = None
    where = places(features, sentence)
    for index, feature in enumerate(features):
        place = where[index]
        if feature.kind not in _TIMED or feature.negated or place is None:
            continue
        previous = None if last is None else where[last]
        if last is None or previous is None:
            order.append([index])
        else:
            between = sentence[previous[1] : place[0]].lower()
            excluding = _exclude(features[last], feature)
            if _AFTER.search(between):
                order.insert(len(order) - 1, [index])
            elif _THEN.search(between) or (excluding and _LISTED.search(between)):
                order.append([index])
            else:
                order[-1].append(index)
        last = index
    return order


def _exclude(first: Feature, second: Feature) -> bool:
    """Whether nobody does both at once."""
    kinds = {first.kind, second.kind}
    if kinds <= {*_EXCLUDING}:
        return True
    if kinds == {"movement"}:
        return first.side != second.side or "stand still" in (first.name, second.name)
    return kinds == {"movement", "change"}
