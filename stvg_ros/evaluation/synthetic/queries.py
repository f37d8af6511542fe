"""Sentences about a scene, each with the person it means and when, or with nobody at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes
from stvg_ros.evaluation.synthetic.scene import ACTIONS, SHIRTS, STAND, Scene

KINDS = ("attribute", "action", "combined", "command", "sentence")
SPLITS = ("train", "val", "test")
SPLIT_SEEDS = 10_000_000  # seeds in each split

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
# Third person and -ing form, the plainest pair first. "walk" is a walk in either direction.
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


@dataclass(frozen=True)
class SceneQuery:
    """A sentence with its answer.

    Attributes:
        text: the whole query.
        attribute: its static part such as "the person in red", or "" where it has none.
        action: its dynamic part such as "the person who waves", or "" where it has none.
        target: index of the one person meant, or None when the scene has nobody like that.
        start_frame: first frame in which the description holds (0 for an absent target).
        end_frame: the frame after the last one (0 for an absent target).
        kind: one of `KINDS`.
        shirt: the colour that was named, or None.
        act: the action that was named (a key of `VERBS`), or None.
    """

    text: str
    attribute: str
    action: str
    target: int | None
    start_frame: int
    end_frame: int
    kind: str
    shirt: str | None
    act: str | None


@dataclass(frozen=True, eq=False)
class TrueTube:
    """Where and when a target is: stamps `(N,)` ns and boxes `(N, 4)` of the frames in the span."""

    stamps_ns: NDArray[np.int64]
    boxes_xyxy_px: Boxes
    start_frame: int
    end_frame: int


def split_seed(split: str, index: int) -> int:
    """The seed of a split's scene number `index`; the splits' seeds never meet.

    Raises:
        ValueError: an unknown split, or an index outside the split's range.
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {SPLITS}, got {split!r}")
    if not 0 <= index < SPLIT_SEEDS:
        raise ValueError(f"index: expected 0 to {SPLIT_SEEDS - 1}, got {index}")
    return SPLITS.index(split) * SPLIT_SEEDS + index


def does(actions: tuple[str, ...], act: str) -> bool:
    """Whether somebody with these actions does `act`."""
    return act in actions or (act == "walk" and any(a.startswith("walk_") for a in actions))


def matching(scene: Scene, shirt: str | None, act: str | None) -> tuple[int, ...]:
    """Indices of the people with that shirt who do that; None fits everybody."""
    return tuple(
        index
        for index, person in enumerate(scene.people)
        if (shirt is None or person.shirt == shirt) and (act is None or does(person.actions, act))
    )


def spans(scene: Scene, person: int, act: str | None) -> tuple[tuple[int, int], ...]:
    """The frame ranges in which the person does `act`; the whole scene for looks and standing."""
    if act is None or act == STAND:
        return ((0, scene.frame_count),)
    acts = scene.people[person].acts
    return tuple((a.start_frame, a.end_frame) for a in acts if does((a.name,), act))


def phrased(
    rng: np.random.Generator | None, kind: str, shirt: str | None, act: str | None
) -> tuple[str, str, str]:
    """Text, attribute part and action part; the plainest wording when `rng` is None.

    Raises:
        ValueError: the kind is unknown, or lacks the shirt or the action that it names.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {KINDS}, got {kind!r}")
    if (kind != "action" and shirt is None) or (kind != "attribute" and act is None):
        raise ValueError(f"a query of kind {kind!r} needs more than shirt={shirt!r}, act={act!r}")

    def pick(options: tuple[str, ...]) -> str:
        return options[0 if rng is None else int(rng.integers(len(options)))]

    noun = pick(NOUNS)
    look = pick(LOOKS).format(noun=noun, shirt=shirt) if shirt else ""
    if kind == "attribute" or act is None:
        return look, look, ""
    verbs = VERBS[act]
    verb, ing = verbs[0 if rng is None else int(rng.integers(len(verbs)))]
    is_ing = verb if verb.startswith("is ") else f"is {ing}"
    forms: tuple[str, ...] = (
        "{} who {verb}",
        "{} who {is_ing}",
        "{} {ing}",
        "{} that {is_ing}",
    )
    if kind == "sentence":
        forms = ("{} {verb}", "{} stands, then {verb}", "{} {verb}, then stands", "{} {is_ing}")
        if act == STAND:
            forms = ("{} {verb}", "{} {is_ing}")
    form = pick(forms)

    def of(subject: str) -> str:
        return form.format(subject, verb=verb, ing=ing, is_ing=is_ing)

    if kind == "action":
        return of(noun), "", of(noun)
    text = of(look)
    if kind == "command":
        text = pick(COMMANDS).format(text)
    if kind == "sentence":
        text = text[0].upper() + text[1:] + "."
    return text, look, of(noun)


def query_for(
    scene: Scene,
    kind: str,
    shirt: str | None,
    act: str | None,
    rng: np.random.Generator | None = None,
) -> SceneQuery | None:
    """The query that names this shirt and action, or None where its answer is not unique."""
    text, attribute, action = phrased(rng, kind, shirt, act)
    people = matching(scene, shirt, act)
    if len(people) > 1:
        return None
    if not people:
        return SceneQuery(text, attribute, action, None, 0, 0, kind, shirt, act)
    found = spans(scene, people[0], act)
    if len(found) != 1:
        return None
    return SceneQuery(text, attribute, action, people[0], *found[0], kind, shirt, act)


def scene_queries(scene: Scene, seed: int | None = None) -> tuple[SceneQuery, ...]:
    """Every query with one target in the scene, and each with an absent one.

    Absent combinations are swapped ones where possible: somebody wears the shirt and somebody
    else does the action.

    Args:
        scene: what the sentences are about.
        seed: draws the wordings; None takes the plainest ones.
    """
    rng = None if seed is None else np.random.default_rng((seed, scene.seed))
    shirts = {person.shirt for person in scene.people}
    acts = {act for person in scene.people for act in person.actions}
    wanted: list[tuple[str, str | None, str | None]] = []
    for shirt in SHIRTS:
        wanted.append(("attribute", shirt, None))
    for act in (*ACTIONS, STAND, "walk"):
        wanted.append(("action", None, act))
    for kind, shirt, act in product(("combined", "command", "sentence"), SHIRTS, (*ACTIONS, STAND)):
        if shirt in shirts and act in acts:
            wanted.append((kind, shirt, act))
    found = (query_for(scene, kind, shirt, act, rng) for kind, shirt, act in wanted)
    return tuple(query for query in found if query is not None)


def true_tube(scene: Scene, query: SceneQuery) -> TrueTube:
    """Stamps and boxes of the target inside the query's span; empty for an absent target."""
    span = slice(query.start_frame, query.end_frame)
    boxes = np.zeros((0, 4), np.float32)
    if query.target is not None:
        boxes = scene.boxes_xyxy_px[query.target, span]
    return TrueTube(scene.stamps_ns[span], boxes, query.start_frame, query.end_frame)


def vocabulary() -> tuple[str, ...]:
    """Every lower-case word that a query can hold, sorted."""
    texts = [*NOUNS, *LOOKS, *COMMANDS, *SHIRTS, "who that is stands then"]
    texts += [form for forms in VERBS.values() for pair in forms for form in pair]
    words = {word for text in texts for word in re.findall(r"[a-z]+", re.sub(r"{\w*}", "", text))}
    return tuple(sorted(words))
