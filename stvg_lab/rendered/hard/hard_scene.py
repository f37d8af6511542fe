# SPDX-License-Identifier: Apache-2.0

"""A scene of the hard splits: description, shapes in each frame, and true boxes and joints.

Lengths are pixels of a camera that stands still unless "in the image" is said; frame ranges are
half open, `[start, end)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.character import figure_box
from stvg_lab.rendered.hard.actor import Actor
from stvg_lab.rendered.hard.camera import Views, camera_views, projected, seen_prop
from stvg_lab.rendered.hard.cast import draw_cast
from stvg_lab.rendered.hard.occluders import draw_occluders
from stvg_lab.rendered.hard.scene_conditions import (
    HIDDEN,
    MOVING,
    drawn_conditions,
    figure_light,
    fitting_room,
    picture_condition,
)
from stvg_lab.rendered.hard.things import Thing
from stvg_lab.rendered.photo_backdrop import PhotoBackdrop
from stvg_lab.rendered.picture_conditions import PictureCondition, taken
from stvg_lab.rendered.room import RoomBackdrop, draw_background
from stvg_lab.rendered.shapes import Layer, Prop
from stvg_lab.rendered.visible_parts import visible_shares
from stvg_ros.boxes import Boxes

_LEAST_INSIDE = 0.1  # of the box of what counts as visible
_LEAST_SEEN = 0.3  # share of each person that is seen in most frames, or the cast is drawn anew
_TRIES = 20
_STILL = np.zeros(2)


@dataclass(frozen=True, eq=False)
class HardScene:
    """A rendered video of a hard split before it is rendered.

    Attributes:
        conditions: one or two of `scene_conditions.CONDITIONS`.
        views: `(F, 2, 3)`, see `camera`.
        condition: how the pictures are taken.
        figure_light: factor of the colours of people and things.
    """

    seed: int
    width: int
    height: int
    fps: float
    frame_count: int
    conditions: tuple[str, ...]
    people: tuple[Actor, ...]
    things: tuple[Thing, ...]
    background: RoomBackdrop | PhotoBackdrop
    foreground: tuple[Prop, ...]
    views: Views
    condition: PictureCondition
    figure_light: float

    @classmethod
    def from_seed(
        cls,
        seed: int,
        *,
        duration_s: float = 8.0,
        fps: float = 10.0,
        width: int = 640,
        height: int = 480,
        conditions: tuple[str, ...] | None = None,
        people: int | None = None,
    ) -> HardScene:
        """Draws a scene; equal arguments give equal scenes.

        Args:
            seed: 0 or more; it also gives the conditions.
            duration_s: length of the video.
            fps: frames per second.
            width: image width, pixels.
            height: image height, pixels.
            conditions: instead of those of the seed.
            people: their number, or None for one that the conditions give.

        Raises:
            ValueError: an argument outside its range.
        """
        frames = round(duration_s * fps) if np.isfinite(duration_s * fps) else 0
        if seed < 0:
            raise ValueError(f"seed: expected 0 or more, got {seed}")
        if frames < 40:
            raise ValueError(
                f"expected at least 40 frames, got duration_s={duration_s} x fps={fps}; "
                "ask for a longer scene"
            )
        rng = np.random.default_rng((seed, 21))
        names = drawn_conditions(rng, seed)
        names = names if conditions is None else conditions
        size_px = width, height
        views = camera_views(rng, frames, size_px, MOVING in names)
        condition, light = picture_condition(rng, names), figure_light(rng, names)
        for _ in range(_TRIES):
            cast = draw_cast(rng, names, frames, fps, size_px, people)
            edge = (cast.vanishing_px + 0.1 * height) / height
            scene = cls(
                seed=seed, width=width, height=height, fps=fps, frame_count=frames,
                conditions=names, people=cast.actors, things=cast.things,
                background=fitting_room(rng, draw_background(rng), edge, names),
                foreground=draw_occluders(rng, size_px, cast, HIDDEN in names),
                views=views, condition=condition, figure_light=light,
            )  # fmt: skip
            if scene.shows_everybody():
                break
        return scene

    @property
    def border(self) -> int:
        """See `render.Drawable`."""
        return int(cv2.BORDER_REFLECT_101)

    def room_view(self, frame: int) -> NDArray[np.float64]:
        """See `render.Drawable`."""
        return np.asarray(self.views[frame])

    def layers(self, frame: int) -> tuple[Layer, ...]:
        """See `render.Drawable`."""
        if frame not in self._layers:
            self._layers[frame] = self._drawn(frame)
        return self._layers[frame]

    def taken(self, image: NDArray[np.uint8], frame: int) -> NDArray[np.uint8]:
        """See `render.Drawable`."""
        return taken(image, self.condition, (self.seed, frame))

    def joints_px(self, person: int, frame: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A person's keypoints in the image, `(17, 2)`, and their visibility `(17,)`."""
        points, seen = self.people[person].joints(frame, self.fps)
        return projected(self.views[frame], points), seen

    @cached_property
    def boxes_xyxy_px(self) -> Boxes:
        """True boxes in the image of people and then things, `(P + N, F, 4)` float32, clipped."""
        return self._clipped(self._whole_boxes)

    @cached_property
    def visible(self) -> NDArray[np.bool_]:
        """Where at least a tenth of each of these boxes is in the image, `(P + N, F)`."""
        return _inside(self._whole_boxes, self.boxes_xyxy_px)

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """Stamps of the frames, `(F,)`, the first at 0."""
        return np.round(np.arange(self.frame_count) * 1e9 / self.fps).astype(np.int64)

    def seen_shares(self, frames: NDArray[np.int64]) -> NDArray[np.float32]:
        """Share of people and, behind them, of things that is seen, `(P + N, len(frames))`."""
        return visible_shares(self, len(self.people) + len(self.things), frames.tolist())

    def shows_everybody(self) -> bool:
        """Whether at least 0.3 of everybody is seen in most frames in which they are there."""
        frames = np.linspace(0, self.frame_count - 1, 5).round().astype(np.int64)
        whole = self._boxes_at(frames.tolist())[: len(self.people)]
        there = _inside(whole, self._clipped(whole))
        seen = (self.seen_shares(frames)[: len(self.people)] >= _LEAST_SEEN) & there
        return bool((2 * seen.sum(axis=1) > there.sum(axis=1)).all())

    def _drawn(self, frame: int) -> tuple[Layer, ...]:
        """People and things in the image, the farthest first; who holds a thing is behind it."""
        view, light = self.views[frame], self.figure_light
        placed: list[tuple[float, float, int, tuple[Prop, ...]]] = []
        for index, actor in enumerate(self.people):
            placed.append((actor.ground_y_px, 0.0, index, actor.figure(frame, self.fps)))
        for index, thing in enumerate(self.things, len(self.people)):
            shapes = thing.shapes(self.people, frame, self.fps, self.frame_count)
            ground, before = thing.place_px[1], 0.5
            if thing.holder >= 0:
                start, end = thing.held_frames(self.people, self.frame_count)
                holder = self.people[thing.holder]
                ground = holder.ground_y_px
                before = -0.5 if start <= frame < end and holder.away else 0.5
            placed.append((ground, before, index, shapes))
        placed.sort(key=lambda item: item[:2])
        layers = [
            Layer(owner, tuple(seen_prop(view, prop, light) for prop in props), _STILL)
            for _, _, owner, props in placed
        ]
        front = tuple(seen_prop(view, prop, light) for prop in self.foreground)
        return (*layers, Layer(-1, front, _STILL))

    @cached_property
    def _layers(self) -> dict[int, tuple[Layer, ...]]:
        return {}

    @cached_property
    def _whole_boxes(self) -> Boxes:
        """Of people and then things, not clipped, `(P + N, F, 4)`."""
        return self._boxes_at(range(self.frame_count))

    def _boxes_at(self, frames: Sequence[int]) -> Boxes:
        boxes = np.zeros((len(self.people) + len(self.things), len(frames), 4), np.float32)
        for column, frame in enumerate(frames):
            for layer in self.layers(frame):
                if layer.owner >= 0:
                    boxes[layer.owner, column] = figure_box(layer.props)
        return boxes

    def _clipped(self, boxes: Boxes) -> Boxes:
        limit = np.array([self.width, self.height] * 2, np.float32)
        return np.clip(boxes, 0, limit).astype(np.float32)


def _inside(whole: Boxes, clipped: Boxes) -> NDArray[np.bool_]:
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (whole, clipped)]
    return np.asarray(areas[1] >= _LEAST_INSIDE * areas[0], np.bool_)
