# SPDX-License-Identifier: Apache-2.0

"""Poses, the side that is seen, changes of pose and movements, as measurable features."""

from __future__ import annotations

from collections.abc import Sequence

from stvg_ros.commands import lexicon
from stvg_ros.commands.appearance_features import Found
from stvg_ros.commands.command import Feature, FeatureKind
from stvg_ros.commands.directions import US, WAYS, base_at, direction_at
from stvg_ros.commands.tokens import Token, joined
from stvg_ros.commands.verbs import FORMS
from stvg_ros.commands.wordlist import word_set

_POSES = {
    "sit": "sitting",
    "stand": "standing",
    "lie": "lying",
    "crouch": "crouching",
    "kneel": "kneeling",
    "squat": "crouching",
    "lean": "leaning",
    "bend": "bending",
    "stoop": "bending",
    "seated": "sitting",
    "seat": "sitting",
    "recline": "lying",
}
_CHANGES = {
    ("sit", "down"): "sit down",
    ("stand", "up"): "stand up",
    ("get", "up"): "stand up",
    ("lie", "down"): "lie down",
    ("bend", "down"): "bend down",
    ("bend", "over"): "bend down",
    ("kneel", "down"): "kneel down",
    ("crouch", "down"): "crouch down",
    ("squat", "down"): "crouch down",
    ("turn", "round"): "turn round",
    ("turn", "around"): "turn round",
    ("spin", "round"): "turn round",
    ("spin", "around"): "turn round",
    ("fall", "down"): "fall",
    ("fall", "over"): "fall",
    ("jump", "up"): "jump",
    ("take", "off"): "take off",
    ("put", "on"): "put on",
    ("pick", "up"): "pick up",
}
_BARE_CHANGES = {"fall": "fall", "collapse": "fall", "jump": "jump", "hop": "jump",
                 "leap": "jump", "rise": "stand up"}  # fmt: skip
_SEATED = ("sit down", "stand up")
_OBJECT_INSIDE = word_set("take put pick")  # "picks the phone up"
_MOVEMENTS = {
    **dict.fromkeys(("walk", "stroll", "march", "stride", "wander", "pace", "tiptoe"), "walk"),
    **dict.fromkeys(("run", "jog", "sprint", "race", "rush", "dash"), "run"),
    **dict.fromkeys(("go", "move", "come", "head", "travel", "approach", "step", "return",
                     "advance", "get"), "move"),
    **dict.fromkeys(("leave", "exit", "depart"), "leave"),
    **dict.fromkeys(("enter", "arrive"), "enter"),
    **dict.fromkeys(("cycle", "ride", "pedal"), "ride"),
    "pass": "pass", "cross": "cross", "stop": "stop", "dance": "dance", "climb": "climb",
    "crawl": "crawl", "swim": "swim", "skate": "skate", "turn": "turn",
}  # fmt: skip
_TOWARDS = word_set("come approach")
_HEAD = word_set("head face gaze eyes neck")
_STAYING = word_set("stay remain keep")
_SUPPORTED = word_set("on to from off onto in")
_FLOORS = word_set("floor ground")
_SEATS = word_set("chair seat")
_STILL = word_set("still motionless unmoving")
_SEEN = word_set("seen viewed shown visible filmed")
_FACED = {"forward": "towards", "backward": "away"}


def poses(words: Sequence[Token], taken: set[int]) -> Found:
    """Poses: "sitting", "seated", "on his knees"."""
    found: Found = []
    for index, token in enumerate(words):
        base = "seated" if token.word == "seated" else base_at(words, index)
        if index in taken:
            continue
        if token.word == "knees" and index > 1 and words[index - 2].word == "on":
            span = list(range(index - 2, index + 1))
            span = [index - 3, *span] if base_at(words, index - 3) in _STAYING else span
            text = joined(words[span[0] : index + 1])
            found.append((span, Feature("pose", "kneeling", text)))
        if token.word == "upright" and index and base_at(words, index - 1) in _STAYING:
            text = joined(words[index - 1 : index + 1])
            found.append(([index - 1, index], Feature("pose", "standing", text)))
        if base in _POSES:
            end = index + 1
            end += end < len(words) and words[end].word in ("down", "up", "upright", "over")
            if _POSES[base] in ("lying", "kneeling", "sitting", "standing"):
                end = _past_support(words, end, seat=_POSES[base] == "sitting")
            span = list(range(index, end))
            found.append((span, Feature("pose", _POSES[base], joined(words[index:end]))))
    return found


def _past_support(words: Sequence[Token], end: int, seat: bool) -> int:
    """The end of "on the floor", and with a seat of "from his chair", which nothing measures."""
    here = [t.word for t in words[end : end + 3]]
    if len(here) < 3 or here[0] not in _SUPPORTED or words[end + 1].tag not in ("DET", "POSS"):
        return end
    compound = end + 3 < len(words) and words[end + 3].tag == "NOUN"  # "the floor mat"
    known = here[2] in _FLOORS or (seat and here[2] in _SEATS)
    return end + 3 if known and not compound else end


def facings(words: Sequence[Token], taken: set[int]) -> Found:
    """The side of the body that is seen: "facing the camera", "with his back to us"."""
    found: Found = []
    for index, token in enumerate(words):
        if index in taken:
            continue
        base = base_at(words, index)
        if token.word == "back":
            start, end, side = _back_shown(words, index)
        elif token.word in _SEEN:
            start, end, side = _seen_from(words, index)
        elif base in ("face", "look") or token.word == "turned":
            start, end, side = index, *_faced(words, index, base)
        else:
            continue
        if side:
            span = list(range(start, end))
            found.append((span, Feature("pose", "facing", joined(words[start:end]), side=side)))
    return found


def _faced(words: Sequence[Token], index: int, base: str) -> tuple[int, str]:
    """The end and the side of "facing us", "looking at the camera", "is turned away from us"."""
    after = [t.word for t in words[index + 1 : index + 3]]
    if base == "face" and after[:1] and after[0] in US:
        return index + 2, "towards"
    if base == "face" and after in (["this", "way"], ["the", "front"], ["your", "way"]):
        return index + 3, "towards"
    end, side = direction_at(words, index + 1)
    of_camera = end > index and words[end - 1].word in US
    if base == "face":
        return end, _FACED.get(side, side)
    if base == "look":
        return end, side if of_camera else ""
    state = index > 0 and (words[index - 1].tag == "BE" or of_camera)
    after_who = index > 0 and words[index - 1].tag == "REL"
    return end, side if state and not after_who and side in ("towards", "away") else ""


def _back_shown(words: Sequence[Token], index: int) -> tuple[int, int, str]:
    """The span of "with his back to the camera", "her back turned", and its side."""
    start = index - 1
    if start < 0 or words[start].tag not in ("POSS", "OWNER", "DET", "OBJ", "REL"):
        return index, index, ""
    if start and base_at(words, start - 1) == "turn":
        return index, index, ""  # a change: "turns his back to us"
    end = index + 1
    while end < len(words) and (words[end].tag == "BE" or words[end].word == "turned"):
        end += 1
    turned = words[end - 1].word == "turned"
    stop, side = direction_at(words, end)
    if side == "towards" and words[stop - 1].word in US:
        end = stop
    elif not turned or (end < len(words) and words[end].word in ("to", "on", "towards", "toward")):
        return index, index, ""  # "his back to the wall"
    start -= start > 0 and words[start - 1].word == "with"
    return start, end, "away"


def _seen_from(words: Sequence[Token], index: int) -> tuple[int, int, str]:
    """The span of "seen from behind", "shown from the front", and its side."""
    after = [t.word for t in words[index + 1 : index + 4]]
    following = words[index + 3].tag if index + 3 < len(words) else ""
    if after[:2] == ["from", "behind"] and following not in ("DET", "NOUN", "ADJ", "POSS"):
        return index, index + 3, "away"
    sides = {"front": "towards", "back": "away", "rear": "away"}
    if after[:2] == ["from", "the"] and after[2:] and after[2] in sides:
        of = index + 4 < len(words) and words[index + 4].word == "of"
        return index, index + 4, "" if of else sides[after[2]]
    return index, index, ""


def changes(words: Sequence[Token], taken: set[int]) -> Found:
    """Changes of pose: "sits down", "picks something up", "falls", "turns round", "jumps"."""
    found: Found = []
    for index in range(len(words)):
        base = base_at(words, index)
        if index in taken or not base:
            continue
        span = _changed(words, index, base)
        if span is None:
            continue
        name, indices = span
        text = joined([words[i] for i in indices])
        found.append((indices, Feature("change", name, text)))
    return found


def _changed(words: Sequence[Token], index: int, base: str) -> tuple[str, list[int]] | None:
    reach = 5 if base in _OBJECT_INSIDE else 2
    for at in range(index + 1, min(index + reach, len(words))):
        if words[at].tag in ("CONJ", "MARK", "REL"):
            break
        name = _CHANGES.get((base, words[at].word), "")
        if not name:
            continue
        onto = words[at + 1].tag if at + 1 < len(words) else ""
        if at > index + 1 and base in ("put", "take") and onto in ("DET", "POSS", "ADJ", "NOUN"):
            return None  # "puts the bag on the table"
        if words[index].tag == "PART" and index and words[index - 1].tag == "BE":
            return None  # "who is bent over"
        # "who is sitting down" is sitting; "sitting down on a chair" and "gets up" are changes.
        lasting = "ING" in FORMS.get(words[index].word, ()) and base in _POSES
        after = words[at + 1].word if at + 1 < len(words) else ""
        seated = name in _SEATED
        end = _past_support(words, at + 1, seated)
        chosen = base == "sit" and end > at + 1 and words[end - 1].word in _SEATS
        if lasting and after != "from" and not chosen:
            return None
        return name, [index, at, *range(at + 1, end)]
    if base == "take" and [t.word for t in words[index + 2 : index + 3]] == ["seat"]:
        return "sit down", list(range(index, _past_support(words, index + 3, seat=True)))
    name = _BARE_CHANGES.get(base, "")
    if not name:
        return None
    return name, list(range(index, _past_support(words, index + 1, name in _SEATED)))


def movements(words: Sequence[Token], taken: set[int]) -> Found:
    """Movements with their direction: "walks to the left", "comes closer", "stands still"."""
    found: Found = []
    for index, token in enumerate(words):
        if index in taken:
            continue
        if token.word in _STILL:
            start = index - 1 if index and base_at(words, index - 1) else index
            if token.word != "still" or start < index or words[index - 1].tag == "BE":
                span = list(range(start, index + 1))
                found.append((span, _movement(words, span, "stand still")))
            continue
        base = base_at(words, index)
        name = _MOVEMENTS.get(base, "")
        if not name or (words[index + 1 : index + 2] and words[index + 1].word in _STILL):
            continue
        if index and words[index - 1].tag == "NEG" and name == "move":
            found.append(([index], _movement(words, [index - 1, index], "stand still")))
            continue
        item = _moved(words, index, base, name)
        if item:
            found.append(item)
    return found


def _movement(words: Sequence[Token], span: Sequence[int], name: str, side: str = "") -> Feature:
    kind: FeatureKind = "change" if name == "turn" else "movement"
    return Feature(kind, name, joined([words[i] for i in span]), side=side)


def _moved(
    words: Sequence[Token], index: int, base: str, name: str
) -> tuple[list[int], Feature] | None:
    start = index + 1
    while start < len(words) and words[start].tag == "ADV" and words[start].word not in WAYS:
        start += 1
    after = [t.word for t in words[start : start + 3]]
    if base == "turn" and after[:1] and after[0] in (*lexicon.POSSESSIVES, "the"):
        if after[1:2] == ["back"]:
            return _span(words, index, direction_at(words, start + 2)[0], name, "away")
        if after[1:2] and after[1] in _HEAD:
            return None  # only the head turns
    if name in ("move", "walk", "run"):
        alone = start < len(words) and _alone(words, start)
        if after[:1] == ["into"] or (after[:1] == ["in"] and alone):
            return _span(words, index, start + 1, "enter")
        if after[:2] == ["out", "of"] or (after[:1] == ["out"] and alone):
            return _span(words, index, start + len(after[:2]), "leave")
        if after[:1] in (["past"], ["by"]):
            return _span(words, index, start + 1, "pass")
    end, side = direction_at(words, start)
    if side in ("", "up", "down"):
        aside = _later_side(words, end)
        if aside:
            return _span(words, index, aside, name, words[aside - 1].word)
    if not side and base in _TOWARDS:
        side = "towards"
    if base in ("get", "turn") and not side:
        return None
    if base == "get" and side in ("up", "down"):
        return None
    return _span(words, index, end if end > start else index + 1, name, side)


def _alone(words: Sequence[Token], index: int) -> bool:
    """Whether a particle has no noun phrase: "came in after her", but not "ran in the park"."""
    after = words[index + 1].tag if index + 1 < len(words) else ""
    return after in ("", "PREP", "SUB", "CONJ", "MARK", "ADV", "REL")


def _later_side(words: Sequence[Token], start: int) -> int:
    """The end of "down the street to the left", after the verb; 0 if no side follows."""
    for at in range(start, min(start + 6, len(words) - 2)):
        if words[at].tag not in ("PREP", "DET", "ADJ", "NOUN", "ADV", "POSS"):
            return 0
        here = [t.word for t in words[at : at + 3]]
        side = here[0] in ("to", "towards", "toward") and here[2] in ("left", "right")
        if side and here[1] == "the" and (at + 3 >= len(words) or words[at + 3].word != "of"):
            return at + 3
    return 0


def _span(
    words: Sequence[Token], start: int, end: int, name: str, side: str = ""
) -> tuple[list[int], Feature]:
    span = list(range(start, end))
    return span, _movement(words, span, name, side)
