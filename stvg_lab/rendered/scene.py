# SPDX-License-Identifier: Apache-2.0

"""Scenes of articulated people who act, drawn at random from a seed.

A `Scene` is the description (who wears what, who does what and when); `render` draws it.
Lengths are pixels of the scene's own size; frame ranges are half open, `[start, end)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.character import figure_box
from stvg_lab.rendered.entrances import with_entrances
from stvg_lab.rendered.person import ACTIONS, STAND, Act, Person
from stvg_lab.rendered.photo_backdrop import PhotoBackdrop
from stvg_lab.rendered.picture_conditions import grain
from stvg_lab.rendered.room import RoomBackdrop, draw_background, draw_foreground
from stvg_lab.rendered.scene_generator import MOST_PEOPLE, SHIRTS, draw_cast
from stvg_lab.rendered.shapes import Layer, Prop
from stvg_ros.boxes import Boxes

__all__ = ["ACTIONS", "SHIRTS", "STAND", "Act", "Person", "RoomBackdrop", "Scene"]

_LEAST_INSIDE = 0.1  # of the box of a person who counts as visible


@dataclass(frozen=True, eq=False)
class Scene:
    """A rendered video before it is rendered.

    Attributes:
        shake_px: `(F, 2)` float32, shift of each frame by camera pan and jitter.
        foreground: shapes in front of everybody, shifted by the camera motion as well.
        noise: standard deviation of the pixel noise, grey levels.
        gain: factor on all brightnesses.
    """

    seed: int
    width: int
    height: int
    fps: float
    frame_count: int
    people: tuple[Person, ...]
    background: RoomBackdrop | PhotoBackdrop
    foreground: tuple[Prop, ...]
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
        entering: bool = False,
    ) -> Scene:
        """Draws a scene; equal arguments give equal scenes.

        Args:
            seed: 0 or more.
            people: 1 to 6 people, or None for 2 to 6 at random, usually up to 4.
            duration_s: length of the video.
            fps: frames per second.
            width: image width, pixels.
            height: image height, pixels.
            difficulty: from 0 (no noise, static camera, no foreground) to 1 (maximum noise).
            entering: whether people also enter, leave, and are cut off by the edge.

        Raises:
            ValueError: an argument outside its range.
        """
        frames = round(duration_s * fps) if np.isfinite(duration_s * fps) else 0
        if seed < 0:
            raise ValueError(f"seed: expected 0 or more, got {seed}")
        if people is not None and not 1 <= people <= MOST_PEOPLE:
            raise ValueError(f"people: expected 1 to {MOST_PEOPLE}, got {people}")
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
        cast = draw_cast(rng, people, frames, width, height)
        if entering:
            cast = with_entrances(np.random.default_rng((seed, 3)), cast, width)
        return cls(
            seed=seed,
            width=width,
            height=height,
            fps=fps,
            frame_count=frames,
            people=cast,
            background=draw_background(rng),
            foreground=draw_foreground(rng, width, height, 0.5 * difficulty),
            shake_px=_camera(rng, frames, width, difficulty),
            noise=float(rng.uniform(0, 8) * difficulty),
            gain=float(1 + rng.uniform(-0.3, 0.2) * difficulty),
        )

    @cached_property
    def boxes_xyxy_px(self) -> Boxes:
        """True boxes of every person, `(P, F, 4)` float32, clipped to the image."""
        limit = np.array([self.width, self.height] * 2, np.float32)
        return np.clip(self._whole_boxes, 0, limit).astype(np.float32)

    @cached_property
    def visible(self) -> NDArray[np.bool_]:
        """Where at least a tenth of a person's box is in the image, `(P, F)`."""
        whole, inside = (
            (boxes[..., 2:] - boxes[..., :2]).prod(axis=-1)
            for boxes in (self._whole_boxes, self.boxes_xyxy_px)
        )
        return np.asarray(inside >= _LEAST_INSIDE * whole, np.bool_)

    @property
    def border(self) -> int:
        """See `render.Drawable`."""
        return int(cv2.BORDER_REPLICATE)

    def room_view(self, frame: int) -> NDArray[np.float64]:
        """See `render.Drawable`."""
        view = np.eye(2, 3)
        view[:, 2] = self.shake_px[frame]
        return view

    def layers(self, frame: int) -> tuple[Layer, ...]:
        """See `render.Drawable`."""
        shift = self.shake_px[frame]
        order = sorted(range(len(self.people)), key=lambda at: self.people[at].ground_y_px)
        figures = [Layer(at, self.people[at].figure(frame, self.fps), shift) for at in order]
        return (*figures, Layer(-1, self.foreground, shift))

    def taken(self, image: NDArray[np.uint8], frame: int) -> NDArray[np.uint8]:
        """See `render.Drawable`: noise, and the gain of all brightnesses."""
        if self.noise == 0 and self.gain == 1:
            return image
        noise = grain(image.shape, (self.seed, frame))
        noisy = image.astype(np.float32) * self.gain + self.noise * noise
        return np.clip(noisy + 0.5, 0, 255).astype(np.uint8)

    def joints_px(self, person: int, frame: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A person's keypoints in the image, `(17, 2)`, and their visibility `(17,)`."""
        points, seen = self.people[person].joints(frame, self.fps)
        return points + self.shake_px[frame], seen

    @cached_property
    def _whole_boxes(self) -> Boxes:
        boxes = np.zeros((len(self.people), self.frame_count, 4), np.float32)
        for index, person in enumerate(self.people):
            for frame in range(self.frame_count):
                box = figure_box(person.figure(frame, self.fps))
                boxes[index, frame] = box + np.tile(self.shake_px[frame], 2)
        return boxes

    @cached_property
    def feet_px(self) -> NDArray[np.float64]:
        """Positions of all people without camera motion, `(P, F)`."""
        frames = range(self.frame_count)
        return np.array([[person.x_at(frame) for frame in frames] for person in self.people])

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """Stamps of the frames, `(F,)`, the first at 0."""
        return np.round(np.arange(self.frame_count) * 1e9 / self.fps).astype(np.int64)


def _camera(
    rng: np.random.Generator, frames: int, width: int, difficulty: float
) -> NDArray[np.float32]:
    """Shifts of a hand-held camera that pans slowly to one side, or there and back, `(F, 2)`."""
    shaky, pans = rng.random(2) < (0.6 * difficulty, 0.5 * difficulty)
    shift = rng.normal(0, 0.0012 * width * difficulty, (frames, 2)) * shaky
    reach = rng.uniform(0.012, 0.035) * width * rng.choice((-1, 1)) * pans
    turns = rng.choice((0.5, 1.0))
    shift[:, 0] += reach * np.cos(2 * np.pi * turns * np.arange(frames) / frames)
    return np.asarray(shift, np.float32)
