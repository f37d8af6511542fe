# SPDX-License-Identifier: Apache-2.0

"""What happens one after another: segments, evidence and span."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from figures import still, track_of_poses

from stvg_ros.body.body_evidence import found_on, ordered
from stvg_ros.body.measures import measure_of
from stvg_ros.body.sentence_parts import stages
from stvg_ros.body.sequence import segments, span_frames, whole_run
from stvg_ros.body.track import BodyTrack
from stvg_ros.commands.reader import grammar_reader
from stvg_ros.method.evidence import evident_run
from stvg_ros.types import CandidateTube, SourceFinding

SECONDS = np.arange(8) / 10


def test_segments_follow_the_evidence_in_the_order_of_the_stages() -> None:
    first = np.array([4.0, 4, 4, -4, -4, -4, -4, -4])
    last = -first
    assert segments([first, last], SECONDS) == [(0, 3), (3, 8)]
    # The other way round one of them has a frame only, in which it does not happen.
    (begin, end), _ = segments([last, first], SECONDS)
    assert begin == 0 and (last[:end].max() < 0 or first[end:].max() < 0)


def test_a_long_stage_leaves_the_time_of_a_short_one() -> None:
    """Who waves stands as well, all the time."""
    seconds = np.arange(80) / 10
    stands, waves = np.full(80, 4.0), np.full(80, -4.0)
    waves[30:50] = 4.0
    (_, end), (begin, _) = segments([stands, waves], seconds)
    assert end == begin <= 31


def test_the_span_goes_over_the_change_between_two_stages() -> None:
    seconds = np.arange(60) / 10
    first, last = np.full(60, -4.0), np.full(60, -4.0)
    first[5:20], last[40:50] = 4.0, 4.0
    times = segments([first, last], seconds)
    run = whole_run([first, last], times, seconds)
    assert run == (5, 50)
    total = sum(span_frames(nats, times, n, run) for n, nats in enumerate((first, last)))
    assert evident_run(np.asarray(total), (seconds * 1e9).astype(np.int64)) == (5, 49)


def measured(sentence: str, *tracks: BodyTrack) -> dict[str, SourceFinding]:
    command = grammar_reader("rules").read(sentence)
    measures = {
        i: found for i, f in enumerate(command.features) if (found := measure_of(f)) is not None
    }
    tubes = [
        CandidateTube(n, t.boxes_xyxy_px.astype(np.float32), t.present, np.zeros_like(t.present))
        for n, t in enumerate(tracks)
    ]
    found = {i: found_on(one, tracks, tubes) for i, one in measures.items()}
    found |= ordered(found, measures, stages(command.features, command.target), tracks)
    return {command.features[i].text: one for i, one in found.items()}


def one_then(first: str, last: str, at: float = 0.5) -> Callable[[float, float], object]:
    before, after = still(first), still(last)
    return lambda share, t: before(0.5, t) if share < at else after(0.5, t)


@pytest.mark.parametrize(
    ("sentence", "first", "last"),
    [
        ("the person who stands, then squats", "standing", "crouching"),
        ("the person who sits, then lies", "sitting", "lying"),
        ("the person who waves, then crosses the arms", "wave", "cross arms"),
    ],
)
def test_the_one_who_does_it_in_this_order(sentence: str, first: str, last: str) -> None:
    right, wrong, half = (
        track_of_poses(pose, duration_s=6, noise=0.05)  # type: ignore[arg-type]
        for pose in (one_then(first, last), one_then(last, first), still(first))
    )
    found = measured(sentence, right, wrong, half)
    weakest = [min(one.tubes[track] for one in found.values()) for track in range(3)]
    assert weakest[0] > 1
    assert max(weakest[1:]) < 0
    total = np.sum([one.frames[0] for one in found.values()], axis=0)
    begin, end = evident_run(total, (right.seconds * 1e9).astype(np.int64))
    assert begin <= 2 and end >= 57


def test_without_an_order_both_are_measured_at_all_times() -> None:
    track = track_of_poses(still("wave"), duration_s=4)
    found = measured("the person who stands and waves", track)
    assert min(one.tubes[0] for one in found.values()) > 1
    assert ordered({}, {}, [], []) == {}
