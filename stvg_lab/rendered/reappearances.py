# SPDX-License-Identifier: Apache-2.0

"""Scenes in which people leave, are hidden, exchange seats, and come back among the others.

Time passes in episodes. In each of them one person is out of sight for 3 to 20 s: behind a screen
in the foreground, or outside of the image, perhaps to come back at the other side or at another's
place. Meanwhile others leave as well, walk side by side, cross, and act. In four of five scenes two
people wear the same shirt or the same trousers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.character import Prop, Rgb
from stvg_lab.rendered.person import Act, Person
from stvg_lab.rendered.queries import IDENTITY, split_seed
from stvg_lab.rendered.room import draw_background, varied
from stvg_lab.rendered.scene import Scene
from stvg_lab.rendered.scene_generator import SHIRTS, draw_look
from stvg_lab.rendered.visible_parts import visible_shares

ABSENT_S = (3.0, 20.0)
_OTHERS = (3, 4, 5)
# What two people have in common, by turns of the seed: a short run has scenes of each kind.
_SHARED = ("shirt", "trousers", "", "shirt", "trousers")
_OF_THE_PAIR = 0.8  # share of the absences that are those of the two, if no target is given
_KINDS = (("left", 0.4), ("swapped", 0.3), ("hidden", 0.3))
_SPEED = (0.55, 0.95)  # heights a second
_OUTSIDE = 0.45  # heights from the edge to the feet of a person of whom nothing is seen
_SIDE_BY_SIDE = 0.42  # distance of two who walk together, heights
_SEEN = 0.1  # share of a person that must be seen to count as visible
_IN_PLACE = ("wave", "turn", "sit", "jump")
_SETTLE_S = 3.0  # everybody is in place for so long after an episode


@dataclass(frozen=True)
class Absence:
    """A person who is out of sight for a while.

    Attributes:
        start_frame, end_frame: of the frames `[start, end)` in which nothing is seen.
        shares: "shirt" or "trousers" if one other wears the same one, else "".
    """

    person: int
    start_frame: int
    end_frame: int
    shares: str


@dataclass(frozen=True, eq=False)
class ReappearanceScene:
    """A scene with its absences.

    Attributes:
        shown: `(P, F)`, whether at least a tenth of a person is seen.
        absences: in order of time, those of 3 s or more that end in the scene.
    """

    scene: Scene
    shown: NDArray[np.bool_]
    absences: tuple[Absence, ...]


class _Actor:
    """What one person does, in order of time."""

    def __init__(self, x_px: float, height_px: float) -> None:
        self.start_px = self.x_px = x_px
        self.height_px = height_px
        self.acts: list[Act] = []
        self.free = 0  # frame from which on there is nothing to do

    def walk(self, start: int, to_px: float, speed: float, fps: float) -> int:
        """Walks from `start` on; returns the frame of the arrival."""
        start = max(start, self.free)
        away = abs(to_px - self.x_px)
        frames = max(3, round(fps * away / (speed * self.height_px)))
        name = "walk_left" if to_px < self.x_px else "walk_right"
        self._add(name, start, start + frames, to_px)
        return self.free

    def reappear(self, frame: int, x_px: float) -> None:
        """Is at another place from the frame on, out of sight."""
        start = max(frame - 1, self.free)
        self._add("walk_left" if x_px < self.x_px else "walk_right", start, start + 1, x_px)

    def act(self, name: str, start: int, frames: int, side: int) -> None:
        """Does something in place."""
        start = max(start, self.free)
        self._add(name, start, start + frames, self.x_px, side)

    def _add(self, name: str, start: int, end: int, to_px: float, side: int = 1) -> None:
        self.acts.append(Act(name, start, end, to_px, side))
        self.x_px, self.free = to_px, end


class _Director:
    """Fills a scene's time with episodes."""

    def __init__(self, rng: np.random.Generator, actors: list[_Actor], stage: _Stage) -> None:
        self.rng, self.actors, self.stage = rng, actors, stage

    def episode(self, start: int, who: int, longest_s: float) -> int:
        """One absence of a person from a frame on; returns the frame at which all is quiet."""
        rng, fps = self.rng, self.stage.fps
        kinds = [kind for kind, _ in _KINDS if kind != "hidden" or self.stage.screen_px is not None]
        odds = np.array([share for kind, share in _KINDS if kind in kinds])
        kind = str(rng.choice(kinds, p=odds / odds.sum()))
        absent = round(fps * rng.uniform(ABSENT_S[0] + 0.5, longest_s))
        others = [at for at in rng.permutation(len(self.actors)).tolist() if at != who]
        begin = start + round(fps * rng.uniform(0.3, 1.2))
        actor = self.actors[who]
        home = actor.x_px
        back = self._gone(actor, begin, absent, hides=kind == "hidden")
        if kind == "swapped":
            other = others.pop()
            theirs = self.actors[other].x_px
            moves = max(begin, actor.free - absent // 2)
            self.actors[other].walk(moves, home, self._speed(), fps)
            home = theirs
        end = actor.walk(back, home, self._speed(), fps)
        if others and rng.random() < 0.5:  # somebody else comes back before or after
            self._leaves_too(others.pop(), begin, max(begin + 1, back - round(2 * fps)))
        if len(others) > 1 and rng.random() < 0.5:
            self._pair(others.pop(), others.pop(), begin)
        for other in others:
            self._passes_time(other, begin, end)
        return max(actor.free for actor in self.actors) + round(_SETTLE_S * fps)

    def _gone(self, actor: _Actor, begin: int, absent: int, *, hides: bool) -> int:
        """Walks out of sight; returns the frame of the return, from which on they walk back."""
        if hides:
            assert self.stage.screen_px is not None
            return actor.walk(begin, self.stage.screen_px, self._speed(), self.stage.fps) + absent
        gone = actor.walk(begin, self._outside(actor), self._speed(), self.stage.fps)
        if self.rng.random() < 0.5:
            actor.reappear(gone + absent - 1, self.stage.width - actor.x_px)
        return gone + absent

    def _leaves_too(self, other: int, begin: int, latest: int) -> None:
        actor = self.actors[other]
        home = actor.x_px
        start = int(self.rng.integers(begin, latest + 1))
        gone = actor.walk(start, self._outside(actor), self._speed(), self.stage.fps)
        back = gone + round(self.stage.fps * self.rng.uniform(1, 6))
        if self.rng.random() < 0.5:
            actor.reappear(back - 1, self.stage.width - actor.x_px)
        actor.walk(back, home, self._speed(), self.stage.fps)

    def _pair(self, first: int, second: int, begin: int) -> None:
        """Two walk side by side to one end and back, each to their own or the other's place."""
        one, other = self.actors[first], self.actors[second]
        homes = [one.x_px, other.x_px]
        gap = _SIDE_BY_SIDE * (one.height_px + other.height_px) / 2
        speed, fps = self._speed(), self.stage.fps
        middle = float(self.rng.uniform(0.25, 0.75)) * self.stage.width
        met = max(
            one.walk(begin, middle - gap / 2, speed, fps),
            other.walk(begin, middle + gap / 2, speed, fps),
        )
        low, high = self.stage.ends
        goal = low if self.rng.random() < 0.5 else high - gap
        one.walk(met, goal, speed * other.height_px / one.height_px, fps)
        other.walk(met, goal + gap, speed, fps)
        if self.rng.random() < 0.5:
            homes.reverse()
        parts = max(one.free, other.free) + round(0.5 * fps)
        one.walk(parts, homes[0], self._speed(), fps)
        other.walk(parts, homes[1], self._speed(), fps)

    def _passes_time(self, who: int, begin: int, end: int) -> None:
        """Acts in place, or crosses the scene and comes back."""
        rng, fps, actor = self.rng, self.stage.fps, self.actors[who]
        start = int(rng.integers(begin, max(begin + 1, end - round(2 * fps))))
        if rng.random() < 0.5:
            lasts = round(fps * rng.uniform(1.5, 4))
            actor.act(str(rng.choice(_IN_PLACE)), start, lasts, int(rng.choice((-1, 1))))
            return
        home, (low, high) = actor.x_px, self.stage.ends
        far = low if home > self.stage.width / 2 else high
        there = actor.walk(start, float(rng.uniform(0.6, 1)) * (far - home) + home,
                           self._speed(), fps)  # fmt: skip
        actor.walk(there + round(fps * rng.uniform(0, 1.5)), home, self._speed(), fps)

    def _outside(self, actor: _Actor) -> float:
        away = _OUTSIDE * actor.height_px
        left = actor.x_px < self.stage.width / 2
        if self.rng.random() < 0.25:
            left = not left
        return -away if left else self.stage.width + away

    def _speed(self) -> float:
        return float(self.rng.uniform(*_SPEED))


@dataclass(frozen=True)
class _Stage:
    width: int
    fps: float
    screen_px: float | None  # middle of the screen in the foreground

    @property
    def ends(self) -> tuple[float, float]:
        """Where people turn around, left and right."""
        return 0.1 * self.width, 0.9 * self.width


def reappearance_scene(
    seed: int,
    *,
    duration_s: float = 40.0,
    losses: int = 2,
    target: int | None = None,
    width: int = 640,
    height: int = 480,
    fps: float = 10.0,
) -> ReappearanceScene:
    """Draws a scene; equal arguments give equal scenes.

    Args:
        seed: 0 or more; its remainder by 5 decides whether two people share a garment, and which.
        duration_s: length; the absences are so long that all of them fit.
        losses: number of absences that are planned.
        target: who is absent each time; None for people drawn at random.
        width: of the image, pixels.
        height: of the image, pixels.
        fps: frames a second.
    """
    rng = np.random.default_rng((seed, 22))
    count = 1 + int(rng.choice(_OTHERS))
    shared = _SHARED[seed % len(_SHARED)]
    has_screen = bool(rng.random() < 0.6)
    people = _cast(rng, count, shared, width, height, has_screen)
    stage = _Stage(width, fps, 0.5 * width if has_screen else None)
    actors = [_Actor(person.x_px, person.height_px) for person in people]
    director = _Director(rng, actors, stage)
    frames, at = round(duration_s * fps), round(2 * fps)
    for left in range(losses, 0, -1):
        room_s = (frames - at) / fps / left
        who = _absent(rng, people) if target is None else target
        at = director.episode(at, who, float(np.clip(room_s - 14, ABSENT_S[0] + 1, ABSENT_S[1])))
    frames = max(frames, at)
    cast = tuple(
        replace(person, acts=tuple(actor.acts))
        for person, actor in zip(people, actors, strict=True)
    )
    scene = Scene(
        seed=seed, width=width, height=height, fps=fps, frame_count=frames, people=cast,
        background=draw_background(rng),
        foreground=_screen(rng, stage.screen_px, people, width, height),
        shake_px=np.zeros((frames, 2), np.float32),
        noise=float(rng.uniform(0, 6)), gain=float(1 + rng.uniform(-0.2, 0.15)),
    )  # fmt: skip
    shown = visible_shares(scene, len(cast), range(frames)) >= _SEEN
    return ReappearanceScene(scene, shown, tuple(_absences(cast, shown, fps)))


def _absent(rng: np.random.Generator, people: Sequence[Person]) -> int:
    """Who leaves: anybody, or mostly one of the two who have something in common."""
    pair = [who for who in range(len(people)) if _shared_with_others(people, who)]
    if pair and rng.random() < _OF_THE_PAIR:
        return int(rng.choice(pair))
    return int(rng.integers(len(people)))


def _cast(
    rng: np.random.Generator, count: int, shared: str, width: int, height: int, has_screen: bool
) -> list[Person]:
    """People at places of their own, nobody behind the screen; two of them share a garment."""
    places = (np.arange(count) + 0.5 + rng.uniform(-0.15, 0.15, count)) / count
    if has_screen:  # both sides of it
        places = np.where(places < 0.5, 0.62 * places, 1 - 0.62 * (1 - places))
    depths = (rng.permutation(count) + rng.uniform(0, 0.8, count)) / count
    sizes = 0.36 + 0.1 * depths + rng.uniform(0, 0.03, count)
    shirts = rng.permutation(list(SHIRTS))[:count].tolist()
    looks = [draw_look(rng, shirt) for shirt in shirts]
    if shared:
        one, other = rng.permutation(count)[:2].tolist()
        if shared == "shirt":
            shirts[other] = shirts[one]
            looks[other] = replace(looks[other], shirt_rgb=looks[one].shirt_rgb)
        else:
            looks[other] = replace(looks[other], trousers_rgb=looks[one].trousers_rgb)
    return [
        Person(
            shirt=shirts[index],
            look=looks[index],
            height_px=height * float(sizes[index]),
            x_px=width * (0.06 + 0.88 * float(places[index])),
            ground_y_px=height * float(0.74 + 0.2 * depths[index]),
            phase=float(rng.uniform(0, 6)),
            bag_side=int(rng.choice((-1, 1))),
        )
        for index in rng.permutation(count).tolist()
    ]


def _screen(
    rng: np.random.Generator, middle_px: float | None, people: list[Person], width: int, height: int
) -> tuple[Prop, ...]:
    """A screen in front of everybody that hides a standing person, or nothing."""
    if middle_px is None:
        return ()
    tallest = max(people, key=lambda person: person.height_px)
    half = 0.36 * tallest.height_px
    top = min(person.ground_y_px - person.height_px for person in people) - 0.05 * height
    rgb = varied(rng, (150, 146, 138), 30)
    darker: Rgb = (int(0.75 * rgb[0]), int(0.75 * rgb[1]), int(0.75 * rgb[2]))
    parts = []
    for low, high, colour in ((-half, 0.0, rgb), (0.0, half, darker)):
        x1, x2 = middle_px + low, middle_px + high
        corners = np.array([(x1, top), (x2, top), (x2, 1.1 * height), (x1, 1.1 * height)])
        parts.append(Prop(corners, 0.0, colour, body=False))
    return tuple(parts)


def _absences(cast: tuple[Person, ...], shown: NDArray[np.bool_], fps: float) -> Iterator[Absence]:
    """The gaps of 3 s and more between two frames in which a person is seen."""
    found = []
    for person, row in enumerate(shown):
        seen = np.flatnonzero(row)
        for before, after in itertools.pairwise(seen.tolist()):
            if after - before - 1 >= round(ABSENT_S[0] * fps):
                shares = _shared_with_others(cast, person)
                found.append(Absence(person, before + 1, after, shares))
    yield from sorted(found, key=lambda absence: absence.start_frame)


def _shared_with_others(cast: Sequence[Person], person: int) -> str:
    others = [other for index, other in enumerate(cast) if index != person]
    own = cast[person]
    if any(other.shirt == own.shirt for other in others):
        return "shirt"
    same = any(other.look.trousers_rgb == own.look.trousers_rgb for other in others)
    return "trousers" if same else ""


def identity_scene(index: int, **asked: Any) -> ReappearanceScene:
    """Scene number `index` of the split "identity"; see `reappearance_scene`.

    Scenes are for measuring only. When a view shows another person was developed on streams of
    the numbers 3000 to 4001.

    Raises:
        ValueError: an index outside the split's range.
    """
    return reappearance_scene(split_seed(IDENTITY, index), **asked)
