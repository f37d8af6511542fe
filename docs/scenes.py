# SPDX-License-Identifier: Apache-2.0

"""Draws docs/rendered_scenes.jpg: `python docs/scenes.py`. Each row is an action as time passes."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.render import render
from stvg_lab.rendered.scene import ACTIONS, Act, Person, Scene

PICTURE = Path(__file__).with_suffix("").with_name("rendered_scenes.jpg")
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


def main() -> None:
    """Writes the picture."""
    sheet = np.vstack([row(action) for action in ACTIONS])
    cv2.imwrite(str(PICTURE), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    print(PICTURE)


if __name__ == "__main__":
    main()
