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
    assert {box.score for box in answer.boxes} == {1.0}


def test_a_candidate_that_shares_half_of_the_box_is_the_target() -> None:
    known = KnownTarget("Morgan", HERE, int(STAMPS_NS[3]))
    answer = found(known, tube(4, (0.0, 0.0, 20.0, 81.0)), tube(7, (0.0, 0.0, 20.0, 80.0)))
    assert (answer.status, answer.track_id, answer.confidence) == (Status.FOUND, 7, 0.5)


@pytest.mark.parametrize(
    "candidates",
    [(), (tube(4, THERE),), (tube(7, HERE, slice(5, 9)),), (tube(7, (0.0, 0.0, 20.0, 100.0)),)],
    ids=["none", "elsewhere", "not in that image", "another size"],
)
def test_without_such_a_candidate_the_reason_is_given(candidates: tuple[CandidateTube]) -> None:
    answer = found(KnownTarget("Morgan", HERE, int(STAMPS_NS[3])), *candidates)
    assert answer.status is Status.NOT_FOUND
    age_s = (STAMPS_NS[-1] - STAMPS_NS[3]) / 1e9
    assert f"last known box of 'Morgan', {age_s:.1f} s before the newest image" in answer.error


@pytest.mark.parametrize("before_ns", [500_000_001, 2_000_000_000, 60_000_000_000])
def test_a_target_that_left_the_window_is_not_found(before_ns: int) -> None:
    known = KnownTarget("Morgan", HERE, int(STAMPS_NS[0]) - before_ns)
    answer = found(known, tube(7, HERE))
    assert answer.status is Status.NOT_FOUND
    age_s = (STAMPS_NS[-1] - STAMPS_NS[0] + before_ns) / 1e9
    assert f"'Morgan' was seen last {age_s:.1f} s before the newest image" in answer.error
    assert "~/teach" in answer.error


def test_a_box_of_half_a_second_before_the_window_is_compared_with_its_first_image() -> None:
    known = KnownTarget("Morgan", HERE, int(STAMPS_NS[0]) - 500_000_000)
    assert found(known, tube(7, HERE, slice(0, 2))).track_id == 7
