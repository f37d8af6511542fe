# SPDX-License-Identifier: Apache-2.0

"""Tubes that came with a command, cut to the asked window."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import FixedProposer, noise_clip

from stvg_ros.serving.client_tubes import ClientTubesOverride
from stvg_ros.types import Clip, SplitQuery

QUERY = SplitQuery("Q", "Q", "Q", "none")
BOX = (10.0, 10.0, 40.0, 60.0)


@pytest.mark.parametrize("first", range(9))
def test_a_tube_that_is_not_in_the_asked_window_is_left_out(first: int) -> None:
    clip = noise_clip(10)
    tubes = FixedProposer(BOX).propose(clip, QUERY)
    tubes += FixedProposer(BOX, present=slice(0, 4)).propose(clip, QUERY)
    source = ClientTubesOverride(FixedProposer())
    source.give(clip, tubes)
    part = Clip(clip.frames[first:])
    found = source.propose(part, QUERY)
    assert len(found) == (2 if first < 4 else 1)
    assert all(len(tube.present) == len(part) and tube.present.any() for tube in found)
    source.forget()
    assert source.propose(part, QUERY) == ()
    assert source.name == "fixed"


def test_boxes_stay_with_their_frames() -> None:
    clip = noise_clip(10)
    (tube,) = FixedProposer(BOX).propose(clip, QUERY)
    tube.boxes_xyxy_px[:, 0] = np.arange(10)
    source = ClientTubesOverride(FixedProposer())
    source.give(clip, (tube,))
    (found,) = source.propose(Clip(clip.frames[3:7]), QUERY)
    assert found.boxes_xyxy_px[:, 0].tolist() == [3, 4, 5, 6]
