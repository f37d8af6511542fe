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

SPLIT = SplitQuery("Q", "Q_s", "Q", "rules", ("action",))  # no action


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


def spans(
    present: list[int], split: SplitQuery, **settings: str | int
) -> tuple[int, int, list[int]]:
    """First and last frame of the answer, and those with a box, of 20 frames with a peak at 6."""
    clip, frames = noise_clip(20), 20
    there = np.isin(np.arange(frames), present)
    boxes = np.tile(np.array([0, 0, 64, 48], np.float32), (frames, 1))
    tube = CandidateTube(3, boxes, there, np.zeros(frames, np.bool_))
    heat = torch.ones(10, 2, 3)
    heat[3] = 9.0  # frames 6 and 7
    sampled = np.arange(0, frames, 2)
    selection = TubeSelection(
        TubeView(clip, sampled, tuple((index,) for index in range(10))),
        (tube,), (5.0,), MllmSettings(),
        Config.from_flat({f"span.{name}": value for name, value in settings.items()}),
    )  # fmt: skip
    found = selection.grounding(
        heat, heat, "<end>", Tube(Query("Q"), Status.NOT_FOUND, split=split)
    ).best
    at = clip.stamps_ns.tolist()
    boxed = [at.index(box.stamp_ns) for box in found.boxes]
    return at.index(found.start_ns), at.index(found.end_ns), boxed


WALKS = SplitQuery("Q", "Q_s", "Q_t", "rules")
COMES = [*range(3, 9), *range(11, 16)]  # between two sampled frames, with a gap


@pytest.mark.parametrize("method", ["adaptive", "change_points"])
def test_a_query_without_an_action_lasts_while_its_target_is_there(method: str) -> None:
    assert spans(COMES, SPLIT, method=method) == (3, 15, COMES)
    # Or, as before, as long as the window; the boxes are those that there are.
    whole = spans(COMES, SPLIT, method=method, without_action="window")
    assert whole == (0, 19, COMES)
    # An action has its own span, whatever this setting.
    for without_action in ("presence", "window"):
        timed = spans(COMES, WALKS, method=method, without_action=without_action)
        assert timed == (5, 7, [5, 6, 7])


@pytest.mark.parametrize("method", ["top_k", "contiguous", "window"])
def test_fixed_spans_do_not_depend_on_the_kind_of_query(method: str) -> None:
    there = list(range(3, 16))
    assert spans(there, SPLIT, method=method) == spans(there, WALKS, method=method)
