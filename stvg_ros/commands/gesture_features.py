# SPDX-License-Identifier: Apache-2.0

"""Gestures with the limb's side, as measurable features."""

from __future__ import annotations

from collections.abc import Sequence

from stvg_ros.commands import lexicon
from stvg_ros.commands.appearance_features import Found
from stvg_ros.commands.command import Feature
from stvg_ros.commands.directions import base_at, direction_at
from stvg_ros.commands.tokens import Token, joined
from stvg_ros.commands.verbs import BASES
from stvg_ros.commands.wordlist import word_set

_ARMS = word_set("arm arms hand hands")
_LEGS = word_set("leg legs foot feet knee")
_FACE = word_set("face chin head nose mouth cheek cheeks ear ears eye eyes forehead beard lips")
_LIFTED = word_set("raised up lifted high risen")
_RAISE = word_set("raise lift")
_TOUCH = word_set("touch scratch rub cover hold wipe stroke")
_SIPS = word_set("drink sip gulp swig")
_CUPS = word_set("cup mug glass bottle can straw")
_GESTURES = word_set("wave point clap nod beckon salute bow shrug gesture")


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
        if token.word == "gesture" and index and BASES.get(words[index - 1].word) in _GESTURES:
            end, side = direction_at(words, index + 1)
            text = joined(words[index - 1 : end])
            name = BASES[words[index - 1].word]
            found.append((list(range(index - 1, end)), Feature("gesture", name, text, side=side)))
            continue
        base = base_at(words, index)
        if not base:
            continue
        span = _limb_moved(words, index, base) or _shown(words, index, base)
        span = span or _drinks(words, index, base)
        if span:
            found.append(span)
        elif base in _GESTURES:
            found.append(_plain_gesture(words, index, base))
    return found


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
        return _item(words, index, direction_at(words, end)[0], "wave", limb)
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


def _drinks(words: Sequence[Token], index: int, base: str) -> tuple[list[int], Feature] | None:
    """Drinking: "drinks from a cup", "takes a sip"; what is drunk is not part of it."""
    end = index + 1 if base in ("drink", "sip") else index
    if base == "take" and [t.tag for t in words[index + 1 : index + 2]] == ["DET"]:
        end = next((i + 1 for i in (index + 2, index + 3)
                    if i < len(words) and words[i].word in _SIPS), index)  # fmt: skip
    if end == index:
        return None
    of = end + 1 + ([t.word for t in words[end : end + 2]] == ["out", "of"])
    from_cup = of > end + 1 or [t.word for t in words[end:of]] == ["from"]
    of += of < len(words) and words[of].tag in ("DET", "POSS")
    if from_cup and of < len(words) and words[of].word in _CUPS:
        end = of + 1
    return list(range(index, end)), Feature("gesture", "drink", joined(words[index:end]))


def _plain_gesture(words: Sequence[Token], index: int, base: str) -> tuple[list[int], Feature]:
    after = [t.word for t in words[index + 1 : index + 5]]
    if base == "wave" and after[:1] == ["with"]:
        limb = next((i for i in range(index + 2, min(index + 6, len(words)))
                     if words[i].word in _ARMS), -1)  # fmt: skip
        if limb > 0:
            return _item(words, index, limb + 1, base, limb)
    end, side = direction_at(words, index + 1)
    if side in ("towards", "away", "backward"):
        side = ""
    return list(range(index, end)), Feature(
        "gesture", base, joined(words[index:end]), side=side if base in ("point", "wave") else ""
    )
