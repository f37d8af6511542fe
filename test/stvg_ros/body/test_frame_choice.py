# SPDX-License-Identifier: Apache-2.0

"""Frames that a command measures: evenly spaced, those that are ready first, few others."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_ros.body.frame_choice import MOST_LATE, frames_to_measure, spread

SECONDS = np.arange(100) / 10
ALL, NONE = np.ones((3, 100), np.bool_), np.zeros((3, 100), np.bool_)


def test_without_frames_or_tubes_nothing_is_measured() -> None:
    nothing = np.zeros((0, 100), np.bool_)
    assert frames_to_measure(nothing, nothing, SECONDS, 12).shape == (0, 100)
    assert not frames_to_measure(NONE, NONE, SECONDS, 12).any()
    assert not frames_to_measure(NONE, NONE, SECONDS, None).any()


@pytest.mark.parametrize(
    ("most", "expected"), [(0, []), (1, [5]), (2, [2, 7]), (5, [1, 3, 5, 7, 9]), (12, range(10))]
)
def test_frames_are_evenly_spaced(most: int, expected: list[int]) -> None:
    assert spread(np.arange(10), most).tolist() == list(expected)


@pytest.mark.parametrize(("most", "count"), [(12, 12), (None, 100)])
def test_if_nothing_is_measured_on_arrival_all_that_are_asked_for_are_measured(
    most: int | None, count: int
) -> None:
    wanted = frames_to_measure(ALL, NONE, SECONDS, most)
    assert wanted.sum(axis=1).tolist() == [count] * 3


def test_frames_measured_on_arrival_stand_for_those_near_them() -> None:
    ready = NONE.copy()
    ready[:, ::5] = True
    wanted = frames_to_measure(ALL, ready, SECONDS, 12)
    assert not (wanted & ~ready).any()
    assert (wanted.sum(axis=1) == 12).all()
    # Each frame is within 0.25 s of a ready one.
    assert (frames_to_measure(ALL, ready, SECONDS, None)[:, :98] == ready[:, :98]).all()


def test_a_part_that_was_missed_is_measured_at_the_command() -> None:
    ready = ALL.copy()
    ready[0, 40:60] = False
    wanted = frames_to_measure(ALL, ready, SECONDS, None)
    assert wanted[0, 43:57].all()  # of the frames near a ready one, none is measured again
    assert not wanted[0, [40, 41, 58, 59]].any()
    assert wanted[1:].all()


def test_few_of_the_others_are_measured_evenly_over_tubes_and_time() -> None:
    ready = ALL.copy()
    ready[1:] = False
    wanted = frames_to_measure(ALL, ready, SECONDS, None)
    assert wanted[0].all()
    assert wanted[1:].sum(axis=1).tolist() == [MOST_LATE // 2] * 2
    assert np.ptp(np.diff(np.flatnonzero(wanted[1]))) <= 1
    crowd = np.ones((40, 100), np.bool_)
    some = np.zeros_like(crowd)
    some[0] = True
    assert (frames_to_measure(crowd, some, SECONDS, None).sum(axis=1)[1:] == 1).all()


def test_only_frames_that_are_due_are_measured() -> None:
    due = NONE.copy()
    due[0, 20:30] = True
    ready = NONE.copy()
    ready[:, 10:25] = True
    wanted = frames_to_measure(due, ready, SECONDS, 4)
    assert not (wanted & ~due).any()
    assert wanted[0].any() and not wanted[1:].any()
