# SPDX-License-Identifier: Apache-2.0

"""Computes the position of a box in space from an aligned depth image.

Frames follow the optical convention: x right, y down, z forward, metres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, float]
# Minimum fraction of pixels with depth for a meaningful median.
MIN_VALID_SHARE = 0.05


@dataclass(frozen=True)
class Intrinsics:
    """A camera, in pixels of the colour image; pixel centres are whole numbers.

    Attributes:
        fx, fy: focal lengths.
        cx, cy: the principal point.
        distortion: coefficients of the lens in OpenCV's order: k1, k2, p1, p2, k3, ... of
            plumb_bob and rational_polynomial, or the four of an equidistant fisheye; empty for
            none.
        fisheye: whether the coefficients are of a fisheye.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()
    fisheye: bool = False

    def __post_init__(self) -> None:
        counts = (0, 4) if self.fisheye else (0, 4, 5, 8, 12, 14)
        if len(self.distortion) not in counts:
            raise ValueError(
                f"Intrinsics.distortion: expected one of {counts} coefficients, "
                f"got {len(self.distortion)}"
            )
        values = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not (np.all(np.isfinite(values)) and self.fx > 0 and self.fy > 0):
            raise ValueError(
                f"Intrinsics: expected finite numbers with fx and fy above 0, got {values}; "
                "is the camera calibrated?"
            )

    def scaled(self, x: float, y: float) -> Intrinsics:
        """The intrinsics of the same image resized by the factors `x` and `y`."""
        # The image's edge is half a pixel from the centre of its first pixel.
        return replace(
            self,
            fx=self.fx * x,
            fy=self.fy * y,
            cx=(self.cx + 0.5) * x - 0.5,
            cy=(self.cy + 0.5) * y - 0.5,
        )

    def cropped(self, left: int, top: int) -> Intrinsics:
        """The intrinsics of the same image without its first columns and rows."""
        return replace(self, cx=self.cx - left, cy=self.cy - top)

    def ray(self, u: float, v: float) -> tuple[float, float] | None:
        """x / z and y / z of the ray through a pixel; None if the lens model cannot be inverted."""
        point = (u - self.cx) / self.fx, (v - self.cy) / self.fy
        if not any(self.distortion):
            return point
        import cv2

        identity, zero = np.eye(3), np.zeros(3)
        lens = np.array(self.distortion, np.float64)
        seen = np.array([[point]], np.float64)
        steps = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 200, 1e-12)
        if self.fisheye:
            found = cv2.fisheye.undistortPoints(seen, identity, lens, criteria=steps)
        else:
            found = cv2.undistortPointsIter(seen, identity, lens, None, None, steps)
        x, y = (float(value) for value in found.ravel())
        # Outside the calibrated region the inversion is arbitrary: check it by projecting back.
        ray = np.array([[[x, y, 1.0]]])
        project = cv2.fisheye.projectPoints if self.fisheye else cv2.projectPoints
        back = project(ray, zero, zero, identity, lens)[0].ravel()
        error_px = np.abs(back - seen.ravel()) * (self.fx, self.fy)
        return (x, y) if np.isfinite(error_px).all() and error_px.max() < 1.0 else None


@dataclass(frozen=True, eq=False)
class Depth:
    """A depth image aligned to the colour image of the same stamp.

    Attributes:
        metres: `(h, w)` float32 distance along z; NaN where unknown. It may be smaller than the
            colour image and has the same field of view.
        intrinsics: of the colour image, in the camera's own pixels.
    """

    metres: NDArray[np.float32]
    intrinsics: Intrinsics

    def __post_init__(self) -> None:
        if self.metres.ndim != 2 or 0 in self.metres.shape or self.metres.dtype != np.float32:
            raise ValueError(
                f"Depth.metres: expected (h, w) float32, got {self.metres.shape} "
                f"{self.metres.dtype}"
            )


def thinned(depth: NDArray[np.generic], long_side_px: int) -> NDArray[np.generic]:
    """Every k-th row and column, so that the long side is at most `long_side_px`.

    Depths are not averaged, since the mean across an object's edge is not a real depth.
    """
    step = -(-max(depth.shape) // long_side_px)
    # Starts in the middle of the first block, which a narrow image does not fill.
    first = [min(step, count) // 2 for count in depth.shape]
    return depth[first[0] :: step, first[1] :: step]


def position_m(
    box_xyxy_px: tuple[float, float, float, float],
    depth: Depth,
    size_px: tuple[int, int],
    mask: NDArray[np.bool_] | None = None,
) -> Point | None:
    """Position of an object in the camera frame: the ray of its centre at its median depth.

    Boxes are in pixels of the received image, so the ray is corrected for lens distortion.

    Args:
        box_xyxy_px: in pixels of the colour image.
        depth: at the image's stamp.
        size_px: width and height of the colour image.
        mask: `(h, w)` of the depth image's shape, true on the object; None uses the box.

    Returns:
        x, y, z; or None if too few pixels have a depth, or the lens model does not cover the box.
    """
    rows, columns = depth.metres.shape
    x_scale, y_scale = columns / size_px[0], rows / size_px[1]
    x_min, y_min, x_max, y_max = box_xyxy_px
    if mask is not None and mask.shape != depth.metres.shape:
        raise ValueError(f"mask: expected {depth.metres.shape}, got {mask.shape}")
    left, right = _pixels(x_min * x_scale, x_max * x_scale, columns)
    top, bottom = _pixels(y_min * y_scale, y_max * y_scale, rows)
    inside = depth.metres[top:bottom, left:right]
    if mask is not None:
        inside = inside[mask[top:bottom, left:right]]
    known = inside[np.isfinite(inside) & (inside > 0)]
    if not known.size or known.size < MIN_VALID_SHARE * inside.size:
        return None
    z = float(np.median(known))
    eye = depth.intrinsics
    ray = eye.ray((x_min + x_max) / 2 - 0.5, (y_min + y_max) / 2 - 0.5)
    return (ray[0] * z, ray[1] * z, z) if ray is not None else None


def _pixels(low: float, high: float, count: int) -> tuple[int, int]:
    """The pixels whose centres lie between two edges; at least one of `count`."""
    first = min(max(round(low), 0), count - 1)
    return first, min(max(round(high), first + 1), count)


@dataclass(frozen=True)
class RigidTransform:
    """A rotation followed by a translation, as in tf2.

    Attributes:
        translation_m: x, y, z.
        rotation_xyzw: a quaternion of any positive norm.
    """

    translation_m: Point
    rotation_xyzw: tuple[float, float, float, float]

    def __call__(self, point_m: Point) -> Point:
        """The point in the target frame."""
        q = np.array(self.rotation_xyzw, np.float64)
        q /= np.linalg.norm(q)
        axis, w = q[:3], q[3]
        point = np.array(point_m, np.float64)
        turned = point + 2 * np.cross(axis, np.cross(axis, point) + w * point)
        x, y, z = turned + np.array(self.translation_m)
        return float(x), float(y), float(z)
