# SPDX-License-Identifier: Apache-2.0

"""People who walk from one rendered room into another are recognised by their garments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stvg_lab.rendered.character import Appearance, Rgb
from stvg_lab.rendered.person import Act, Person
from stvg_lab.rendered.render import render
from stvg_lab.rendered.scene import Scene
from stvg_ros.identity.descriptor import SAME_PERSON, Vectors
from stvg_ros.identity.garment_colours import GarmentColours

RED, BLUE, GREEN = (196, 36, 40), (40, 70, 190), (40, 140, 70)


def person(shirt: Rgb, trousers: Rgb, x_px: float) -> Person:
    look = Appearance(shirt, trousers, (224, 180, 150), (60, 40, 30))
    return Person("red", look, 170.0, x_px, 330.0, 0.0, (Act("wave", 0, 20, x_px, 1),))


def looks(seed: int, *people: Person) -> Vectors:
    """The people of a room over some images; its walls are those of the seed."""
    scene = Scene.from_seed(
        seed, people=1, duration_s=4, fps=5, width=480, height=360, difficulty=0.0
    )
    room = replace(scene, people=people, foreground=())
    garments = GarmentColours()
    rows = [garments(render(room, at), room.boxes_xyxy_px[:, at]) for at in range(0, 20, 3)]
    return np.asarray(np.mean(rows, axis=0), np.float32)


def test_a_person_is_recognised_in_another_room() -> None:
    red = person(RED, (50, 50, 60), 250.0)
    front = looks(1, red, person(BLUE, (120, 110, 90), 90.0))
    recognised = []
    for seed in range(2, 9):
        left = looks(seed, person(GREEN, (90, 90, 90), 380.0), replace(red, x_px=180.0))
        other, own = GarmentColours().similarity(front[:1], left)[0].tolist()
        assert other < 0.05
        recognised.append(own > SAME_PERSON)
    # The walls of one room are so dark and coloured that they pass for the light.
    assert sum(recognised) >= 6
