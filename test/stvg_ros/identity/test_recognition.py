# SPDX-License-Identifier: Apache-2.0

"""Somebody whose appearance is known, among the candidates of an answer."""

from __future__ import annotations

import numpy as np
from scripted_people import BLUE, GREEN, RED, STEP_NS, ScriptedSource, Walker, box_at, frame_at

from stvg_ros.identity.garment_colours import GarmentColours
from stvg_ros.identity.recognition import agrees, clip_of_candidates, recognised
from stvg_ros.identity.tube_describer import TubeDescriber, spread
from stvg_ros.types import Clip, Grounding, Query, SplitQuery, Status, Tube

WALKERS = (Walker(RED, [(0, 40, 100)]), Walker(BLUE, [(0, 40, 220)]))
CLIP = Clip(tuple(frame_at(index, WALKERS) for index in range(10)))
DESCRIBER = TubeDescriber(GarmentColours())
TUBES = ScriptedSource({"": WALKERS}).propose(CLIP, SplitQuery("a", "a", "a", "none"))


def looks(rgb):
    clip = Clip(tuple(frame_at(index, (Walker(rgb, [(0, 40, 60)]),)) for index in range(5)))
    return DESCRIBER.of_boxes(clip.frames, [box_at(60)] * 5)


def answer(status=Status.NOT_FOUND, track_id=-1):
    tube = Tube(Query("find Morgan"), status, track_id=track_id, stamp_ns=CLIP.frames[-1].stamp_ns)
    return Grounding((tube,), candidates=TUBES)


def test_the_candidate_who_looks_alike_is_the_answer():
    tube = recognised(answer(), CLIP, looks(RED), DESCRIBER, "'Morgan'").best
    assert (tube.status, tube.track_id, len(tube.boxes)) == (Status.FOUND, 0, 10)
    assert tube.boxes[0].box_xyxy_px == box_at(100)
    assert tube.confidence > 0.5
    assert tube.decided.startswith("appearance")


def test_nobody_who_looks_alike_is_an_answer_with_the_reason():
    result = recognised(answer(Status.FOUND, 0), CLIP, looks(GREEN), DESCRIBER, "'Morgan'")
    assert (result.best.status, result.best.boxes) == (Status.NOT_FOUND, ())
    assert result.best.error.startswith("'Morgan' is not recognised: the most similar person")
    assert result.candidates == TUBES


def test_a_tube_that_shows_somebody_else_does_not_agree():
    assert agrees(answer(Status.FOUND, 0), CLIP, looks(RED), DESCRIBER)
    assert not agrees(answer(Status.FOUND, 1), CLIP, looks(RED), DESCRIBER)
    assert agrees(answer(Status.FOUND, 9), CLIP, looks(RED), DESCRIBER)  # not a candidate
    assert agrees(answer(Status.FOUND, 1), CLIP, DESCRIBER.empty(), DESCRIBER)


def test_the_clip_of_the_candidates_ends_at_the_answers_newest_image():
    longer = Clip(tuple(frame_at(index, WALKERS) for index in range(-5, 15)))
    part = clip_of_candidates(answer(), longer)
    assert part.stamps_ns.tolist() == CLIP.stamps_ns.tolist()
    assert clip_of_candidates(Grounding((Tube(Query("x"), Status.FOUND),)), longer) is None
    assert clip_of_candidates(answer(), Clip(CLIP.frames[:5])) is None


def test_only_new_frames_are_described():
    since = [10**9 + 6 * STEP_NS, 10**9 + 20 * STEP_NS]
    red, blue = DESCRIBER.of_tubes(CLIP, TUBES, since)
    assert (red.frames, blue.frames) == (3, 0)
    assert DESCRIBER.of_tubes(CLIP, TUBES, most=2)[0].frames == 2


def test_indices_are_spread_and_the_last_is_one_of_them():
    assert spread(3, 8).tolist() == [0, 1, 2]
    assert spread(0, 8).tolist() == []
    assert spread(10, 4).tolist() == [0, 3, 6, 9]
    assert np.diff(spread(100, 8)).min() >= 14
