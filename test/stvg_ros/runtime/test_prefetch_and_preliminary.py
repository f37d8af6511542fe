# SPDX-License-Identifier: Apache-2.0

"""What the queue does beside answering: frames encoded in idle time, answers before tuning."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from fakes import noise_clip

from stvg_ros.method.base import BaseGrounder
from stvg_ros.runtime.camera_search import CameraSearch, CameraViews
from stvg_ros.runtime.grounding_job import QueueLimits
from stvg_ros.runtime.grounding_queue import GroundingQueue
from stvg_ros.types import Clip, Grounding, Query, Status, Tube

PATIENT_S = 30.0


class Steady(BaseGrounder):
    """Finds everything; has `slots` slots to encode ahead, or fails at it."""

    def __init__(self, slots: int = 0, broken: bool = False) -> None:
        self.slots, self.broken = slots, broken
        self.prepared: list[Clip] = []
        self.idle = threading.Event()

    def prefetch(self, clip: Clip) -> bool:
        self.prepared.append(clip)
        if len(self.prepared) > self.slots:
            self.idle.set()
        if self.broken:
            raise RuntimeError("no memory")
        return len(self.prepared) <= self.slots

    def ground(self, clip: Clip, query: Query, checkpoint: Any, *early: Any) -> Grounding:
        for call in early:
            call(Grounding((Tube(query, Status.FOUND, preliminary=True),)))
        return Grounding((Tube(query, Status.FOUND),))


def answered(queue: GroundingQueue, query: Query, always: bool = False) -> list[Tube]:
    """All tubes of a command in order, the preliminary one first."""
    tubes: list[Tube] = []
    done = threading.Event()

    def last(grounding: Grounding) -> None:
        tubes.append(grounding.best)
        done.set()

    views = CameraViews({"left": noise_clip(2)})
    search = CameraSearch(
        query,
        views,
        preliminary=lambda grounding: tubes.append(grounding.best),
        always_preliminary=always,
    )
    queue.submit(search.job(last))
    assert done.wait(PATIENT_S)
    return tubes


@pytest.mark.parametrize("broken", [False, True])
def test_idle_time_goes_into_the_windows_frames(broken: bool) -> None:
    grounder, clip = Steady(slots=0 if broken else 3, broken=broken), noise_clip(4)
    queue = GroundingQueue(
        lambda: grounder,
        QueueLimits(),
        idle=lambda grounder: 0.0 if grounder.prefetch(clip) else None,
    )
    assert grounder.idle.wait(PATIENT_S)
    assert grounder.prepared == [clip] * (1 if broken else 4)
    assert answered(queue, Query("the dog"))[0].status is Status.FOUND
    assert queue.stop(PATIENT_S)


@pytest.mark.parametrize(
    ("query", "always", "wanted"),
    [
        (Query("the dog"), False, [False]),
        (Query("the dog", preliminary=True), False, [True, False]),
        (Query("the dog"), True, [True, False]),
    ],
)
def test_preliminary_answers_come_where_asked_for(
    query: Query, always: bool, wanted: list[bool]
) -> None:
    queue = GroundingQueue(Steady, QueueLimits())
    tubes = answered(queue, query, always)
    assert [tube.preliminary for tube in tubes] == wanted
    assert {tube.camera for tube in tubes} == {"left"}
    assert queue.answered["FOUND"] == 1
    assert queue.stop(PATIENT_S)


def test_an_error_in_publishing_early_does_not_cost_the_answer() -> None:
    done = threading.Event()

    def fails(grounding: Grounding) -> None:
        raise RuntimeError("no publisher")

    queue = GroundingQueue(Steady, QueueLimits())
    query = Query("x", preliminary=True)
    search = CameraSearch(query, CameraViews({"": noise_clip(2)}), preliminary=fails)
    queue.submit(search.job(lambda found: done.set()))
    assert done.wait(PATIENT_S)
    assert queue.answered["FOUND"] == 1
    assert queue.stop(PATIENT_S)
