# SPDX-License-Identifier: Apache-2.0

"""Plain shapes, and the points of a torso that they are made from."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.pose import Pose

Rgb = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Prop:
    """One filled shape.

    Attributes:
        points_px: `(N, 2)`; one point is a disc, two a limb with round ends, more a polygon.
        radius_px: of the disc, or half the limb's thickness; 0 for a polygon.
        rgb: colour.
        body: whether it is part of the person's box (a carton is not).
    """

    points_px: NDArray[np.float64]
    radius_px: float
    rgb: Rgb
    body: bool = True


@dataclass(frozen=True, eq=False)
class Layer:
    """Shapes of one owner in a frame, back to front.

    Attributes:
        owner: index of the person or thing whose shapes they are, -1 for anything else.
        props: the shapes.
        shift_px: `(2,)` what is added to their points in the image.
    """

    owner: int
    props: tuple[Prop, ...]
    shift_px: NDArray[np.floating]


class TorsoFrame:
    """Points of the torso in the image, and shapes made from them."""

    def __init__(self, pose: Pose, foot_px: Point, height_px: float) -> None:
        self.tall = height_px
        self.ground = foot_px
        self.hip = (foot_px[0], foot_px[1] - (pose.hip + pose.lift) * height_px)
        self.away = pose.turn > 0.5
        self.breadth = max(0.45, abs(1 - 2 * pose.turn))
        lean = radians(pose.lean)
        self._up, self._across = (sin(lean), -cos(lean)), (cos(lean), sin(lean))

    def at(self, along: float, sideways: float) -> Point:
        """A point of the torso, in body heights up from the hips and to the image's right."""
        sideways *= self.breadth
        return (
            self.hip[0] + self.tall * (along * self._up[0] + sideways * self._across[0]),
            self.hip[1] + self.tall * (along * self._up[1] + sideways * self._across[1]),
        )

    def limb(self, points: list[Point], radius: float, rgb: Rgb) -> Prop:
        return Prop(np.array(points), radius * self.tall, rgb)

    def patch(self, corners: tuple[Point, ...], rgb: Rgb) -> Prop:
        """A polygon on the torso."""
        return Prop(np.array([self.at(*corner) for corner in corners]), 0.0, rgb)
