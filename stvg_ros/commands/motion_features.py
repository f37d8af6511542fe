# SPDX-License-Identifier: Apache-2.0

"""Gestures, poses, changes of pose and movements, as measurable features."""

from __future__ import annotations

from collections.abc import Sequence

from stvg_ros.commands import lexicon
from stvg_ros.commands.appearance_features import Found
from stvg_ros.commands.command import Feature, FeatureKind
from stvg_ros.commands.tokens import Token, joined
from stvg_ros.commands.verbs import BASES, FORMS
from stvg_ros.commands.wordlist import word_set

_ARMS = word_set("arm arms hand hands")
_LEGS = word_set("leg legs foot feet knee")
_FACE = word_set("face chin head nose mouth cheek cheeks ear ears eye eyes forehead beard lips")
_LIFTED = word_set("raised up lifted high risen")
_RAISE = word_set("raise lift")
_TOUCH = word_set("touch scratch rub cover hold wipe stroke")
_GESTURES = word_set("wave point clap nod beckon salute bow shrug gesture")
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
_DIRECTIONS = {
    "left": "left", "leftward": "left", "leftwards": "left",
    "right": "right", "rightward": "right", "rightwards": "right",
    "forward": "forward", "forwards": "forward", "ahead": "forward",
    "backward": "backward", "backwards": "backward", "back": "backward",
    "up": "up", "upstairs": "up", "upward": "up", "upwards": "up",
    "down": "down", "downstairs": "down", "downward": "down", "downwards": "down",
    "away": "away", "closer": "towards", "nearer": "towards",
}  # fmt: skip
_WAYS = frozenset((*_DIRECTIONS, "in", "out", "past", "by"))
_US = word_set("camera me us robot you viewer")
_BETWEEN = word_set("to towards toward the a at on in his her their my your from of side image "
                    "picture frame hand camera me us robot viewer")  # fmt: skip
_HEAD = word_set("head face gaze eyes neck")
_STILL = word_set("still motionless unmoving")


def gestures(words: Sequence[Token], taken: set[int]) -> Found:
    """Gestures: "raising their left arm", "with arms crossed", "pointing to the right"."""
    found: Found = []
    for index, token in enumerate(words):
        if index in taken:
            continue
        if token.word in _ARMS | _LEGS:
            held = _held(words, index)
            if held:
                found.append(held)
            continue
        base = _base(words, index)
        if not base:
            continue
        span = _limb_moved(words, index, base) or _shown(words, index, base)
        if span:
            found.append(span)
        elif base in _GESTURES:
            found.append(_plain_gesture(words, index, base))
    return found


def _base(words: Sequence[Token], index: int) -> str:
    """The base form of a word that is a verb, or a participle: "the waving person"."""
    token = words[index]
    after = words[index + 1] if index + 1 < len(words) else None
    thing = after is not None and after.tag == "NOUN" and not lexicon.moves(after.word)
    prenominal = token.tag == "ADJ" and token.word.endswith("ing") and not thing
    if token.tag in ("VERB", "BASE", "ING", "PART") or prenominal:
        return BASES.get(token.word, "")
    return ""


def _limb_moved(words: Sequence[Token], index: int, base: str) -> tuple[list[int], Feature] | None:
    """A verb with a limb as its object: "raises her hand", "crossing his arms"."""
    limb = next(
        (i for i in range(index + 1, min(index + 6, len(words))) if words[i].word in _ARMS | _LEGS),
        -1,
    )
    if limb < 0 or any(words[i].tag in ("CONJ", "MARK", "REL") for i in range(index, limb)):
        return None
    end = _after_limb(words, limb)
    said = {t.word for t in words[index + 1 : end]}
    arm = words[limb].word in _ARMS
    if base in _RAISE or (base in ("hold", "put", "stick", "throw") and said & (_LIFTED | {"air"})):
        return _item(words, index, end, "raise arm" if arm else "raise leg", limb)
    if base in ("cross", "fold") and arm:
        return _item(words, index, end, "cross arms", -1)
    if base in ("stretch", "spread", "extend") and arm:
        return _item(words, index, end, "stretch arms", limb)
    if base == "wave" and arm:
        return _item(words, index, _direction(words, end)[0], "wave", limb)
    if base in ("put", "hold", "have", "place", "rest") and arm:
        return _on_body(words, index, limb)
    return None


def _after_limb(words: Sequence[Token], limb: int) -> int:
    """The end of "up", "in the air", "above his head" after a limb."""
    end = limb + 1
    rest = [t.word for t in words[end : end + 3]]
    if rest[:1] and rest[0] in ("up", "out", "high", "raised"):
        end, rest = end + 1, [t.word for t in words[end + 1 : end + 4]]
    if rest[2:3] == ["air"] or (
        rest[:1] in (["above"], ["over"]) and rest[2:3] in (["head"], ["shoulders"])
    ):
        return end + 3
    return end


def _item(
    words: Sequence[Token], start: int, end: int, name: str, limb: int
) -> tuple[list[int], Feature]:
    side = ""
    if limb >= 0:
        before = {t.word for t in words[start:limb]}
        side = next((s for s in ("left", "right") if s in before), "")
        plural = words[limb].word in ("arms", "hands", "legs", "feet")
        side = side or ("both" if plural or "both" in before else "")
    return list(range(start, end)), Feature("gesture", name, joined(words[start:end]), side=side)


def _held(words: Sequence[Token], limb: int) -> tuple[list[int], Feature] | None:
    """A limb after "with" or before a participle: "with arms crossed", "with a raised hand"."""
    start = limb
    while start > 0 and (
        words[start - 1].tag in ("POSS", "DET", "ADJ", "NUM", "PART")
        or words[start - 1].word in ("left", "right", "raised", "crossed", "folded")
    ):
        start -= 1
    before = {t.word for t in words[start:limb]}
    after = [t.word for t in words[limb + 1 : limb + 5]]
    after = after[1:] if after[:1] in (["is"], ["are"]) else after
    skipped = limb + 1 + (words[limb + 1 : limb + 2] != [] and words[limb + 1].tag == "BE")
    arm = words[limb].word in _ARMS
    said = before | set(after[:1])
    if said & {"crossed", "folded"} and arm:
        return _item(words, start, skipped + bool(set(after[:1]) & {"crossed", "folded"}),
                     "cross arms", -1)  # fmt: skip
    if said & {"outstretched", "spread", "extended", "stretched"} and arm:
        return _item(words, start, skipped + (after[0] not in before if after else 0),
                     "stretch arms", limb)  # fmt: skip
    lifted = before & {"raised", "lifted"} or set(after[:1]) & (_LIFTED | {"high"})
    if lifted or after[1:3] == ["the", "air"]:
        end = _after_limb(words, limb)
        end = max(end, skipped + bool(set(after[:1]) & _LIFTED))
        return _item(words, start, end, "raise arm" if arm else "raise leg", limb)
    return _on_body(words, start, limb) if arm else None


def _on_body(words: Sequence[Token], start: int, limb: int) -> tuple[list[int], Feature] | None:
    """A hand "on his hips", "to her face"."""
    rest = [t.word for t in words[limb + 1 : limb + 5]]
    if rest[:1] and rest[0] in ("on", "to", "at", "over", "near", "in", "against", "behind"):
        skip = 2 if rest[1:2] and rest[1] in (*lexicon.POSSESSIVES, "the") else 1
        place = rest[skip : skip + 1]
        if place and place[0] in ("hip", "hips", "waist"):
            return _item(words, start, limb + 2 + skip, "hands on hips", -1)
        if place and place[0] in _FACE and rest[0] != "behind":
            return _item(words, start, limb + 2 + skip, "hand to face", limb)
    return None


def _shown(words: Sequence[Token], index: int, base: str) -> tuple[list[int], Feature] | None:
    """Gestures of a verb and another part: "touches his face", "shakes her head", "thumbs up"."""
    after = [t.word for t in words[index + 1 : index + 4]]
    owned = after[:1] and after[0] in (*lexicon.POSSESSIVES, "the")
    if base in _TOUCH and owned and after[1:2] and after[1] in _FACE:
        return _item(words, index, index + 3, "hand to face", -1)
    if base == "shake" and owned and after[1:2] == ["head"]:
        return _item(words, index, index + 3, "shake head", -1)
    for at in (index + 1, index + 2):
        pair = [t.word for t in words[at : at + 2]]
        if base in ("give", "show", "do", "make") and pair in (["thumbs", "up"], ["thumb", "up"]):
            return _item(words, index, at + 2, "thumbs up", -1)
    return None


def _plain_gesture(words: Sequence[Token], index: int, base: str) -> tuple[list[int], Feature]:
    after = [t.word for t in words[index + 1 : index + 5]]
    if base == "wave" and after[:1] == ["with"]:
        limb = next((i for i in range(index + 2, min(index + 6, len(words)))
                     if words[i].word in _ARMS), -1)  # fmt: skip
        if limb > 0:
            return _item(words, index, limb + 1, base, limb)
    end, side = _direction(words, index + 1)
    if side in ("towards", "away", "backward"):
        side = ""
    return list(range(index, end)), Feature(
        "gesture", base, joined(words[index:end]), side=side if base in ("point", "wave") else ""
    )


def poses(words: Sequence[Token], taken: set[int]) -> Found:
    """Poses: "sitting", "seated", "on his knees"."""
    found: Found = []
    for index, token in enumerate(words):
        base = "seated" if token.word == "seated" else _base(words, index)
        if index in taken:
            continue
        if token.word == "knees" and index > 1 and words[index - 2].word == "on":
            span = list(range(index - 2, index + 1))
            found.append((span, Feature("pose", "kneeling", joined(words[index - 2 : index + 1]))))
        if base in _POSES:
            end = index + 1
            end += end < len(words) and words[end].word in ("down", "up", "upright", "over")
            if _POSES[base] == "lying":
                end = _past_floor(words, end)
            span = list(range(index, end))
            found.append((span, Feature("pose", _POSES[base], joined(words[index:end]))))
    return found


def _past_floor(words: Sequence[Token], end: int) -> int:
    here = [t.word for t in words[end : end + 3]]
    floor = here[:1] and here[0] in ("on", "to", "from") and here[1:2] == ["the"]
    return end + 3 if floor and here[2:3] and here[2] in ("floor", "ground") else end


def changes(words: Sequence[Token], taken: set[int]) -> Found:
    """Changes of pose: "sits down", "picks something up", "falls", "turns round", "jumps"."""
    found: Found = []
    for index in range(len(words)):
        base = _base(words, index)
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
        if words[index].tag == "PART" and index and words[index - 1].tag == "BE":
            return None  # "who is bent over"
        # "who is sitting down" is sitting; "sitting down on" and "gets up" are changes.
        lasting = "ING" in FORMS.get(words[index].word, ()) and base in _POSES
        after = words[at + 1].word if at + 1 < len(words) else ""
        if lasting and after != "from":
            return None
        end = _past_floor(words, at + 1)
        return name, [index, at, *range(at + 1, end)]
    name = _BARE_CHANGES.get(base, "")
    if not name:
        return None
    return name, list(range(index, _past_floor(words, index + 1)))


def movements(words: Sequence[Token], taken: set[int]) -> Found:
    """Movements with their direction: "walks to the left", "comes closer", "stands still"."""
    found: Found = []
    for index, token in enumerate(words):
        if index in taken:
            continue
        if token.word in _STILL:
            start = index - 1 if index and _base(words, index - 1) else index
            if token.word != "still" or start < index or words[index - 1].tag == "BE":
                span = list(range(start, index + 1))
                found.append((span, _movement(words, span, "stand still")))
            continue
        base = _base(words, index)
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
    while start < len(words) and words[start].tag == "ADV" and words[start].word not in _WAYS:
        start += 1
    after = [t.word for t in words[start : start + 3]]
    if base == "turn" and after[:1] and after[0] in (*lexicon.POSSESSIVES, "the"):
        if after[1:2] == ["back"]:
            return _span(words, index, _direction(words, start + 2)[0], name, "away")
        if after[1:2] and after[1] in _HEAD:
            return None  # only the head turns
    if name in ("move", "walk", "run"):
        if after[:1] == ["into"] or (after[:1] == ["in"] and len(after) == 1):
            return _span(words, index, start + 1, "enter")
        if after[:2] == ["out", "of"] or (after[:1] == ["out"] and len(after) == 1):
            return _span(words, index, start + len(after[:2]), "leave")
        if after[:1] in (["past"], ["by"]):
            return _span(words, index, start + 1, "pass")
    end, side = _direction(words, start)
    if not side and base in _TOWARDS:
        side = "towards"
    if base in ("get", "turn") and not side:
        return None
    if base == "get" and side in ("up", "down"):
        return None
    return _span(words, index, end if end > start else index + 1, name, side)


def _span(
    words: Sequence[Token], start: int, end: int, name: str, side: str = ""
) -> tuple[list[int], Feature]:
    span = list(range(start, end))
    return span, _movement(words, span, name, side)


def _direction(words: Sequence[Token], start: int) -> tuple[int, str]:
    """The end of a direction, and its name: "from left to right", "towards the camera", "away"."""
    end, side, at = start, "", start
    while at < len(words) and at < start + 10:
        word = words[at].word
        if word in _DIRECTIONS and not (word in ("up", "down") and at > start):
            side, end = _DIRECTIONS[word], at + 1
        elif word in _US and words[at - 1].word in (
            "the", "to", "towards", "toward", "at", "from",
        ):  # fmt: skip
            side, end = ("away" if side == "away" else "towards"), at + 1
        elif word in ("side", "image", "picture", "frame") and end:
            end = at + 1 if side else end
        elif word not in _BETWEEN:
            break
        at += 1
    return (end, side) if side else (start, "")
