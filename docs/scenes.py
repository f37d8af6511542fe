# SPDX-License-Identifier: Apache-2.0

"""Draws the pictures of rendered scenes in docs/: `python docs/scenes.py`.

rendered_scenes.jpg: each row is an action as time passes. candidate_tubes.jpg: the tubes that the
people detector finds in one scene. postures.jpg: what is measured on keypoints.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.character import Appearance, figure_at, figure_joints
from stvg_lab.rendered.clips import scene_frames
from stvg_lab.rendered.postures import CHANGES, GESTURES, POSES, posture_at
from stvg_lab.rendered.queries import split_seed
from stvg_lab.rendered.render import drawn, render
from stvg_lab.rendered.room import RoomBackdrop
from stvg_lab.rendered.scene import ACTIONS, Act, Person, Scene
from stvg_ros.build import build_proposer
from stvg_ros.config import Config
from stvg_ros.method.query import RuleSplitter
from stvg_ros.types import Clip
from stvg_ros.visualization.drawing import draw_keypoints
from stvg_ros.visualization.tube_sheet import tube_sheet

DOCS = Path(__file__).parent
COLUMNS, WIDTH, HEIGHT = 5, 200, 150


def first_scene(action: str) -> tuple[Scene, Person, Act]:
    """The first scene of three or four people in which somebody does that."""
    for seed in count(40):
        scene = Scene.from_seed(seed, people=3 + seed % 2)
        for person in scene.people:
            for act in person.acts:
                if act.name == action and abs(person.x_at(0) - scene.width / 2) < 260:
                    return scene, person, act
    raise AssertionError("unreachable")


def row(action: str) -> NDArray[np.uint8]:
    """Frames from just before the action to just after it."""
    scene, person, act = first_scene(action)
    frames = np.linspace(act.start_frame - 4, act.end_frame + 3, COLUMNS).round().astype(int)
    images = [render(scene, int(frame), WIDTH, HEIGHT) for frame in frames.clip(0, 79)]
    strip = np.ascontiguousarray(np.hstack(images))
    label = f"{person.shirt}: {action.replace('_', ' ')}"
    for rgb, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(strip, label, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, rgb, thickness)
    return strip


def candidate_tubes(seed: int = 7) -> NDArray[np.uint8]:
    """Frames of a scene of the test split with the tubes of the people detector."""
    clip = Clip(tuple(scene_frames(Scene.from_seed(split_seed("test", seed)), 0)))
    config = Config.from_flat({"proposals.source": "people_detector", "proposals.device": "cpu"})
    tubes = build_proposer(config.proposals).propose(clip, RuleSplitter().split("the person"))
    return tube_sheet(clip, tubes)


def posture(name: str, side: int) -> NDArray[np.uint8]:
    """A gesture, a pose or a change with its true keypoints, and the evidence for its words."""
    kind = "gesture" if name in GESTURES else "pose" if name in POSES else "change"
    share = 0.5 if kind != "change" else {"pick up": 0.3, "turn round": 0.5}.get(name, 0.42)
    foot = (WIDTH / 2 - 22 * side * (name in ("lying", "bending")), HEIGHT - 14.0)
    look = Appearance((40, 75, 205), (70, 74, 82), (214, 166, 130), (84, 56, 36))
    pose = posture_at(name, share, 0.45, side)
    place = {"time_s": 0.45, "foot_px": foot, "height_px": 112.0}
    room = RoomBackdrop((190, 186, 180), (170, 166, 160), (128, 112, 98), (104, 92, 82), 0.72, ())
    points, seen = figure_joints(pose, **place)  # type: ignore[arg-type]
    figure = figure_at(pose, look, **place)  # type: ignore[arg-type]
    image = np.ascontiguousarray(drawn([figure], room, WIDTH, HEIGHT))
    draw_keypoints(image, np.column_stack([points, seen]).astype(np.float32), 1)
    for rgb, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(image, name, (5, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, rgb, thickness)
    return image


def postures() -> NDArray[np.uint8]:
    """All gestures, poses and changes that are measured."""
    images = [posture(name, 1) for name in (*GESTURES, *POSES, *CHANGES)]
    images += [np.full_like(images[0], 255)] * (-len(images) % 6)
    return np.vstack([np.hstack(images[i : i + 6]) for i in range(0, len(images), 6)])


def main() -> None:
    """Writes the pictures."""
    sheets = {
        "rendered_scenes.jpg": np.vstack([row(action) for action in ACTIONS]),
        "candidate_tubes.jpg": candidate_tubes(),
        "postures.jpg": postures(),
    }
    for name, sheet in sheets.items():
        cv2.imwrite(str(DOCS / name), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
        print(DOCS / name)


if __name__ == "__main__":
    main()
