# SPDX-License-Identifier: Apache-2.0

"""The tube of a target that has a name."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import noise_clip

from stvg_ros.known_target import KnownTarget
from stvg_ros.method.known_tube import known_grounding
from stvg_ros.types import CandidateTube, Query, Status, Tube

CLIP = noise_clip()
STAMPS_NS = CLIP.stamps_ns
HERE, THERE = (0.0, 0.0, 20.0, 40.0), (60.0, 0.0, 80.0, 40.0)
TEMPLATE = Tube(Query("Morgan"), Status.NOT_FOUND)


def tube(track: int, box: tuple[float, ...], present: slice = slice(None)) -> CandidateTube:
    shown = np.zeros(len(CLIP), np.bool_)
    shown[present] = True
    boxes = np.tile(np.array(box, np.float32), (len(CLIP), 1))
    return CandidateTube(track, boxes, shown, np.zeros(len(CLIP), np.bool_))


def found(known: KnownTarget, *candidates: CandidateTube) -> Tube:
    return known_grounding(known, CLIP, candidates, TEMPLATE).best


def test_the_candidate_with_the_last_known_box_is_the_target() -> None:
    known = KnownTarget("Morgan", HERE, int(STAMPS_NS[3]))
    answer = found(known, tube(4, THERE), tube(7, HERE, slice(2, 6)))
    assert (answer.status, answer.track_id, answer.confidence) == (Status.FOUND, 7, 1.0)
    assert [box.stamp_ns for box in answer.boxes] == STAMPS_NS[2:6].tolist()
    assert (answer.start_ns, answer.end_ns) == (STAMPS_NS[2], STAMPS_NS[5])
    assert answer.boxes[0].box_xyxy_px == HERE


@pytest.mark.parametrize(
    "candidates",
    [(), (tube(4, THERE),), (tube(7, HERE, slice(5, 9)),), (tube(7, (0.0, 0.0, 20.0, 100.0)),)],
    ids=["none", "elsewhere", "not in that image", "another size"],
)
def test_without_such_a_candidate_the_reason_is_given(candidates: tuple[CandidateTube]) -> None:
    answer = found(KnownTarget("Morgan", HERE, int(STAMPS_NS[3])), *candidates)
    assert answer.status is Status.NOT_FOUND
    assert "last known box of 'Morgan'" in answer.error


@pytest.mark.parametrize("apart_s", [-2.0, -60.0])
def test_a_target_that_left_the_window_is_not_found(apart_s: float) -> None:
    known = KnownTarget("Morgan", HERE, int(STAMPS_NS[0] + apart_s * 1e9))
    answer = found(known, tube(7, HERE))
    assert answer.status is Status.NOT_FOUND
    assert "'Morgan' was seen last" in answer.error
    assert "~/teach" in answer.error
