"""Scenes of articulated people who act, drawn at random from a seed.

A `Scene` holds what there is to know (who wears what, who does what and when); `render` draws it.
Lengths are pixels of the scene's own size; frame ranges are half open, `[start, end)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes
from stvg_ros.evaluation.synthetic.figure import Prop, figure_at, figure_box

Rgb = tuple[int, int, int]

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
ACTIONS = ("walk_left", "walk_right", "wave", "jump", "sit", "pick_up")
STAND = "stand"

_TROUSERS: tuple[Rgb, ...] = ((70, 74, 82), (96, 84, 70), (58, 66, 92), (128, 122, 112))
_SKIN: tuple[Rgb, ...] = ((236, 196, 168), (214, 166, 130), (160, 110, 80), (104, 70, 52))
_HAIR: tuple[Rgb, ...] = ((32, 26, 24), (84, 56, 36), (150, 112, 62), (120, 120, 122))


@dataclass(frozen=True)
class Act:
    """One action of a person in the frames `[start_frame, end_frame)`.

    Attributes:
        name: one of `ACTIONS`.
        to_x_px: where the feet are at the end; a walk moves, other actions stay.
        side: -1 or 1, the arm that waves or the side of the box.
    """

    name: str
    start_frame: int
    end_frame: int
    to_x_px: float
    side: int

    def __post_init__(self) -> None:
        if self.name not in ACTIONS:
            raise ValueError(f"Act.name: expected one of {ACTIONS}, got {self.name!r}")
        if not 0 <= self.start_frame < self.end_frame:
            raise ValueError(
                f"Act: expected 0 <= start < end, got [{self.start_frame}, {self.end_frame})"
            )


@dataclass(frozen=True)
class Person:
    """A person: looks, the place of the feet at the first frame, and one to two actions or none.

    Attributes:
        box_side: -1 or 1 for a carton on the floor on that side, 0 for none.
    """

    shirt: str
    shirt_rgb: Rgb
    trousers_rgb: Rgb
    skin_rgb: Rgb
    hair_rgb: Rgb
    height_px: float
    x_px: float
    ground_y_px: float
    phase: float
    acts: tuple[Act, ...] = ()
    box_side: int = 0

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of what the person does, `("stand",)` for one who does nothing else."""
        return tuple(act.name for act in self.acts) or (STAND,)

    def act_at(self, frame: int) -> Act | None:
        """The action under way in a frame."""
        return next((a for a in self.acts if a.start_frame <= frame < a.end_frame), None)

    def x_at(self, frame: int) -> float:
        """Where the feet are in a frame."""
        x = self.x_px
        for act in self.acts:
            if frame >= act.end_frame:
                x = act.to_x_px
            elif frame >= act.start_frame:
                share = (frame - act.start_frame) / (act.end_frame - act.start_frame)
                x += (act.to_x_px - x) * share
        return x

    def figure(self, frame: int, fps: float) -> tuple[Prop, ...]:
        """The shapes of the body in a frame, back to front (see `figure.figure_at`)."""
        act = self.act_at(frame)
        name, share, side = STAND, 0.0, 1
        if act is not None:
            name, side = act.name, act.side
            share = (frame - act.start_frame) / (act.end_frame - act.start_frame)
        return figure_at(
            name,
            share,
            time_s=frame / fps + self.phase,
            side=side,
            foot_px=(self.x_at(frame), self.ground_y_px),
            height_px=self.height_px,
            colours=(self.shirt_rgb, self.trousers_rgb, self.skin_rgb, self.hair_rgb),
            box_side=self.box_side,
        )


@dataclass(frozen=True)
class Background:
    """A wall with a vertical gradient, a floor, and furniture-like rectangles.

    Attributes:
        horizon: height of the floor's edge, as a share of the image.
        furniture: `(x1, y1, x2, y2, rgb)` with the corners as shares of the image.
    """

    wall_top: Rgb
    wall_bottom: Rgb
    floor_far: Rgb
    floor_near: Rgb
    horizon: float
    furniture: tuple[tuple[float, float, float, float, Rgb], ...]


@dataclass(frozen=True, eq=False)
class Scene:
    """A rendered video before it is rendered.

    Attributes:
        shake_px: `(F, 2)` float32, how far the camera's jitter shifts each frame.
        noise: standard deviation of the pixel noise, grey levels.
        gain: factor on all brightnesses.
    """

    seed: int
    width: int
    height: int
    fps: float
    frame_count: int
    people: tuple[Person, ...]
    background: Background
    shake_px: NDArray[np.float32]
    noise: float
    gain: float

    @classmethod
    def from_seed(
        cls,
        seed: int,
        *,
        people: int | None = None,
        duration_s: float = 8.0,
        fps: float = 10.0,
        width: int = 640,
        height: int = 480,
        difficulty: float = 0.5,
    ) -> Scene:
        """Draws a scene; equal arguments give equal scenes.

        Args:
            seed: 0 or more.
            people: 1 to 4 people, or None to draw 2 to 4.
            duration_s: length of the video.
            fps: frames a second.
            width: of the scene's images, pixels.
            height: of the scene's images, pixels.
            difficulty: 0 for a clean picture and a still camera, 1 for the noisiest one.

        Raises:
            ValueError: an argument outside its range.
        """
        frames = round(duration_s * fps) if np.isfinite(duration_s * fps) else 0
        if seed < 0:
            raise ValueError(f"seed: expected 0 or more, got {seed}")
        if people is not None and not 1 <= people <= 4:
            raise ValueError(f"people: expected 1 to 4, got {people}")
        if not fps > 0 or frames < 20:
            raise ValueError(
                f"expected at least 20 frames, got duration_s={duration_s} x fps={fps}; "
                "ask for a longer scene"
            )
        if width < 64 or height < 64:
            raise ValueError(f"size: expected at least 64 x 64, got {width} x {height}")
        if not 0 <= difficulty <= 1:
            raise ValueError(f"difficulty: expected 0 to 1, got {difficulty}")
        rng = np.random.default_rng(seed)
        count = int(rng.integers(2, 5)) if people is None else people
        cast = _cast(rng, count, frames, width, height)
        shaky = rng.random() < 0.6 * difficulty
        steps = rng.normal(0, 0.0012 * width * difficulty, (frames, 2)) * shaky
        return cls(
            seed=seed,
            width=width,
            height=height,
            fps=fps,
            frame_count=frames,
            people=cast,
            background=_background(rng),
            shake_px=steps.astype(np.float32),
            noise=float(rng.uniform(0, 8) * difficulty),
            gain=float(1 + rng.uniform(-0.3, 0.2) * difficulty),
        )

    @cached_property
    def boxes_xyxy_px(self) -> Boxes:
        """True boxes of every person, `(P, F, 4)` float32, clipped to the image."""
        boxes = np.zeros((len(self.people), self.frame_count, 4), np.float32)
        limit = np.array([self.width, self.height] * 2, np.float32)
        for index, person in enumerate(self.people):
            for frame in range(self.frame_count):
                box = figure_box(person.figure(frame, self.fps))
                boxes[index, frame] = box + np.tile(self.shake_px[frame], 2)
        return np.clip(boxes, 0, limit).astype(np.float32)

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """Stamps of the frames, `(F,)`, the first at 0."""
        return np.round(np.arange(self.frame_count) * 1e9 / self.fps).astype(np.int64)


def _cast(
    rng: np.random.Generator, count: int, frames: int, width: int, height: int
) -> tuple[Person, ...]:
    """Draws the people; two who share a shirt never share an action, one at least acts."""
    colours = tuple(SHIRTS)
    while True:
        plans = [_plan(rng) for _ in range(count)]
        shirts = [colours[rng.integers(len(colours))] for _ in range(count)]
        for index in range(1, count):
            if rng.random() < 0.3:
                shirts[index] = shirts[rng.integers(index)]
        clash = any(
            shirts[i] == shirts[j] and set(plans[i] or (STAND,)) & set(plans[j] or (STAND,))
            for i in range(count)
            for j in range(i)
        )
        if not clash and any(plans):
            break
    lanes = rng.permutation(count)
    places = (np.arange(count) + 0.5 + rng.uniform(-0.22, 0.22, count)) / count
    rng.shuffle(places)
    taken = [float(place) for place in places]
    people = []
    for index in range(count):
        x_px = (0.07 + 0.86 * taken[index]) * width
        others = [(0.07 + 0.86 * t) * width for i, t in enumerate(taken) if i != index]
        acts = _acts(rng, plans[index], frames, x_px, others, width)
        if acts:
            taken[index] = (acts[-1].to_x_px / width - 0.07) / 0.86
        shirt = shirts[index]
        has_box = "pick_up" in plans[index] or rng.random() < 0.15
        side = next((a.side for a in acts if a.name == "pick_up"), int(rng.choice((-1, 1))))
        depth = (lanes[index] + rng.uniform(0, 0.8)) / count
        people.append(
            Person(
                shirt=shirt,
                shirt_rgb=_varied(rng, SHIRTS[shirt], 14),
                trousers_rgb=_varied(rng, _TROUSERS[rng.integers(len(_TROUSERS))], 10),
                skin_rgb=_varied(rng, _SKIN[rng.integers(len(_SKIN))], 10),
                hair_rgb=_varied(rng, _HAIR[rng.integers(len(_HAIR))], 8),
                height_px=height * float(0.31 + 0.08 * depth + rng.uniform(0, 0.04)),
                x_px=x_px,
                ground_y_px=height * float(0.74 + 0.2 * depth),
                phase=float(rng.uniform(0, 6)),
                acts=acts,
                box_side=side if has_box else 0,
            )
        )
    return tuple(people)


def _plan(rng: np.random.Generator) -> tuple[str, ...]:
    """Names of the zero, one or two actions of a person, in order."""
    count = int(rng.choice(3, p=(0.2, 0.5, 0.3)))
    names = [ACTIONS[i] for i in rng.permutation(len(ACTIONS))]
    if "pick_up" in names[:count]:
        # The carton lies beside the first place, so nobody walks before lifting it.
        names = ["pick_up", *(name for name in names if name != "pick_up")]
    return tuple(names[:count])


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
        if name.startswith("walk") and abs(to_x_px - x_px) < 0.2 * width:
            continue
        acts.append(Act(name, start, start + length, to_x_px, int(rng.choice((-1, 1)))))
        x_px = to_x_px
    return tuple(acts)


def _walk_end(
    rng: np.random.Generator, name: str, x_px: float, others_px: list[float], width: int
) -> float:
    """Where a walk ends: far from its start and, where there is room, not behind another."""
    low, high = (0.06 * width, x_px - 0.28 * width)
    if name == "walk_right":
        low, high = (x_px + 0.28 * width, 0.94 * width)
    if high <= low:
        return 0.06 * width if name == "walk_left" else 0.94 * width
    ends = rng.uniform(low, high, 8)
    gaps = [min([abs(end - other) for other in others_px] or [width]) for end in ends]
    return float(ends[int(np.argmax(gaps))])


def _varied(rng: np.random.Generator, rgb: Rgb, spread: float) -> Rgb:
    """A colour near `rgb`: all channels lighter or darker together, and a little of each."""
    values = np.array(rgb) + rng.normal(0, spread * 0.6) + rng.normal(0, spread * 0.5, 3)
    red, green, blue = np.clip(values, 0, 255).astype(int).tolist()
    return red, green, blue


def _background(rng: np.random.Generator) -> Background:
    def muted(low: float, high: float) -> Rgb:
        red, green, blue = np.clip(rng.uniform(low, high) + rng.normal(0, 14, 3), 8, 247).tolist()
        return int(red), int(green), int(blue)

    wall, floor = muted(70, 210), muted(60, 190)
    pieces = []
    horizon = float(rng.uniform(0.5, 0.68))
    for _ in range(int(rng.integers(0, 6))):
        x, w, h = rng.uniform(-0.1, 0.95), rng.uniform(0.06, 0.3), rng.uniform(0.06, 0.32)
        on_wall = rng.random() < 0.5
        bottom = rng.uniform(0.15, horizon) if on_wall else horizon + rng.uniform(0, 0.05)
        pieces.append((float(x), float(bottom - h), float(x + w), float(bottom), muted(40, 220)))
    return Background(
        wall_top=_varied(rng, wall, 16),
        wall_bottom=_varied(rng, wall, 16),
        floor_far=_varied(rng, floor, 16),
        floor_near=_varied(rng, floor, 16),
        horizon=horizon,
        furniture=tuple(pieces),
    )
