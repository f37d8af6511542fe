# SPDX-License-Identifier: Apache-2.0

"""Draws the pictures of rendered scenes in docs/: `python docs/scenes.py`, or those named.

hard_scenes.jpg: one hard scene for each condition, with a sentence and its true box.
hard_people.jpg: garments, gestures and poses. rendered_scenes.jpg: each row is an action as time
passes. candidate_tubes.jpg: the tubes that the people detector finds in one scene. postures.jpg:
what is measured on keypoints.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.character import Appearance, figure_at, figure_joints
from stvg_lab.rendered.clips import scene_frames
from stvg_lab.rendered.garments import GARMENTS
from stvg_lab.rendered.hard.actor import GESTURES as HARD_GESTURES
from stvg_lab.rendered.hard.actor import POSES as HARD_POSES
from stvg_lab.rendered.hard.actor import Actor, Doing
from stvg_lab.rendered.hard.hard_queries import hard_queries
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.hard.scene_conditions import CONDITIONS
from stvg_lab.rendered.hard.things import Thing
from stvg_lab.rendered.picture_conditions import PictureCondition
from stvg_lab.rendered.postures import CHANGES, GESTURES, POSES, posture_at
from stvg_lab.rendered.queries import split_seed
from stvg_lab.rendered.render import drawn, render
from stvg_lab.rendered.room import RoomBackdrop
from stvg_lab.rendered.scene import ACTIONS, Act, Person, Scene
from stvg_lab.rendered.scene_generator import COLOURS, draw_look
from stvg_ros.build import build_proposer
from stvg_ros.config import Config
from stvg_ros.method.query import RuleSplitter
from stvg_ros.types import Clip
from stvg_ros.visualization.drawing import draw_keypoints
from stvg_ros.visualization.tube_sheet import tube_sheet

DOCS = Path(__file__).parent
COLUMNS, WIDTH, HEIGHT = 5, 200, 150
FIRST_CHOICE = {  # kind of the sentence that is shown for a condition
    "dark": "garment", "backlit": "relation", "jpeg": "object", "moving camera": "change",
    "half hidden": "holding", "far away": "pose", "entering and leaving": "movement",
    "twins": "order",
}  # fmt: skip


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
    asked = {"source": "people_detector", "people_detector": "embedded", "device": "cpu"}
    config = Config.from_flat({f"proposals.{name}": value for name, value in asked.items()})
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


def captioned(image: NDArray[np.uint8], *lines: str) -> NDArray[np.uint8]:
    """The image with lines of text above it."""
    sheet = np.vstack([np.full((16 * len(lines) + 4, image.shape[1], 3), 255, np.uint8), image])
    for number, line in enumerate(lines):
        place = (4, 13 + 16 * number)
        cv2.putText(sheet, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    return sheet


def hard_scenes() -> NDArray[np.uint8]:
    """A scene for each condition: a frame within the span of one sentence, and its true box."""
    images = []
    for number, name in enumerate(CONDITIONS):
        seed = split_seed("test-hard", 60 + number)
        scene = HardScene.from_seed(seed, conditions=(name,))
        queries = hard_queries(scene, "test-hard", number)
        shown = [one for one in queries if one.target is not None and len(one.text) < 50]
        query = min(shown, key=lambda one: one.kind != FIRST_CHOICE.get(name, "gesture"))
        frame = (query.start_frame + query.end_frame) // 2
        image = render(scene, frame, 320, 240)
        assert query.target is not None
        x1, y1, x2, y2 = (scene.boxes_xyxy_px[query.target, frame] / 2).round().astype(int).tolist()
        cv2.rectangle(image, (x1, y1), (x2, y2), (60, 230, 60), 1)
        images.append(captioned(image, name, query.text))
    return np.vstack([np.hstack(images[i : i + 3]) for i in range(0, len(images), 3)])


def hard_people() -> NDArray[np.uint8]:
    """Each garment from the front and behind, each gesture of an arm, each pose."""
    scene = HardScene.from_seed(split_seed("test-hard", 0))
    place = {"x_px": 100.0, "ground_y_px": 206.0, "height_px": 170.0, "phase": 0.4}
    still_camera = np.tile(np.eye(2, 3), (scene.frame_count, 1, 1))
    room = RoomBackdrop((190, 186, 180), (170, 166, 160), (128, 112, 98), (104, 92, 82), 0.72, ())
    colours, images = list(COLOURS), []

    def add(label: str, garment: str, **given: object) -> None:
        colour = colours[len(images) % len(colours)]
        look = draw_look(np.random.default_rng(len(images)), colour)
        look = replace(look, hat_rgb=None, bag=None, garment=garment)
        actor = Actor(colour, look, **{**place, **given})  # type: ignore[arg-type]
        things = ()
        if actor.holds:
            things = (Thing(actor.holds, "red", (200, 38, 40), 170.0, (0.0, 206.0), 0),)
        alone = replace(
            scene, width=200, height=220, people=(actor,), things=things, background=room,
            foreground=(), views=still_camera, condition=PictureCondition(), figure_light=1.0,
        )  # fmt: skip
        images.append(captioned(render(alone, 40), label))

    for garment in GARMENTS:
        add(garment, garment)
    for garment in GARMENTS:
        add(f"{garment}, from behind", garment, away=True)
    for number, name in enumerate(HARD_GESTURES):
        side = {"raise right arm": -1, "point left": -1}.get(name, 1)
        holds = "cup" if name == "drink" else ""
        doing = Doing(name, 30, 50, side, place["x_px"])
        add(name, GARMENTS[number % len(GARMENTS)], doings=(doing,), holds=holds)
    for number, name in enumerate(HARD_POSES):
        add(name, GARMENTS[number], first_pose=name, holds="ball" if name == "standing" else "")
    images += [np.full_like(images[0], 255)] * (-len(images) % 6)
    return np.vstack([np.hstack(images[i : i + 6]) for i in range(0, len(images), 6)])


def main() -> None:
    """Writes the pictures that are named, or all."""
    sheets = {
        "rendered_scenes.jpg": lambda: np.vstack([row(action) for action in ACTIONS]),
        "candidate_tubes.jpg": candidate_tubes,
        "postures.jpg": postures,
        "hard_scenes.jpg": hard_scenes,
        "hard_people.jpg": hard_people,
    }
    for name in sys.argv[1:] or sheets:
        sheet = sheets[name]()
        cv2.imwrite(str(DOCS / name), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
        print(DOCS / name)


if __name__ == "__main__":
    main()
