# SPDX-License-Identifier: Apache-2.0

"""Tubes from detections of another node."""

import gc

import numpy as np
import pytest

from stvg_ros.errors import ProposalError
from stvg_ros.external_detections import ExternalDetections
from stvg_ros.proposals.external import ExternalProposer
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import Clip, Frame, SplitQuery

QUERY = SplitQuery("the cup", "the cup", "moves", "rules")
Row = tuple[float, float, float, float]


def clip_of(count: int = 12) -> Clip:
    """At 10 Hz; cameras of 200 x 100 px, stored at 100 x 50."""
    return Clip(
        tuple(
            Frame(index * 100_000_000, np.full((50, 100, 3), 90, np.uint8), 200, 100)
            for index in range(count)
        )
    )


def seen(
    *boxes: Row, ids: tuple[str, ...] = (), scores: tuple[float, ...] = ()
) -> ExternalDetections:
    count = len(boxes)
    return ExternalDetections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores or [0.9] * count, np.float32),
        ids or ("",) * count,
    )


def at(x: float) -> Row:
    return (x, 20, x + 20, 60)


def test_track_ids_are_kept_through_a_crossing() -> None:
    clip, source = clip_of(), ExternalProposer(ProposalConfig())
    for index, frame in enumerate(clip.frames):
        source.put(frame, seen(at(10 * index), at(110 - 10 * index), ids=("a", "b")))
    first, second = source.propose(clip, QUERY)
    assert first.boxes_xyxy_px[:, 0].tolist() == [10 * i for i in range(12)]
    assert second.boxes_xyxy_px[:, 0].tolist() == [110 - 10 * i for i in range(12)]
    assert first.present.all() and not first.interpolated.any()
    assert first.score == pytest.approx(0.9)


def test_without_ids_the_boxes_are_linked_by_place() -> None:
    clip, source = clip_of(), ExternalProposer(ProposalConfig())
    for index, frame in enumerate(clip.frames):
        source.put(frame, seen(at(5 * index), at(150), scores=(0.0, 0.2)))
    tubes = source.propose(clip, QUERY)
    assert sorted(tube.boxes_xyxy_px[-1, 0] for tube in tubes) == [55, 150]
    assert all(tube.present.all() for tube in tubes)


def test_images_between_detections_are_interpolated() -> None:
    clip, source = clip_of(9), ExternalProposer(ProposalConfig())
    for index in (0, 4, 8):
        source.put(clip.frames[index], seen(at(4 * index)))
    (tube,) = source.propose(clip, QUERY)
    assert tube.boxes_xyxy_px[:, 0].tolist() == [4 * i for i in range(9)]
    assert np.flatnonzero(~tube.interpolated).tolist() == [0, 4, 8]


def test_boxes_outside_the_image_are_cut_or_dropped_and_counted() -> None:
    clip, source = clip_of(3), ExternalProposer(ProposalConfig())
    wild = (at(190), at(500), (30.0, 60.0, 50.0, 20.0), (float("nan"), 0.0, 9.0, 9.0))
    for frame in clip.frames:
        source.put(frame, seen(*wild))
    (tube,) = source.propose(clip, QUERY)
    assert tube.boxes_xyxy_px[0].tolist() == [190, 20, 200, 60]
    assert (source.counts.boxes, source.counts.dropped) == (3, 9)


def test_nothing_seen_is_an_empty_answer() -> None:
    clip, source = clip_of(3), ExternalProposer(ProposalConfig())
    for frame in clip.frames:
        source.put(frame, seen())
    assert source.propose(clip, QUERY) == ()


def test_short_tracks_are_dropped() -> None:
    clip, source = clip_of(), ExternalProposer(ProposalConfig())
    for index, frame in enumerate(clip.frames):
        source.put(frame, seen(*[at(10)][: index < 2], ids=("a",)[: index < 2]))
    assert source.propose(clip, QUERY) == ()
    source.reconfigure(ProposalConfig(min_frames=2))
    assert len(source.propose(clip, QUERY)) == 1


def test_no_message_and_no_match_are_told_apart() -> None:
    clip, source = clip_of(3), ExternalProposer(ProposalConfig())
    with pytest.raises(ProposalError, match="no message has come on ~/detections for the 3 images"):
        source.propose(clip, QUERY)
    source.received(10_200_000_000)
    with pytest.raises(ProposalError, match=r"none of 1 messages .*\+10.000 s from .*slop_s"):
        source.propose(clip, QUERY)


def test_detections_go_with_their_images() -> None:
    clip, source = clip_of(3), ExternalProposer(ProposalConfig())
    frame = clip.frames[0]
    source.put(frame, seen(at(0)))
    assert source.of(frame) is not None
    copy = Frame(0, np.zeros((50, 100, 3), np.uint8), 200, 100)
    assert source.of(copy) is None
    source.put(copy, seen(at(0)))
    assert len(list(source._detected)) == 2
    del copy
    gc.collect()
    assert len(list(source._detected)) == 1


def test_a_target_is_followed_by_its_id_or_by_its_place() -> None:
    clip, source = clip_of(6), ExternalProposer(ProposalConfig())
    box = np.array(at(0), np.float32)
    source.put(clip.frames[0], seen(at(1), at(60), ids=("a", "b")))
    follower = source.follower(clip.frames[0], box)
    assert follower.update(clip.frames[1]) is None  # no detections yet
    source.put(clip.frames[1], seen(at(2), at(120), ids=("b", "a")))
    sighting = follower.update(clip.frames[1])
    assert sighting is not None and sighting.seen and sighting.box_xyxy_px[0] == 120
    source.put(clip.frames[2], seen())
    sighting = follower.update(clip.frames[2])
    assert sighting is not None and not sighting.seen
    source.put(clip.frames[3], seen(at(124), ids=("c",)))  # the detector counts anew
    sighting = follower.update(clip.frames[3])
    assert sighting is not None and sighting.seen and sighting.box_xyxy_px[0] == 124
    source.put(clip.frames[4], seen(at(20), ids=("d",)))
    sighting = follower.update(clip.frames[4])
    assert sighting is not None and not sighting.seen


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected boxes \(1, 4\) and scores \(1,\)"):
        ExternalDetections(np.zeros((2, 4), np.float32), np.zeros(1, np.float32), ("a",))
