# SPDX-License-Identifier: Apache-2.0

"""The wordings of queries: several phrases for each appearance, action and relation."""

from __future__ import annotations

import re

import numpy as np

from stvg_lab.rendered.person import STAND
from stvg_lab.rendered.scene_generator import SHIRTS

KINDS = ("attribute", "action", "combined", "command", "sentence", "relation")

NOUNS = ("the person", "the man", "the woman", "someone", "a person", "the guy")
LOOKS = (
    "{noun} in {shirt}",
    "{noun} in the {shirt} shirt",
    "{noun} wearing {shirt}",
    "{noun} wearing a {shirt} shirt",
    "{noun} dressed in {shirt}",
    "{noun} in {shirt} clothes",
    "{noun} with the {shirt} jacket",
)
# A "bag" is of either kind.
BAGS: dict[str, tuple[str, ...]] = {
    "bag": ("{noun} with a bag", "{noun} carrying a bag", "{noun} with the bag"),
    "backpack": (
        "{noun} with a backpack",
        "{noun} wearing a backpack",
        "{noun} with the backpack",
        "{noun} carrying a backpack",
    ),
    "handbag": (
        "{noun} with a handbag",
        "{noun} carrying a handbag",
        "{noun} with the handbag",
    ),
}
SIDES: dict[str, tuple[str, ...]] = {
    side: (
        f"{{noun}} {side} of {{anchor}}",
        f"{{noun}} to the {side} of {{anchor}}",
        f"{{noun}} on the {side} of {{anchor}}",
        f"{{noun}} standing {side} of {{anchor}}",
        f"{{noun}} on the {side} side of {{anchor}}",
    )
    for side in ("left", "right")
}
# Third person and -ing form, the simplest pair first. "walk" is in either direction.
VERBS: dict[str, tuple[tuple[str, str], ...]] = {
    "wave": (
        ("waves", "waving"),
        ("waves his hand", "waving his hand"),
        ("raises a hand and waves", "raising a hand and waving"),
        ("waves hello", "waving hello"),
    ),
    "jump": (
        ("jumps", "jumping"),
        ("jumps up and down", "jumping up and down"),
        ("hops", "hopping"),
        ("leaps into the air", "leaping into the air"),
    ),
    "sit": (
        ("sits down", "sitting down"),
        ("crouches", "crouching"),
        ("crouches down", "crouching down"),
        ("squats", "squatting"),
    ),
    "pick_up": (
        ("picks up a box", "picking up a box"),
        ("bends down and picks up a box", "bending down and picking up a box"),
        ("lifts a box", "lifting a box"),
        ("picks up the box from the floor", "picking up the box from the floor"),
    ),
    "put_down": (
        ("puts down a box", "putting down a box"),
        ("bends down and puts down a box", "bending down and putting down a box"),
        ("lays down a box", "laying down a box"),
        ("puts the box on the floor", "putting the box on the floor"),
    ),
    "turn": (
        ("turns around", "turning around"),
        ("turns his back to the camera", "turning his back to the camera"),
        ("turns away", "turning away"),
        ("faces away", "facing away"),
    ),
    "meet": (
        ("meets another person", "meeting another person"),
        ("shakes hands", "shaking hands"),
        ("shakes hands with another person", "shaking hands with another person"),
        ("greets someone", "greeting someone"),
    ),
    "walk_left": (
        ("walks left", "walking left"),
        ("walks to the left", "walking to the left"),
        ("moves to the left", "moving to the left"),
        ("goes left", "going left"),
    ),
    "walk_right": (
        ("walks right", "walking right"),
        ("walks to the right", "walking to the right"),
        ("moves to the right", "moving to the right"),
        ("goes right", "going right"),
    ),
    "walk": (
        ("walks", "walking"),
        ("walks across the room", "walking across the room"),
        ("is walking around", "walking around"),
    ),
    STAND: (
        ("stands still", "standing still"),
        ("does not move", "standing without moving"),
        ("keeps still", "keeping still"),
    ),
}
COMMANDS = ("find {}", "look for {}", "where is {}", "show me {}", "track {}", "go to {}")

_CLAUSES = ("{} who {verb}", "{} who {is_ing}", "{} {ing}", "{} that {is_ing}")
_SENTENCES = (
    "{} {verb}",
    "{} stands, then {verb}",
    "{} {verb}, then stands",
    "{} {is_ing}",
    "{} stands near the wall. {he} then {verb}",
    "{} is standing in the room. {he} {verb}",
    "{} {verb}. Then {he} stands still again",
    "{} stands and looks around. After that {he} {verb}",
)
_STILL_SENTENCES = ("{} {verb}", "{} {is_ing}", "{} is standing in the room. {he} {verb}")
_PRONOUNS = {"man": "he", "guy": "he", "woman": "she"}


def phrased(
    rng: np.random.Generator | None,
    kind: str,
    shirt: str | None,
    act: str | None,
    *,
    bag: str | None = None,
    side: str | None = None,
) -> tuple[str, str, str]:
    """Text, attribute part and action part; the simplest wording if `rng` is None.

    Args:
        rng: selects the words.
        kind: one of `KINDS`.
        shirt: colour of the person's shirt; in a relation, of the other person's shirt.
        act: a key of `VERBS`, or None.
        bag: a key of `BAGS`, instead of a shirt.
        side: "left" or "right" of the person with that shirt; for relations only.

    Raises:
        ValueError: an unknown kind, or a kind without the appearance, action or side that it needs.
    """
    _check_parts(kind, shirt, act, bag, side)
    noun = _pick(rng, NOUNS)
    if kind == "relation" and side is not None:
        anchor = _pick(rng, LOOKS).format(noun=_pick(rng, NOUNS[:3]), shirt=shirt)
        text = _pick(rng, SIDES[side]).format(noun=noun, anchor=anchor)
        return text, text, ""
    look = ""
    if shirt:
        look = _pick(rng, LOOKS).format(noun=noun, shirt=shirt)
    elif bag:
        look = _pick(rng, BAGS[bag]).format(noun=noun)
    if kind == "attribute" or act is None:
        return look, look, ""
    verbs = VERBS[act]
    verb, ing = verbs[0 if rng is None else int(rng.integers(len(verbs)))]
    is_ing = verb if verb.startswith("is ") else f"is {ing}"
    forms: tuple[str, ...] = _CLAUSES
    if kind == "sentence":
        forms = _STILL_SENTENCES if act == STAND else _SENTENCES
    form = _pick(rng, forms)
    he = _PRONOUNS.get(noun.split()[-1], "he")

    def of(subject: str) -> str:
        text = form.format(subject, verb=verb, ing=ing, is_ing=is_ing, he=he)
        return re.sub(r"\. ([a-z])", lambda match: ". " + match.group(1).upper(), text)

    if kind == "action":
        return of(noun), "", of(noun)
    text = of(look)
    if kind == "command":
        text = _pick(rng, COMMANDS).format(text)
    if kind == "sentence":
        text = text[0].upper() + text[1:] + "."
    return text, look, of(noun)


def _check_parts(
    kind: str, shirt: str | None, act: str | None, bag: str | None, side: str | None
) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {KINDS}, got {kind!r}")
    named = {"action": act, "attribute": shirt or bag, "relation": shirt and side}
    if not named.get(kind, (shirt or bag) and act):
        raise ValueError(
            f"a query of kind {kind!r} needs more than shirt={shirt!r}, act={act!r}, bag={bag!r}, "
            f"side={side!r}"
        )


def _pick(rng: np.random.Generator | None, options: tuple[str, ...]) -> str:
    return options[0 if rng is None else int(rng.integers(len(options)))]


def vocabulary() -> tuple[str, ...]:
    """All lower-case words that a query can contain, sorted."""
    texts = [*NOUNS, *LOOKS, *COMMANDS, *SHIRTS, *_CLAUSES, *_SENTENCES, *_STILL_SENTENCES]
    texts += [*_PRONOUNS.values(), "is"]
    texts += [form for forms in (*BAGS.values(), *SIDES.values()) for form in forms]
    texts += [form for forms in VERBS.values() for pair in forms for form in pair]
    words = (re.findall(r"[a-z]+", re.sub(r"{\w*}", "", text.lower())) for text in texts)
    return tuple(sorted({word for found in words for word in found}))
