# SPDX-License-Identifier: Apache-2.0

"""Which measure belongs to which word: features of a command to evidence of a tube."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from stvg_ros.body import clothes, gestures, image_places, movement, poses
from stvg_ros.body import keypoints as body
from stvg_ros.body.logic import Array, smoothed
from stvg_ros.body.track import BodyTrack
from stvg_ros.commands.command import Feature
from stvg_ros.commands.wordlist import word_set

Others = Sequence[BodyTrack]
Rule = Callable[[BodyTrack, Others], Array]

_RUN_S = 1.0  # seconds after which frames are worth as much as independent ones
_MOST = 6.0  # nats that one word can give
_BRIEF_S = 0.4


@dataclass(frozen=True, eq=False)
class Measure:
    """What one feature is measured by.

    Attributes:
        text: the words of the sentence.
        rule: evidence in nats for each frame of a track, given the other tracks.
        lasts: whether it holds all the time (clothes), or for some time (gestures).
        needs: what a frame must be measured for: "boxes", "looks" (some frames do), "pose" (more
            of them), "motion" (all of them).
        never: whether the rule is against something that must not happen at any time.
    """

    text: str
    rule: Rule
    lasts: bool = False
    needs: str = "motion"
    never: bool = False

    def frames(self, track: BodyTrack, others: Others) -> Array:
        """Evidence in nats for each frame, `(F,)`; 0 where there is none."""
        nats = np.where(track.present, self.rule(track, others), 0.0)
        return np.asarray(np.nan_to_num(nats), np.float64)

    def whole(self, nats: Array, seconds: Array) -> float:
        """Evidence of a whole track, from that of its frames."""
        if self.never:
            total = -evidence_at_some_time(-nats, seconds)
        elif self.lasts:
            total = clothes.over_frames(nats)
        else:
            total = evidence_at_some_time(nats, seconds)
        return float(_MOST * np.tanh(total / _MOST))


def evidence_at_some_time(nats: Array, seconds: Array) -> float:
    """Evidence, in nats, of what happens at some time of a track, from that of its frames.

    Nobody says when it happens, so the likelihood is averaged over the times: what is seen once by
    chance in many frames counts less than what is seen most of the time, and what happens nowhere
    where the person is seen may still happen where not. The evidence of a time is the run of
    frames through it with the most evidence, or, if that is negative, its own.

    Args:
        nats: `(F,)` of the frames; 0 where nothing is known.
        seconds: `(F,)`.
    """
    if not nats.any():
        return 0.0
    usual = np.median(np.diff(seconds)) if len(seconds) > 1 else 0.1
    worth = nats * np.minimum(np.diff(seconds, append=seconds[-1] + usual), 0.5) / _RUN_S
    runs = _best_to(worth) + _best_to(worth[::-1])[::-1] - worth
    own = np.nan_to_num(smoothed(np.where(nats != 0, nats, np.nan), seconds, _BRIEF_S))
    found = np.where(runs > 0, runs, np.minimum(own, 0.0))
    top = float(found.max())
    return top + float(np.log(np.exp(found - top).mean()))


def _best_to(worth: Array) -> Array:
    """The largest sum of a run that ends with each frame, `(F,)`."""
    sums = np.cumsum(worth)
    lowest = np.minimum.accumulate(np.concatenate([[0.0], sums[:-1]]))
    return np.asarray(sums - lowest, np.float64)


def measure_of(feature: Feature, sides: str = "robocup") -> Measure | None:
    """The measure of a feature, or None if its words have none.

    Args:
        feature: of a command.
        sides: whose left and right, see `BodyConfig.sides`.
    """
    make = _KINDS.get(feature.kind)
    found = None if make is None else make(feature, sides)
    if found is None or not feature.negated:
        return found
    rule, never = found.rule, feature.kind in ("gesture", "change", "movement")
    return Measure(found.text, lambda track, others: -rule(track, others), True, found.needs, never)


def _of(rule: Callable[[BodyTrack], Array]) -> Rule:
    return lambda track, others: rule(track)


def _gesture(feature: Feature, sides: str) -> Measure | None:
    name, side = feature.name, feature.side
    rule: Callable[[BodyTrack], Array] | None = None
    if name == "raise arm":
        rule = gestures.raises_either
        if side == "both":
            rule = gestures.raises_both
        elif side in ("left", "right"):
            rule = partial(_raises_side, side=side, of_image=sides == "image")
    elif name == "wave":
        rule = gestures.waves
    elif name == "point" and side in ("left", "right"):
        rule = partial(_points_side, side=side, of_person=sides == "person")
    elif name == "point" and not side:
        rule = gestures.points_anywhere
    elif name in ("cross arms", "hand to face"):
        rule = gestures.crosses_arms if name == "cross arms" else gestures.hand_to_face
    return None if rule is None else Measure(feature.text, _of(rule))


def _raises_side(track: BodyTrack, side: str, of_image: bool) -> Array:
    left, right = gestures.raises(track, 0), gestures.raises(track, 1)
    if not of_image:
        return left if side == "left" else right
    x = track.points_px[:, :, 0]
    swapped = x[:, body.SHOULDERS[0]] > x[:, body.SHOULDERS[1]]
    return np.where(swapped == (side == "left"), right, left)


def _points_side(track: BodyTrack, side: str, of_person: bool) -> Array:
    left, right = gestures.points(track, -1), gestures.points(track, 1)
    if not of_person:
        return left if side == "left" else right
    front = poses.facing(track) >= 0
    return np.where(front == (side == "left"), right, left)


def _pose(feature: Feature, sides: str) -> Measure | None:
    if feature.name == "facing" and feature.side in ("towards", "away"):
        side = 1 if feature.side == "towards" else -1
        return Measure(feature.text, _of(partial(poses.seen_from, side=side)), needs="pose")
    if feature.name not in poses.POSES:
        return None
    return Measure(feature.text, _of(partial(poses.has_pose, name=feature.name)), needs="pose")


_CHANGES: dict[str, Callable[[BodyTrack], Array]] = {
    "sit down": poses.sits_down,
    "crouch down": poses.sits_down,
    "stand up": poses.stands_up,
    "lie down": partial(
        poses.changes, before=("standing", "sitting", "kneeling"), after=("lying",)
    ),
    "fall": poses.falls,
    "kneel down": partial(poses.changes, before=("standing",), after=("kneeling",)),
    "bend down": partial(poses.has_pose, name="bending"),
    "pick up": poses.picks_up,
    "turn round": poses.turns,
    "jump": poses.jumps,
}


_OWN_BACK = re.compile(r"\b(his|her|their|its|the) back\b")


def _change(feature: Feature, sides: str) -> Measure | None:
    rule = _CHANGES.get(feature.name)
    if feature.name == "turn":
        # Who turns the back to the camera turns away.
        way = "away" if _OWN_BACK.search(feature.text) else feature.side
        rule = partial(poses.turns, way=way) if way in ("towards", "away") else None
    return None if rule is None else Measure(feature.text, _of(rule))


_ANYWHERE = ("walk", "move", "pass", "cross")
_WAYS = ("", "left", "right", "towards", "away")


def _movement(feature: Feature, sides: str) -> Measure | None:
    name, way = feature.name, feature.side
    rule: Callable[[BodyTrack], Array] | None = None
    if name in _ANYWHERE and way in _WAYS:
        rule = partial(movement.moves, way=way)
    elif name == "run" and way in _WAYS:
        rule = partial(movement.runs, way=way)
    elif name == "stand still":
        return Measure(feature.text, _of(movement.stands_still), needs="boxes")
    elif name in ("enter", "leave"):
        rule = movement.enters if name == "enter" else movement.leaves
    return None if rule is None else Measure(feature.text, _of(rule), needs="boxes")


_UPPER, _LOWER = ("upper", "worn"), ("lower",)
_PATTERNS = word_set(
    "striped checked checkered plaid dotted spotted patterned floral flowered camouflage"
)
_PLAIN = word_set("plain solid")


def _garment(feature: Feature, sides: str) -> Measure | None:
    """Colour, pattern and sleeves of the upper, the lower or a whole garment."""
    worn = tuple(colour for colour in feature.colours if clothes.knows(colour))
    if len(worn) < len(feature.colours):
        return None
    if feature.part in ("", "whole") or feature.name == "clothes":
        regions: tuple[int, ...] = (clothes.UPPER, clothes.LOWER)
    elif feature.part in _UPPER:
        regions = (clothes.UPPER,)
    elif feature.part in _LOWER:
        regions = (clothes.LOWER,)
    else:
        return None
    rules: list[Callable[[BodyTrack], Array]] = []
    if feature.name == "jeans" and not worn:
        worn = ("blue",)
    if worn:
        whole = feature.part == "whole" and feature.name not in ("coat", "clothes")
        rules.append(partial(_worn, regions=regions, colours=worn, whole=whole))
    if _PATTERNS & {*feature.details}:
        rules.append(partial(clothes.patterned, region=regions[0]))
    if _PLAIN & {*feature.details}:
        rules.append(lambda track: -clothes.patterned(track, regions[0]))
    rules += _length(feature, regions)
    if not rules:
        return None
    return Measure(
        feature.text, _of(lambda track: sum_of(rule(track) for rule in rules)), True, "looks"
    )


def _length(feature: Feature, regions: tuple[int, ...]) -> list[Callable[[BodyTrack], Array]]:
    """Rules for sleeves and trouser legs, by their lengths in words."""
    said = {*feature.details}
    if said & {"short sleeves", "sleeveless"}:
        return [partial(clothes.bare, region=clothes.FOREARMS)]
    if "long sleeves" in said:
        return [lambda track: -clothes.bare(track, clothes.FOREARMS)]
    if feature.name in ("shorts", "skirt") and regions == (clothes.LOWER,):
        return [partial(clothes.bare, region=clothes.SHINS)]
    if "long" in said and regions == (clothes.LOWER,):
        return [lambda track: -clothes.bare(track, clothes.SHINS)]
    return []


def _worn(
    track: BodyTrack, regions: tuple[int, ...], colours: tuple[str, ...], whole: bool
) -> Array:
    """Colours of a garment that covers one region, both ("dress"), or one that is not said."""
    parts = [clothes.wears(track, region, colours) for region in regions]
    if len(parts) == 1:
        return parts[0]
    if whole:
        return np.where(parts[1] == 0, parts[0], 0.65 * (parts[0] + parts[1]))
    # "in red" is said of a red shirt, and less often of red trousers.
    if len(colours) > 1:
        split = [
            sum_of(
                clothes.wears(track, region, (one,))
                for region, one in zip(regions, order, strict=True)
            )
            / 2
            for order in (colours[:2], colours[1::-1])
        ]
        parts += split
        return np.asarray(np.max(parts, axis=0), np.float64)
    return np.maximum(parts[0], parts[1] - 1.0)


def sum_of(parts: object) -> Array:
    """The sum of arrays."""
    return np.asarray(np.sum(list(parts), axis=0), np.float64)  # type: ignore[call-overload]


def _hair(feature: Feature, sides: str) -> Measure | None:
    if feature.name == "bald":
        return Measure(feature.text, _of(clothes.bald), True, "looks")
    if feature.name not in ("hair", "ponytail", "braids", "bun", "curls") or not feature.colours:
        return None
    if not all(clothes.knows(colour) for colour in feature.colours):
        return None
    rule = partial(clothes.hair_is, colour=feature.colours[0])
    return Measure(feature.text, _of(rule), True, "looks")


def _place(feature: Feature, sides: str) -> Measure | None:
    name, outermost = feature.name, feature.text.split()[:1]
    rule: Rule | None = None
    if name == "ordinal" and feature.side in ("left", "right") and feature.details:
        rule = partial(image_places.counted, side=feature.side, rank=int(feature.details[0]))
    elif outermost in (["leftmost"], ["rightmost"]):
        rule = partial(image_places.counted, side=feature.side, rank=1)
    elif name in ("left", "right", "middle"):
        rule = _of(partial(image_places.in_image, name=name))
    elif name in image_places.PLACES:
        rule = partial(image_places.among, name=name)
    return None if rule is None else Measure(feature.text, rule, True, "boxes")


_SIZES = {"tall": "tallest", "short": "shortest", "big": "biggest", "small": "smallest"}


def _size(feature: Feature, sides: str) -> Measure | None:
    name = _SIZES.get(feature.name, feature.name)
    if name not in image_places.RANKS:
        return None
    return Measure(feature.text, partial(image_places.among, name=name), True, "boxes")


_KINDS: dict[str, Callable[[Feature, str], Measure | None]] = {
    "gesture": _gesture,
    "pose": _pose,
    "change": _change,
    "movement": _movement,
    "garment": _garment,
    "hair": _hair,
    "place": _place,
    "size": _size,
}
