# SPDX-License-Identifier: Apache-2.0

"""Scenes of the splits that figures were measured on: bit for bit what they were."""

from __future__ import annotations

import hashlib

import pytest

from stvg_lab.rendered.queries import scene_queries, split_scene
from stvg_lab.rendered.reappearances import identity_scene
from stvg_lab.rendered.render import render

SCENES = {
    ("train", 0): "63d2031e454ddf97",
    ("train", 5): "8da28d7f099f88fe",
    ("val", 0): "29545c9256228e2f",
    ("val", 5): "6a9ae15f178ed0f5",
    ("test", 0): "77f2d4960b899475",
    ("test", 5): "0af8f4af0359b913",
    ("entering", 0): "1d931f75062799c3",
    ("entering", 5): "80f408195fe6f94b",
}
IDENTITY = "caf529ed684ce716"


@pytest.mark.parametrize(("split", "number"), SCENES)
def test_pictures_boxes_and_sentences_of_a_scene(split: str, number: int) -> None:
    scene, found = split_scene(split, number), hashlib.sha256()
    for frame in (0, 33, 79):
        found.update(render(scene, frame).tobytes())
        found.update(render(scene, frame, 96, 80).tobytes())
    found.update(scene.boxes_xyxy_px.tobytes())
    found.update(scene.visible.tobytes())
    found.update(repr(scene_queries(scene, seed=number)).encode())
    assert found.hexdigest()[:16] == SCENES[split, number]


def test_a_scene_of_people_who_come_back() -> None:
    made, found = identity_scene(1), hashlib.sha256()
    found.update(made.shown.tobytes())
    found.update(repr(made.absences).encode())
    found.update(made.scene.boxes_xyxy_px.tobytes())
    found.update(render(made.scene, 100, 160, 120).tobytes())
    assert found.hexdigest()[:16] == IDENTITY
