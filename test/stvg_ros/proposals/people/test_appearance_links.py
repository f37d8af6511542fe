# SPDX-License-Identifier: Apache-2.0

"""Tracks by hand: who met, was hidden or left is joined by what they look like."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes
from stvg_ros.identity.descriptor import TubeDescriptor
from stvg_ros.proposals.people.appearance_links import linked_by_appearance
from stvg_ros.proposals.people.byte_track import Track
from stvg_ros.proposals.people.kalman import started
from stvg_ros.proposals.people.transformer_detector import PeopleProposer
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import Clip, Frame, SplitQuery

ANN, BOB, NOBODY = np.eye(3, dtype=np.float32)


class Badges:
    """Sees who is who by the first values of a vector."""

    name = "badges"

    def __call__(
        self,
        image: NDArray[np.uint8],
        boxes_xyxy_px: Boxes,
        keypoints: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        raise AssertionError("nothing is described here")

    def similarity(
        self, first: NDArray[np.float32], second: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        lengths = [np.linalg.norm(v, axis=1, keepdims=True) for v in (first, second)]
        return np.asarray(0.02 + 0.96 * (first / lengths[0]) @ (second / lengths[1]).T, np.float32)


def track(frames: Iterable[int], looks: Iterable[NDArray[np.float32]], x: float = 0.0) -> Track:
    """Boxes of 20 x 50 at one place."""
    made = Track(
        started(np.array([x, 10, x + 20, 60], np.float32)), np.full(64, 1 / 64, np.float32)
    )
    for frame, look in zip(frames, looks, strict=True):
        made.boxes[frame] = np.array([x, 10, x + 20, 60], np.float32)
        made.scores[frame], made.looks[frame] = 0.9, (look, 1.0)
        made.shapes.add(frame)
    return made


def people(tracks: list[Track], max_gap: int = 30) -> list[tuple[list[int], list[int]]]:
    """For each linked track: its frames, and who is in them."""
    linked = linked_by_appearance(tracks, max_gap, Badges())
    return sorted(
        (sorted(one.boxes), [int(one.looks[f][0].argmax()) for f in sorted(one.boxes)])
        for one in linked
    )


def test_no_track() -> None:
    assert linked_by_appearance([], 10, Badges()) == []


def test_one_track_stays_one() -> None:
    ((frames, who),) = people([track(range(12), [ANN] * 12)])
    assert frames == list(range(12)) and set(who) == {0}


def test_two_who_were_exchanged_while_they_met_are_exchanged_again() -> None:
    first = track(range(20), [ANN] * 10 + [BOB] * 10)
    second = track(range(20), [BOB] * 10 + [ANN] * 10)
    for frame in (*range(8), *range(12, 20)):
        second.boxes[frame] = second.boxes[frame] + np.array([22, 0, 22, 0], np.float32)
    found = people([first, second])
    assert len(found) == 2
    for frames, who in found:
        assert frames == list(range(20))
        assert len({*who[:8], *who[12:]}) == 1  # one person before and after the meeting


def test_a_gap_in_which_the_person_changes_is_cut() -> None:
    frames = [*range(10), *range(20, 30)]
    assert len(people([track(frames, [ANN] * 20)])) == 1
    assert len(people([track(frames, [ANN] * 10 + [BOB] * 10)])) == 2


def test_who_comes_back_after_long_is_recognised_and_was_absent() -> None:
    tracks = [track(range(10), [ANN] * 10), track(range(100, 110), [ANN] * 10, 200.0)]
    (back,) = linked_by_appearance(tracks, 30, Badges())
    assert back.absences == [(9, 100)]
    tracks = [track(range(10), [ANN] * 10), track(range(100, 110), [BOB] * 10, 200.0)]
    assert len(people(tracks)) == 2


def test_nobody_is_recognised_among_two_who_look_alike() -> None:
    tracks = [track(range(10), [ANN] * 10)]
    tracks += [track(range(100, 110), [ANN] * 10, x) for x in (200.0, 300.0)]
    assert len(people(tracks)) == 3


def test_who_is_at_one_time_at_two_places_is_two_people() -> None:
    tracks = [track(range(10), [ANN] * 10), track(range(10), [ANN] * 10, 200.0)]
    assert len(people(tracks)) == 2


@pytest.mark.parametrize(("x", "count"), [(0.0, 1), (10.0, 1), (400.0, 2)])
def test_without_appearance_the_way_decides(x: float, count: int) -> None:
    tracks = [track(range(10), [NOBODY] * 10), track(range(16, 26), [NOBODY] * 10, x)]
    for one in tracks:
        one.looks.clear()
    linked = linked_by_appearance(tracks, 30, Badges())
    assert len(linked) == count
    assert all(not one.absences for one in linked)


def test_badges_are_descriptors() -> None:
    tube = TubeDescriptor(Badges())
    tube.add(ANN)
    other = TubeDescriptor(Badges())
    other.add(BOB)
    assert tube.similarity(tube) > 0.9 and tube.similarity(other) < 0.1


class Visitor:
    """A person in red trousers, who is out of sight in between and comes back elsewhere."""

    name = "fake"
    new_track_score = 0.5
    smoothing_s = 0.0
    every = 1

    def __call__(self, image: NDArray[np.uint8]) -> tuple[Boxes, NDArray[np.float32]]:
        places = np.flatnonzero((image[150, :, 0] > 150) & (image[150, :, 1] < 60))
        if not len(places):
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        left = float(places[0])
        return np.array([[left, 40, left + 60, 200]], np.float32), np.ones(1, np.float32)


def test_a_tube_ends_while_its_person_is_away_and_goes_on_later() -> None:
    frames = []
    for index in range(70):
        image = np.full((240, 480, 3), 140, np.uint8)
        if not 10 <= index < 60:
            left = 100 if index < 10 else 330
            image[40:120, left : left + 60] = (30, 60, 210)
            image[120:200, left : left + 60] = (200, 30, 30)
        frames.append(Frame(10**8 * index, image, 480, 240))
    proposer = PeopleProposer(ProposalConfig(), Visitor())
    (tube,) = proposer.propose(Clip(tuple(frames)), SplitQuery("x", "x", "x", "rules"))
    assert np.flatnonzero(tube.present).tolist() == [*range(10), *range(60, 70)]
    assert not tube.interpolated.any()
