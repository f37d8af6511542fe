# SPDX-License-Identifier: Apache-2.0

"""Random people of a scene: clothes, positions and actions."""

from __future__ import annotations

import numpy as np

from stvg_lab.rendered.character import CARTON_REACH, Appearance, Rgb
from stvg_lab.rendered.person import ACTIONS, LIFTS, Act, Person
from stvg_lab.rendered.room import varied

MOST_PEOPLE = 6
SHIRTS: dict[str, Rgb] = {
    "red": (200, 38, 40),
    "blue": (40, 75, 205),
    "green": (38, 150, 60),
    "yellow": (230, 210, 45),
    "purple": (130, 48, 165),
    "orange": (238, 128, 30),
    "white": (238, 238, 236),
    "black": (28, 28, 32),
}
# Those of clothes in all splits; scenes of people who act have no gray shirts.
COLOURS: dict[str, Rgb] = {**SHIRTS, "gray": (128, 128, 130)}

_COUNTS = (0.28, 0.28, 0.24, 0.1, 0.1)  # probabilities of 2, 3, ... 6 people
_TROUSERS: tuple[Rgb, ...] = ((70, 74, 82), (96, 84, 70), (58, 66, 92), (128, 122, 112))
_SKIN: tuple[Rgb, ...] = ((236, 196, 168), (214, 166, 130), (160, 110, 80), (104, 70, 52))
_HAIR: tuple[Rgb, ...] = ((32, 26, 24), (84, 56, 36), (150, 112, 62), (120, 120, 122))
_HATS: tuple[Rgb, ...] = ((52, 48, 50), (150, 60, 60), (60, 90, 130), (222, 214, 190))
_BAGS: tuple[Rgb, ...] = ((96, 62, 40), (36, 36, 40), (226, 96, 150), (64, 150, 150))
_ALONE = tuple(name for name in ACTIONS if name != "meet")
_IN_PLACE = ("wave", "jump", "sit", "turn")
_EDGE = 0.06  # minimum distance to the sides of the image, as a share of its width
_GREETING = 0.42  # half the distance between two people who shake hands, body heights


def draw_cast(
    rng: np.random.Generator, people: int | None, frames: int, width: int, height: int
) -> tuple[Person, ...]:
    """Draws the people. Two with one shirt never share an action; at least one person acts."""
    count = 2 + int(rng.choice(len(_COUNTS), p=_COUNTS)) if people is None else people
    while True:
        cast = _drawn(rng, count, frames, width, height)
        clash = any(
            first.shirt == second.shirt and set(first.actions) & set(second.actions)
            for index, first in enumerate(cast)
            for second in cast[:index]
        )
        if not clash and any(person.acts for person in cast):
            return cast


def _drawn(
    rng: np.random.Generator, count: int, frames: int, width: int, height: int
) -> tuple[Person, ...]:
    depths = (rng.permutation(count) + rng.uniform(0, 0.8, count)) / count
    places = (np.arange(count) + 0.5 + rng.uniform(-0.22, 0.22, count)) / count
    sizes = 0.34 + 0.1 * depths + rng.uniform(0, 0.05, count)
    sizes *= 1 - 0.06 * max(0, count - 4)
    x_px = ((_EDGE + 0.01) + (0.98 - 2 * _EDGE) * places) * width
    acts: list[tuple[Act, ...]] = [()] * count
    met: tuple[int, ...] = ()
    if count > 1 and rng.random() < 0.33:
        first = int(rng.integers(count - 1))
        met = (first, first + 1)
        depths[first + 1] = depths[first] + rng.uniform(-0.08, 0.08)
        sizes[first + 1] = sizes[first] * rng.uniform(0.94, 1.06)
        gap_px = _GREETING * height * (sizes[first] + sizes[first + 1])
        pair = _meeting(rng, frames, x_px[first : first + 2], gap_px, width)
        acts[first], acts[first + 1] = pair
    shirts: list[str] = []
    for index in range(count):
        shirts.append(str(rng.choice(tuple(SHIRTS))))
        if index and rng.random() < 0.3:
            shirts[index] = shirts[rng.integers(index)]
    at = x_px.copy()
    people = []
    for index in range(count):
        tall = height * float(sizes[index])
        if index not in met:
            others = [float(x) for i, x in enumerate(at) if i != index]
            acts[index] = _acts(rng, _plan(rng), frames, float(x_px[index]), others, width)
        if acts[index]:
            at[index] = acts[index][-1].to_x_px
        lifted, box_side = _with_carton(rng, acts[index], tall, width)
        people.append(
            Person(
                shirt=shirts[index],
                look=draw_look(rng, shirts[index]),
                height_px=tall,
                x_px=float(x_px[index]),
                ground_y_px=height * float(0.74 + 0.2 * np.clip(depths[index], 0, 1)),
                phase=float(rng.uniform(0, 6)),
                acts=lifted,
                bag_side=int(rng.choice((-1, 1))),
                box_side=box_side,
            )
        )
    return tuple(people[i] for i in rng.permutation(count))


def draw_look(rng: np.random.Generator, shirt: str) -> Appearance:
    """Draws clothes with a shirt of this one of `COLOURS`, skin, hair, hat and bag."""

    def one_of(colours: tuple[Rgb, ...], spread: float) -> Rgb:
        return varied(rng, colours[rng.integers(len(colours))], spread)

    bag = str(rng.choice(("backpack", "handbag"))) if rng.random() < 0.35 else None
    worn = varied(rng, COLOURS[shirt], 14)
    apart = tuple(rgb for rgb in _BAGS if np.abs(np.subtract(rgb, worn)).sum() > 150)
    return Appearance(
        shirt_rgb=worn,
        trousers_rgb=one_of(_TROUSERS, 10),
        skin_rgb=one_of(_SKIN, 10),
        hair_rgb=one_of(_HAIR, 8),
        long_hair=bool(rng.random() < 0.4),
        hat_rgb=one_of(_HATS, 10) if rng.random() < 0.2 else None,
        bag=bag,
        bag_rgb=one_of(apart, 8),
    )


def _plan(rng: np.random.Generator) -> tuple[str, ...]:
    """Names of the zero, one or two actions of a person, in order.

    A person with a carton does nothing else: putting down comes first, lifting last.
    """
    count = int(rng.choice(3, p=(0.2, 0.5, 0.3)))
    names = [_ALONE[i] for i in rng.permutation(len(_ALONE))][:count]
    if set(LIFTS) <= set(names):
        names = names[:1]
    order = {"put_down": 0, "pick_up": 2}
    return tuple(sorted(names, key=lambda name: order.get(name, 1)))


def _acts(
    rng: np.random.Generator,
    names: tuple[str, ...],
    frames: int,
    x_px: float,
    others_px: list[float],
    width: int,
) -> tuple[Act, ...]:
    """Places the actions in time (disjoint, inside the window) and the walks in space."""
    acts: list[Act] = []
    part = frames / max(len(names), 1)
    for index, name in enumerate(names):
        low, high = (0.25, 0.5) if len(names) == 1 else (0.55, 0.8)
        length = max(4, round(part * rng.uniform(low, high)))
        margin = max(1, frames // 40)
        first = round(part * index) + margin
        latest = round(part * (index + 1)) - length - margin
        start = int(rng.integers(first, max(first + 1, latest)))
        to_x_px = x_px
        if name.startswith("walk"):
            to_x_px = _walk_end(rng, name, x_px, others_px, width)
            if abs(to_x_px - x_px) < 0.2 * width:
                continue
        acts.append(Act(name, start, start + length, to_x_px, int(rng.choice((-1, 1)))))
        x_px = to_x_px
    return tuple(acts)


def _walk_end(
    rng: np.random.Generator, name: str, x_px: float, others_px: list[float], width: int
) -> float:
    """End of a walk: far from its start and, if there is room, not behind another person."""
    low, high = (_EDGE * width, x_px - 0.28 * width)
    if name == "walk_right":
        low, high = (x_px + 0.28 * width, (1 - _EDGE) * width)
    if high <= low:
        return (_EDGE if name == "walk_left" else 1 - _EDGE) * width
    ends = rng.uniform(low, high, 8)
    gaps = [min([abs(end - other) for other in others_px] or [width]) for end in ends]
    return float(ends[int(np.argmax(gaps))])


def _meeting(
    rng: np.random.Generator,
    frames: int,
    x_px: np.ndarray[tuple[int], np.dtype[np.float64]],
    gap_px: float,
    width: int,
) -> tuple[tuple[Act, ...], tuple[Act, ...]]:
    """Actions of two neighbours who shake hands; changes their positions, `(2,)`.

    If the room is wide enough, one of them walks to the other first. Otherwise they stand side by
    side from the start.
    """
    edge = _EDGE * width
    start, length = round(frames * rng.uniform(0.5, 0.62)), round(frames * rng.uniform(0.2, 0.32))
    walker = int(rng.integers(2))
    way = 1 - 2 * walker  # the left person walks to the right
    stays = float(np.clip(x_px[1 - walker], edge + gap_px, width - edge - gap_px))
    goal = stays - way * gap_px
    room = goal - edge if way > 0 else width - edge - goal
    walks = room > 0.22 * width and rng.random() < 0.6
    x_px[1 - walker], x_px[walker] = stays, goal
    early = [rng.random() < 0.35, rng.random() < 0.35]
    if walks:
        x_px[walker] = goal - way * rng.uniform(0.22 * width, room)
        early = [index != walker and before for index, before in enumerate(early)]
    elif not any(early):
        start = round(frames * rng.uniform(0.06, 0.6))
    pair = []
    for index in range(2):
        acts: list[Act] = []
        name = ("walk_right" if way > 0 else "walk_left") if walks and index == walker else None
        if early[index]:
            name = str(rng.choice(_IN_PLACE))
        to_x_px = goal if index == walker else stays
        if name is not None:
            lasts = max(4, round(start * rng.uniform(0.5, 0.8)))
            first = int(rng.integers(1, max(2, start - lasts)))
            acts.append(Act(name, first, first + lasts, to_x_px, int(rng.choice((-1, 1)))))
        acts.append(Act("meet", start, start + length, to_x_px, 1 - 2 * index))
        pair.append(tuple(acts))
    return pair[0], pair[1]


def _with_carton(
    rng: np.random.Generator, acts: tuple[Act, ...], tall_px: float, width: int
) -> tuple[tuple[Act, ...], int]:
    """The actions with the carton on a side with enough room in the image, and that side."""
    lift = next((act for act in acts if act.name in LIFTS), None)
    if lift is None:
        idle = not any(act.name.startswith("walk") for act in acts)
        return acts, int(rng.choice((-1, 1))) if idle and rng.random() < 0.15 else 0
    side = lift.side
    # Neither action moves the feet.
    carton_px = lift.to_x_px + side * (CARTON_REACH + 0.1) * tall_px
    if not 0 < carton_px < width:
        side = -side
    changed = Act(lift.name, lift.start_frame, lift.end_frame, lift.to_x_px, side)
    return tuple(changed if act is lift else act for act in acts), side
