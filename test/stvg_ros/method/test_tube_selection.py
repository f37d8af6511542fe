# SPDX-License-Identifier: Apache-2.0

"""From maps and candidates to the answer: thresholds of the model, flags of the boxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fakes import noise_clip

from stvg_ros.config import Config
from stvg_ros.method.interfaces import MllmSettings
from stvg_ros.method.tube_selection import TubeSelection, TubeView
from stvg_ros.types import CandidateTube, Query, SplitQuery, Status, Tube

SPLIT = SplitQuery("Q", "Q_s", "Q", "rules", ("action",))  # lasts: the span is the whole window


def candidate(frames: int, interpolated: list[int]) -> CandidateTube:
    flags = np.zeros(frames, np.bool_)
    flags[interpolated] = True
    boxes = np.tile(np.array([10, 10, 60, 70], np.float32), (frames, 1))
    return CandidateTube(3, boxes, np.ones(frames, np.bool_), flags)


def answer(
    margin: float, own: MllmSettings, interpolated: list[int] | None = None, **settings: float
) -> Tube:
    clip = noise_clip(6)
    heat = torch.ones(6, 2, 3)
    selection = TubeSelection(
        TubeView(clip, np.arange(6), tuple((index,) for index in range(6))),
        (candidate(6, interpolated or []),),
        (margin,),
        own,
        Config.from_flat({f"presence.{name}": value for name, value in settings.items()}),
    )
    template = Tube(Query("Q"), Status.NOT_FOUND, split=SPLIT)
    return selection.grounding(heat, heat, "<end>", template).best


@pytest.mark.parametrize("own", [-4.0, -1.0, 0.0, 0.5, 3.0])
@pytest.mark.parametrize("asked", [-2.0, 0.0, 1.5])
def test_the_thresholds_of_the_model_and_of_the_settings_add(own: float, asked: float) -> None:
    settings = MllmSettings(presence_threshold=own)
    for above, status in ((0.1, Status.FOUND), (-0.1, Status.NOT_FOUND)):
        tube = answer(own + asked + above, settings, threshold=asked, track_weight=0.0)
        assert tube.status is status
        assert tube.confidence == pytest.approx(1 / (1 + np.exp(-above)))


def test_a_box_between_detections_is_flagged() -> None:
    boxes = answer(5.0, MllmSettings(), [1, 4]).boxes
    assert [box.interpolated for box in boxes] == [False, True, False, False, True, False]
