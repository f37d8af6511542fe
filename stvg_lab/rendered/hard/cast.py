# SPDX-License-Identifier: Apache-2.0

"""Random people and things of a hard scene: places, clothes, poses, and what is done when."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stvg_lab.rendered.garments import GARMENTS
from stvg_lab.rendered.hard.actor import (
    KNEELING,
    LYING,
    SITTING,
    STANDING,
    WALKS,
    Actor,
    Doing,
)
from stvg_lab.rendered.hard.plans import MIRRORED, TWIN_DOINGS, draw_plan
from stvg_lab.rendered.hard.scene_conditions import CROWD, ENTERING, FAR, TWINS
from stvg_lab.rendered.hard.things import Thing, reached_place
from stvg_lab.rendered.room import varied
from stvg_lab.rendered.scene_generator import COLOURS, draw_look

_TALL = 1.13  # body heights for a pixel from the vanishing line down to the feet
_POSES = ((STANDING, 0.64), (SITTING, 0.2), (KNEELING, 0.08), (LYING, 0.08))
_HELD = (("", 0.68), ("cup", 0.18), ("ball", 0.07), ("box", 0.07))
_AWAY = 0.12
_SAME_COLOUR, _SAME_GARMENT = 0.35, 0.25  # as somebody else, for each person
_MIRROR = 0.6  # probability that somebody does what another does, to the other side
_HANDLED = 0.6  # probability that somebody picks up or puts down a box
_BOX, _ENDS = ("pick up", "put down"), ("fall", "sit down")
_OUTSIDE = 0.5  # body heights from the edge to the feet of a person of whom nothing is seen
_EDGE = 0.07  # least distance to the sides, image widths
_COMES, _GOES = 0.5, 0.45  # probabilities in scenes where people enter and leave
_CHANGE_S = (1.2, 2.2)  # length of a change of pose
_LASTING_S = (1.6, 3.2)  # of anything else


@dataclass(frozen=True)
class HardCast:
    """The people and things.

    Attributes:
        vanishing_px: y of the line on which the floor vanishes.
    """

    actors: tuple[Actor, ...]
    things: tuple[Thing, ...]
    vanishing_px: float


def draw_cast(
    rng: np.random.Generator,
    names: tuple[str, ...],
    frames: int,
    fps: float,
    size_px: tuple[int, int],
    people: int | None = None,
) -> HardCast:
    """Draws the people and things of a scene in these conditions."""
    width, height = size_px
    count = int(rng.integers(6, 11)) if CROWD in names else int(rng.integers(3, 7))
    count = count if people is None else people
    vanishing = float(rng.uniform(0.34, 0.4)) * height
    actors = _placed(rng, count, vanishing, names, size_px)
    plans = [draw_plan(rng, actor) for actor in actors]
    _mirror(rng, actors, plans)
    _handle_box(rng, actors, plans)
    timed: list[Actor] = []
    for index, (actor, plan) in enumerate(zip(actors, plans, strict=True)):
        clock = _Clock(rng, frames, fps, width)
        others = [other.x_px for at, other in enumerate(actors) if at != index]
        timed.append(clock.timed(actor, plan, others))
    if ENTERING in names:
        timed = _with_entrances(rng, timed, frames, fps, width)
    if TWINS in names:
        timed[:2] = _twins(rng, timed[0], timed[1], frames, fps)
    return HardCast(tuple(timed), _things(rng, timed, vanishing, size_px), vanishing)


def _placed(
    rng: np.random.Generator,
    count: int,
    vanishing: float,
    names: tuple[str, ...],
    size_px: tuple[int, int],
) -> list[Actor]:
    """People at places of their own, in clothes and poses, without anything to do."""
    width, height = size_px
    near, far = (0.2, 0.14) if FAR in names else (0.46, 0.22) if CROWD in names else (0.5, 0.24)
    depths = (rng.permutation(count) + rng.uniform(0, 0.9, count)) / count
    places = (np.arange(count) + 0.5 + rng.uniform(-0.3, 0.3, count)) / count
    actors: list[Actor] = []
    for index in range(count):
        below = float(far + (near - far) * depths[index]) * height
        colour, garment = str(rng.choice(tuple(COLOURS))), str(rng.choice(GARMENTS))
        if index and rng.random() < _SAME_COLOUR:
            colour = actors[int(rng.integers(index))].colour
        if index and rng.random() < _SAME_GARMENT:
            garment = actors[int(rng.integers(index))].garment
        pose, held = _weighted(rng, _POSES), _weighted(rng, _HELD)
        away = pose == STANDING and not held and bool(rng.random() < _AWAY)
        if pose in (LYING, KNEELING) or (pose == SITTING and held == "box"):
            held = ""
        look = replace(draw_look(rng, colour), hat_rgb=None, garment=garment)
        if pose != STANDING:
            look = replace(look, bag=None)
        actors.append(
            Actor(
                colour=colour, look=look, height_px=_TALL * below * float(rng.uniform(0.94, 1.05)),
                x_px=float(_EDGE + (1 - 2 * _EDGE) * places[index]) * width,
                ground_y_px=vanishing + below, phase=float(rng.uniform(0, 6)), first_pose=pose,
                away=away, lying_side=int(rng.choice((-1, 1))), holds=held,
                hand=int(rng.choice((-1, 1))),
            )
        )  # fmt: skip
    return [actors[at] for at in rng.permutation(count)]


def _weighted(rng: np.random.Generator, options: tuple[tuple[str, float], ...]) -> str:
    return str(rng.choice([name for name, _ in options], p=[share for _, share in options]))


def _mirror(rng: np.random.Generator, actors: list[Actor], plans: list[tuple[str, ...]]) -> None:
    """Lets somebody with free hands do what another does, to the other side; changes `plans`."""
    sided = [i for i, plan in enumerate(plans) if set(plan) & set(MIRRORED)]
    if not sided or rng.random() >= _MIRROR:
        return
    first = sided[int(rng.integers(len(sided)))]
    name = next(name for name in plans[first] if name in MIRRORED)
    free = [
        i for i, actor in enumerate(actors)
        if i != first and not actor.holds and actor.first_pose in (STANDING, SITTING)
        and not set(plans[i]) & {"fall", "sit down", "pick up"}
    ]  # fmt: skip
    if free:
        other = free[int(rng.integers(len(free)))]
        plans[other] = (*plans[other][:1], MIRRORED[name])
        if plans[other][0] in (MIRRORED[name], name):
            plans[other] = plans[other][1:]


def _handle_box(
    rng: np.random.Generator, actors: list[Actor], plans: list[tuple[str, ...]]
) -> None:
    """Lets somebody who stands pick up or put down a box; changes `actors` and `plans`."""
    able = [
        i for i, actor in enumerate(actors)
        if actor.first_pose == STANDING and not actor.away and not actor.holds
        and not set(plans[i]) & {*_ENDS, *MIRRORED}
    ]  # fmt: skip
    chance = rng.random()
    if not able or chance >= _HANDLED or any({*plan} & {*_BOX} for plan in plans):
        return
    index = able[int(rng.integers(len(able)))]
    if chance < _HANDLED / 2:
        plans[index] = (*plans[index][:1], "pick up")
    else:
        actors[index] = replace(actors[index], holds="box")
        plans[index] = ("put down",)


class _Clock:
    """Places what a person does in time, and walks in space."""

    def __init__(self, rng: np.random.Generator, frames: int, fps: float, width: int) -> None:
        self._rng, self._frames, self._fps, self._width = rng, frames, fps, width

    def timed(self, actor: Actor, plan: tuple[str, ...], others_px: list[float]) -> Actor:
        """The person with the doings of a plan, one after another inside the video."""
        rng, x = self._rng, actor.x_px
        part = self._frames / max(len(plan), 1)
        doings: list[Doing] = []
        for index, name in enumerate(plan):
            length = self._length(name, part)
            first = round(part * index) + max(1, self._frames // 40)
            latest = round(part * (index + 1)) - length - max(1, self._frames // 40)
            start = int(rng.integers(first, max(first + 1, latest)))
            to_x = x
            if name in WALKS:
                to_x = self._walk_end(name, x, others_px)
                if abs(to_x - x) < 0.18 * self._width:
                    continue
            doings.append(Doing(name, start, start + length, self._side(actor, name, x), to_x))
            x = to_x
        takes = "box" if any(doing.name == "pick up" for doing in doings) else ""
        return replace(actor, doings=tuple(doings), takes=takes)

    def _length(self, name: str, part: float) -> int:
        low, high = _CHANGE_S if name in ("sit down", "stand up", "fall") else _LASTING_S
        return max(
            6, min(round(0.8 * part), round(float(self._rng.uniform(low, high)) * self._fps))
        )

    def _side(self, actor: Actor, name: str, x: float) -> int:
        """The side in the image of the arm that acts, or of a box."""
        if name == "raise left arm":
            return actor.own_left
        if name == "raise right arm":
            return -actor.own_left
        if name in ("point left", "point right"):
            return -1 if name == "point left" else 1
        if name == "drink":
            return actor.hand
        side = int(self._rng.choice((-1, 1)))
        if name in ("pick up", "put down"):
            reach = side * 0.5 * actor.height_px
            return side if 0 < x + reach < self._width else -side
        return side

    def _walk_end(self, name: str, x: float, others_px: list[float]) -> float:
        low, high = _EDGE * self._width, x - 0.2 * self._width
        if name == "walk right":
            low, high = x + 0.2 * self._width, (1 - _EDGE) * self._width
        if high <= low:
            return x
        ends = self._rng.uniform(low, high, 6)
        gaps = [min([abs(end - other) for other in others_px] or [self._width]) for end in ends]
        return float(ends[int(np.argmax(gaps))])


def _with_entrances(
    rng: np.random.Generator, actors: list[Actor], frames: int, fps: float, width: int
) -> list[Actor]:
    """Some of those who stand come in before anything else, or leave at the end."""
    able = [i for i, a in enumerate(actors) if a.poses == ((STANDING, 0.0),)]
    sure = able[int(rng.integers(len(able)))] if able else -1
    for index in able:
        comes, goes = rng.random(2) < (_COMES, _GOES)
        comes = comes or (index == sure and not goes)
        actor = actors[index]
        doings = [d for d in actor.doings if d.name not in WALKS]
        doings = [replace(d, to_x_px=actor.x_px) for d in doings][:1]
        from_left = actor.x_px < width / 2
        beyond = _OUTSIDE * actor.height_px
        outside = -beyond if from_left else width + beyond
        seconds = abs(outside - actor.x_px) / max(1.0, 0.75 * actor.height_px)
        lasts = max(8, min(round(0.32 * frames), round(seconds * fps)))
        early, late = (frames // 40, frames // 40 + lasts), (frames - lasts - 2, frames - 2)
        if comes:
            name = "walk right" if from_left else "walk left"
            doings = [Doing(name, *early, 1, actor.x_px), *_fitted(doings, early[1], frames)]
            actor = replace(actor, x_px=outside)
        if goes:
            name = "walk left" if from_left else "walk right"
            kept = [d for d in doings if d.end_frame < late[0]]
            doings = [*kept, Doing(name, *late, 1, outside)]
        takes = "box" if any(d.name == "pick up" for d in doings) else ""
        actors[index] = replace(actor, doings=tuple(doings), takes=takes)
    return actors


def _fitted(doings: list[Doing], after: int, frames: int) -> list[Doing]:
    """The doings moved behind a frame, if there is room."""
    moved = []
    for doing in doings:
        late = max(0, after + 2 - doing.start_frame)
        if doing.end_frame + late < frames - 1:
            start, end = doing.start_frame + late, doing.end_frame + late
            moved.append(replace(doing, start_frame=start, end_frame=end))
    return moved


def _twins(
    rng: np.random.Generator, first: Actor, second: Actor, frames: int, fps: float
) -> list[Actor]:
    """Two people of one colour and garment who do the same, in the two halves of the video."""
    name = str(rng.choice(TWIN_DOINGS))
    half, pair = frames // 2, []
    order = rng.permutation(2)
    for place, actor in zip(order, (first, second), strict=True):
        look = replace(
            draw_look(rng, first.colour), hat_rgb=None, garment=first.garment, bag=actor.look.bag
        )
        length = max(6, min(half - 6, round(float(rng.uniform(1.6, 2.8)) * fps)))
        start = int(place) * half + int(rng.integers(2, max(3, half - length - 2)))
        # Who does not come from outside has the place of the first frame.
        x = actor.x_px if not actor.doings else actor.doings[0].to_x_px
        bare = replace(actor, colour=first.colour, look=look, first_pose=STANDING, away=False,
                       holds="", takes="", x_px=x)  # fmt: skip
        side = bare.own_left if name == "raise left arm" else -bare.own_left
        if name not in ("raise left arm", "raise right arm"):
            side = {"point left": -1, "point right": 1}.get(name, 1)
        pair.append(replace(bare, doings=(Doing(name, start, start + length, side, x),)))
    return pair


def _things(
    rng: np.random.Generator, actors: list[Actor], vanishing: float, size_px: tuple[int, int]
) -> tuple[Thing, ...]:
    """What people hold, take and put down, and some boxes and balls on the floor."""
    width, height = size_px
    things: list[Thing] = []

    def add(kind: str, tall: float, place: tuple[float, float], holder: int) -> None:
        colour = str(rng.choice(tuple(COLOURS)))
        rgb = varied(rng, COLOURS[colour], 12)
        things.append(Thing(kind, colour, rgb, tall, place, holder))

    for index, actor in enumerate(actors):
        lift = next((d for d in actor.doings if d.name in ("pick up", "put down")), None)
        held = actor.takes or actor.holds
        if held:
            place = (0.0, actor.ground_y_px) if lift is None else reached_place(actor, lift)
            add(held, actor.height_px, place, index)
    boxes = any(thing.kind == "box" for thing in things)
    for _ in range(int(rng.integers(0, 3)) + boxes):
        below = float(rng.uniform(0.2, 0.5)) * height
        kind = "box" if rng.random() < 0.75 else "ball"
        place = (float(rng.uniform(0.06, 0.94)) * width, vanishing + below)
        add(kind, _TALL * below, place, -1)
    return tuple(things)
