# SPDX-License-Identifier: Apache-2.0

"""Tubes that came with the command, over its clip and parts of it."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import FixedProposer

from stvg_ros.serving.client_tubes import ClientTubesOverride
from stvg_ros.types import CandidateTube, Clip, Frame, SplitQuery

SPLIT = SplitQuery("a", "a", "a", "none")


def clip(count):
    return Clip(tuple(Frame(i, np.zeros((2, 2, 3), np.uint8), 8, 8) for i in range(count)))


def tube(track_id, present, masks=None):
    here = np.array(present, np.bool_)
    boxes = np.arange(4 * len(here), dtype=np.float32).reshape(-1, 4)
    return CandidateTube(track_id, boxes, here, ~here, masks=masks)


@pytest.fixture
def override():
    return ClientTubesOverride(FixedProposer((1.0, 2.0, 3.0, 4.0)))


def test_without_tubes_the_inner_source_is_asked(override):
    assert override.propose(clip(3), SPLIT)[0].boxes_xyxy_px.tolist() == [[1, 2, 3, 4]] * 3
    override.give(clip(3), (tube(7, [1, 1, 1]),))
    assert (override.name, override.propose(clip(3), SPLIT)[0].track_id) == ("given", 7)
    for without in (override.forget, lambda: override.give(clip(3), None)):
        without()
        assert override.name != "given"
        assert len(override.propose(clip(3), SPLIT)) == 1


@pytest.mark.parametrize(
    ("first", "last"), [(first, last) for first in range(5) for last in range(first, 5)]
)
def test_a_part_of_the_clip_has_the_tubes_that_are_in_it(override, first, last):
    whole = clip(5)
    masks = np.zeros((5, 1, 2), np.bool_)
    early, late = tube(1, [1, 1, 0, 0, 0], masks), tube(2, [0, 0, 0, 1, 1])
    override.give(whole, (early, late))
    found = override.propose(Clip(whole.frames[first : last + 1]), SPLIT)
    assert [one.track_id for one in found] == [1] * (first < 2) + [2] * (last > 2)
    for one in found:
        assert one.boxes_xyxy_px[0, 0] == 4 * first
        assert len(one.interpolated) == last - first + 1
        assert one.masks is None or len(one.masks) == last - first + 1


def test_no_tubes_of_the_client_mean_none(override):
    override.give(clip(3), ())
    assert override.propose(clip(3), SPLIT) == ()
