# SPDX-License-Identifier: Apache-2.0

"""Tracks of the rendered figure in a posture, with its true joints."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stvg_lab.rendered.character import figure_joints
from stvg_lab.rendered.pose import Pose, pose_at
from stvg_lab.rendered.postures import posture_at
from stvg_ros.body.clothes import nothing_seen
from stvg_ros.body.track import BodyTrack

SIZE_PX = (640, 480)
HZ = 10.0


def still(name: str, side: int = 1) -> Callable[[float, float], Pose]:
    """A posture from its first to its last phase."""
    return lambda share, time_s: posture_at(name, share, time_s, side)


def action(name: str, side: int = 1) -> Callable[[float, float], Pose]:
    """An action of the rendered scenes."""
    return lambda share, time_s: pose_at(name, share, time_s, side)


def track_of_poses(
    pose: Callable[[float, float], Pose],
    *,
    duration_s: float = 4.0,
    height_px: float = 200.0,
    foot_px: tuple[float, float] = (320.0, 400.0),
    speed_px_s: float = 0.0,
    noise: float = 0.0,
    seed: int = 0,
    hidden: tuple[int, ...] = (),
    phase_s: float = 0.0,
    turned: bool = False,
) -> BodyTrack:
    """A track of one person with true joints.

    Args:
        pose: of the share of the time (0 to 1) and the second.
        duration_s: of the track.
        height_px: of the standing person.
        foot_px: point between the feet in the first frame.
        speed_px_s: of the feet to the image's right.
        noise: standard deviation of the joints, in torsos.
        seed: of the noise.
        hidden: numbers of joints that are not seen.
        phase_s: begin of the motion.
        turned: whether the person shows the back.
    """
    rng = np.random.default_rng(seed)
    count = round(duration_s * HZ)
    seconds = np.arange(count) / HZ
    points, visibility = np.zeros((count, 17, 2)), np.zeros((count, 17))
    for frame, second in enumerate(seconds):
        now = pose(frame / max(count - 1, 1), float(second) + phase_s)
        if turned:
            now = Pose(**{**vars(now), "turn": 1.0})
        foot = (foot_px[0] + speed_px_s * float(second), foot_px[1])
        points[frame], visibility[frame] = figure_joints(
            now, time_s=float(second) + phase_s, foot_px=foot, height_px=height_px
        )
    margin = 0.06 * height_px
    boxes = np.concatenate([points.min(axis=1) - margin, points.max(axis=1) + margin], axis=1)
    points += rng.normal(0, noise * 0.315 * height_px, points.shape)
    visibility[:, list(hidden)] = 0.0
    return BodyTrack(
        seconds,
        boxes,
        np.ones(count, np.bool_),
        points,
        visibility,
        SIZE_PX,
        nothing_seen(count),
        np.zeros((count, 2)),
        np.full(count, np.nan),
    )
