# SPDX-License-Identifier: Apache-2.0

"""The wordings of the hard splits: one set for training and calibration, another for the test.

No template of one set is in the other one, or in the plain scenes that are trained beside it.
Every word of the test's occurs in one of these: another way to say it is tested, not another word.
In templates, `{noun}` is a person, `{a}` the article of the word that follows, `{who}` a whole
description.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stvg_lab.rendered.garments import GARMENTS
from stvg_lab.rendered.hard.things import KINDS
from stvg_lab.rendered.scene_generator import COLOURS

NOUNS = ("the person", "a person", "someone", "somebody")
Verb = tuple[str, str]  # third person and -ing form


@dataclass(frozen=True)
class Wordings:
    """The templates of a set of splits; each entry has several, of which one is drawn.

    Attributes:
        colours: for a colour of clothes.
        garments: for a garment with its colour.
        plain_garments: for a garment without one.
        bags: for a bag.
        verbs: by pose or doing; those of things have `{thing}`.
        clauses: `{who}` with `{verb}`, `{ing}` or `{is_ing}`.
        sentences: the same, as whole sentences.
        relations: `{noun}` and `{who}`; between also has `{other}`.
        ranks: `{look}` is a description without its noun, after "person".
        things: by what happens to a thing; `{who}` holds it.
        counts: `{rest}` is what people are or do, "wear a red coat".
        plurals: by pose or doing, for `counts`; "worn" for a garment.
    """

    colours: tuple[str, ...]
    garments: tuple[str, ...]
    plain_garments: tuple[str, ...]
    bags: tuple[str, ...]
    verbs: dict[str, tuple[Verb, ...]]
    clauses: tuple[str, ...]
    sentences: tuple[str, ...]
    relations: dict[str, tuple[str, ...]]
    ranks: dict[str, tuple[str, ...]]
    things: dict[str, tuple[str, ...]]
    counts: tuple[str, ...]
    plurals: dict[str, tuple[str, ...]]

    def templates(self) -> set[str]:
        """All templates."""
        found = {*self.colours, *self.garments, *self.plain_garments, *self.bags, *self.clauses}
        found |= {*self.sentences, *self.counts}
        for each in (self.relations, self.ranks, self.things, self.plurals):
            found |= {template for several in each.values() for template in several}
        return found | {form for verbs in self.verbs.values() for pair in verbs for form in pair}

    def words(self) -> set[str]:
        """All lower-case words of sentences, those that fill the templates included."""
        texts = [re.sub(r"{\w+}", " ", text) for text in self.templates()]
        texts += [*NOUNS, *COLOURS, *GARMENTS, *KINDS, "an", "backpack", "handbag", "is"]
        return {word for text in texts for word in re.findall(r"[a-z]+", text.lower())}


def _both(*forms: str) -> tuple[Verb, ...]:
    """Pairs of forms from "raises|raising the left arm"."""
    pairs = []
    for form in forms:
        first, _, rest = form.partition("|")
        word, _, tail = rest.partition(" ")
        tail = f" {tail}" if tail else ""
        pairs.append((first + tail, word + tail))
    return tuple(pairs)


TRAINING = Wordings(
    colours=("{noun} in {colour}", "{noun} wearing {colour}", "{noun} that wears {colour}"),
    garments=(
        "{noun} in the {colour} {garment}",
        "{noun} wearing {a} {colour} {garment}",
        "{noun} with the {colour} {garment}",
        "{noun} dressed in {a} {colour} {garment}",
    ),
    plain_garments=("{noun} wearing {a} {garment}", "{noun} in the {garment}"),
    bags=("{noun} with a {bag}", "{noun} who has a {bag}", "{noun} with the {bag} on"),
    verbs={
        "raise left arm": _both("raises|raising the left arm", "lifts|lifting the left arm",
                                "raises|raising their left hand"),
        "raise right arm": _both("raises|raising the right arm", "lifts|lifting the right arm",
                                 "raises|raising their right hand"),
        "raise both arms": _both("raises|raising both arms", "raises|raising both hands"),
        "point left": _both("points|pointing left", "points|pointing at the left side"),
        "point right": _both("points|pointing right", "points|pointing at the right side"),
        "wave": _both("waves|waving", "waves|waving a hand"),
        "cross arms": _both("crosses|crossing the arms", "folds|folding the arms"),
        "drink": _both("drinks|drinking", "drinks|drinking from a cup"),
        "standing": _both("stands|standing", "stands|standing upright"),
        "sitting": _both("sits|sitting", "sits|sitting on a chair")
        + (("is seated on a chair", "seated on a chair"),),
        "lying": _both("lies|lying", "lies|lying on the floor"),
        "kneeling": _both("kneels|kneeling", "stays|staying on the knees"),
        "sit down": _both("sits|sitting down", "takes|taking a seat"),
        "stand up": _both("stands|standing up", "gets|getting up"),
        "fall": _both("falls|falling", "falls|falling down"),
        "turn": _both("turns|turning around", "turns|turning the back to the camera",
                      "looks|looking away"),
        "jump": _both("jumps|jumping", "jumps|jumping up and down"),
        "walk left": _both("walks|walking left", "goes|going left",
                           "moves|moving to the left side"),
        "walk right": _both("walks|walking right", "goes|going right",
                            "moves|moving to the right side"),
        "enter": _both("enters|entering", "comes|coming in", "comes|coming into the picture"),
        "leave": _both("leaves|leaving", "walks|walking out of the picture",
                       "leaves|leaving the room"),
        "holds": _both("holds|holding {thing}") + (
            ("has {thing} in the hands", "with {thing} in the hands"),),
        "carry": _both("carries|carrying {thing}"),
        "pick up": _both("picks|picking up {thing}", "takes|taking {thing} from the floor"),
        "put down": _both("puts|putting down {thing}", "puts|putting {thing} on the ground"),
    },
    clauses=("{who} who {verb}", "{who} who {is_ing}", "{who} that {verb}"),
    sentences=("{who} {verb}", "{who} is in the room and {verb}", "there is {who} who {verb}"),
    relations={
        "left of": ("{noun} left of {who}", "{noun} to the left of {who}"),
        "right of": ("{noun} right of {who}", "{noun} to the right of {who}"),
        "between": ("{noun} between {who} and {other}",),
        "in front of": ("{noun} in front of {who}",),
        "behind": ("{noun} behind {who}",),
    },
    ranks={
        "first": ("the person {look} who {verb} first",),
        "last": ("the person {look} who {verb} last",),
    },
    things={
        "": ("the {colour} {kind} on the floor", "the {colour} {kind} that is there"),
        "pick up": ("the {colour} {kind} that is picked up",),
        "put down": ("the {colour} {kind} that is put down",),
        "held": ("the {kind} that {who} holds",),
    },
    counts=("how many people {rest}", "count the people who {rest}"),
    plurals={
        "worn": ("wear {a} {colour} {garment}", "are in {a} {colour} {garment}"),
        "raise left arm": ("raise the left arm",), "raise right arm": ("raise the right arm",),
        "point left": ("point left",), "point right": ("point right",), "wave": ("wave",),
        "sitting": ("sit",), "lying": ("lie",), "kneeling": ("kneel",), "drink": ("take a drink",),
        "jump": ("jump",),
    },
)  # fmt: skip

TEST = Wordings(
    colours=("{noun} wearing {colour} clothes", "{noun} who wears {colour}"),
    garments=(
        "{noun} who wears {a} {colour} {garment}",
        "{noun} in {a} {colour} {garment}",
        "{noun} who has {a} {colour} {garment} on",
    ),
    plain_garments=("{noun} in {a} {garment}", "{noun} who has {a} {garment} on"),
    bags=("{noun} with a {bag} on", "{noun} that has a {bag} on"),
    verbs={
        "raise left arm": _both("raises|raising their left arm", "holds|holding the left arm up",
                                "puts|putting the left hand up"),
        "raise right arm": _both("raises|raising their right arm",
                                 "holds|holding the right arm up",
                                 "puts|putting the right hand up"),
        "raise both arms": _both("holds|holding both arms up", "lifts|lifting both hands"),
        "point left": _both("points|pointing to the left"),
        "point right": _both("points|pointing to the right"),
        "wave": _both("waves|waving at the camera", "waves|waving with a hand"),
        "cross arms": _both("crosses|crossing both arms", "folds|folding their arms"),
        "drink": _both("takes|taking a drink", "drinks|drinking from the cup"),
        "standing": _both("stands|standing on the floor", "stays|staying upright"),
        "sitting": (("is sitting", "sitting there"), ("is seated", "seated"))
        + _both("sits|sitting on the chair"),
        "lying": _both("lies|lying on the ground", "lies|lying down on the floor"),
        "kneeling": _both("kneels|kneeling on the floor", "kneels|kneeling on the ground"),
        "sit down": _both("sits|sitting down on a chair", "takes|taking a seat on the chair"),
        "stand up": _both("stands|standing up from the chair", "gets|getting up from a chair"),
        "fall": _both("falls|falling to the floor", "falls|falling on the ground"),
        "turn": _both("turns|turning their back to the camera",
                      "turns|turning away from the camera"),
        "jump": _both("jumps|jumping up", "jumps|jumping from the floor"),
        "walk left": _both("walks|walking to the left side", "goes|going to the left"),
        "walk right": _both("walks|walking to the right side", "goes|going to the right"),
        "enter": _both("enters|entering the room", "comes|coming into the room"),
        "leave": _both("leaves|leaving the picture", "goes|going out of the room"),
        "holds": _both("holds|holding {thing} in the hands"),
        "carry": _both("walks|walking with {thing} in the hands"),
        "pick up": _both("picks|picking {thing} up", "lifts|lifting {thing} from the floor"),
        "put down": _both("puts|putting {thing} down", "puts|putting {thing} on the floor"),
    },
    clauses=("{who} {ing}", "{who} that {is_ing}"),
    sentences=("in the room {who} {verb}", "{who} is there and {verb}"),
    relations={
        "left of": ("{noun} who is left of {who}", "{noun} at the left side of {who}"),
        "right of": ("{noun} who is right of {who}", "{noun} at the right side of {who}"),
        "between": ("{noun} who is between {who} and {other}",),
        "in front of": ("{noun} who is in front of {who}",),
        "behind": ("{noun} who is behind {who}",),
    },
    ranks={
        "first": ("the first person {look} who {verb}",),
        "last": ("the last person {look} who {verb}",),
    },
    things={
        "": ("the {colour} {kind}", "the {colour} {kind} that is on the floor"),
        "pick up": ("the {colour} {kind} that a person picks up",),
        "put down": ("the {colour} {kind} that a person puts down",),
        "held": ("the {kind} in the hands of {who}",),
    },
    counts=("how many people are there who {rest}",),
    plurals={
        "worn": ("wear the {colour} {garment}", "are dressed in {a} {colour} {garment}"),
        "raise left arm": ("raise their left arm",), "raise right arm": ("raise their right arm",),
        "point left": ("point to the left",), "point right": ("point to the right",),
        "wave": ("wave at the camera",), "sitting": ("sit on a chair",),
        "lying": ("lie on the floor",), "kneeling": ("kneel on the floor",),
        "drink": ("take a drink from the cup",), "jump": ("jump up",),
    },
)  # fmt: skip
