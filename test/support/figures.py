# SPDX-License-Identifier: Apache-2.0

"""Tracks of the rendered figure in a posture, with its true joints."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stvg_lab.rendered.character import Appearance, figure_at, figure_joints
from stvg_lab.rendered.picture_conditions import PictureCondition, taken
from stvg_lab.rendered.pose import Pose, pose_at
from stvg_lab.rendered.postures import posture_at
from stvg_lab.rendered.render import drawn
from stvg_lab.rendered.room import RoomBackdrop
from stvg_ros.body.clothes import looks, nothing_seen
from stvg_ros.body.track import BodyTrack
from stvg_ros.colours import light_of

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


CLEAN = PictureCondition()
ROOM = RoomBackdrop((176, 170, 160), (150, 146, 140), (120, 104, 90), (96, 84, 74), 0.6, ())
GREY_TROUSERS = (84, 84, 90)


def dressed(shirt_rgb: tuple[int, int, int], **given: object) -> Appearance:
    """A person with grey trousers and dark hair, unless given."""
    worn = {"trousers_rgb": GREY_TROUSERS, "skin_rgb": (214, 166, 130), "hair_rgb": (40, 30, 26)}
    return Appearance(shirt_rgb=shirt_rgb, **{**worn, **given})  # type: ignore[arg-type]


def look_at(
    tracks: list[BodyTrack],
    poses: list[Callable[[float, float], Pose]],
    worn: list[Appearance],
    feet_px: list[tuple[float, float]],
    frames: tuple[int, ...] = (5, 15, 25),
    condition: PictureCondition = CLEAN,
) -> None:
    """Measures the colours of people in some rendered frames, in place."""
    count = len(tracks[0])
    for frame in frames:
        figures = []
        for pose, look, foot in zip(poses, worn, feet_px, strict=True):
            second = float(tracks[0].seconds[frame])
            now = pose(frame / max(count - 1, 1), second)
            figures.append(figure_at(now, look, time_s=second, foot_px=foot, height_px=200.0))
        image = taken(drawn(figures, ROOM, *SIZE_PX), condition)
        seen = light_of(image)
        for track in tracks:
            points, box = track.points_px[frame], track.boxes_xyxy_px[frame]
            found = looks(image, points, track.visibility[frame], box, seen)
            track.looks.shares[frame] = found.shares
            track.looks.lab[frame] = found.lab
            track.looks.contrast[frame] = found.contrast
