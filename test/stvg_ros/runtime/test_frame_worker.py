# SPDX-License-Identifier: Apache-2.0

"""Frames between camera and proposer: bounded in bytes and age, the newest one wins."""

from __future__ import annotations

import threading
import time
import weakref

import numpy as np
import pytest

from stvg_ros.runtime.frame_bus import FrameBus
from stvg_ros.runtime.frame_worker import FrameWorker
from stvg_ros.types import Frame

PATIENT_S = 30.0


def frame(stamp_s, side=8):
    return Frame(round(stamp_s * 1e9), np.zeros((side, side, 3), np.uint8), side, side)


class Held:
    """A handler that stays in its first frame until it may go on."""

    def __init__(self, **bounds):
        self.go, self.first, self.idle = (threading.Event() for _ in range(3))
        self.seen: list[tuple[str, float]] = []
        self.errors: list[Exception] = []
        self.worker = FrameWorker([self.handle], self.errors.append, **bounds)

    def handle(self, camera, one):
        self.seen.append((camera, one.stamp_ns / 1e9))
        self.first.set()
        assert self.go.wait(PATIENT_S)
        if one.stamp_ns >= 99e9:
            self.idle.set()

    def begin(self):
        self.worker.frame_stored("", frame(0.0))
        assert self.first.wait(PATIENT_S)
        assert self.worker.fill == (0, 0)

    def finish(self, camera=""):
        """What was handled after the first frame, but for the last one that this adds."""
        self.worker.frame_stored("the end", frame(99.0))
        self.go.set()
        assert self.idle.wait(PATIENT_S)
        self.worker.stop()
        return self.seen[1:-1]


@pytest.fixture
def held():
    made = []

    def make(**bounds):
        made.append(Held(**bounds))
        made[-1].begin()
        return made[-1]

    yield make
    for one in made:
        one.go.set()
        one.worker.stop()


def test_frames_are_handled_in_order_when_there_is_time(held):
    h = held()
    for stamp_s in (0.1, 0.2, 0.3):
        h.worker.frame_stored("", frame(stamp_s))
    assert h.finish() == [("", 0.1), ("", 0.2), ("", 0.3)]
    assert h.worker.dropped == 0


# Waiting frames as (camera, stamp in s, side in px); at most 0.5 s and four frames of 8 px wait.
WAITING = {
    "one": ([("", 7.0, 8)], [0]),
    "within the age": ([("", 0.1, 8), ("", 0.5, 8), ("", 0.6, 8)], [0, 1, 2]),
    "one too old": ([("", 0.1, 8), ("", 0.6, 8), ("", 0.7, 8)], [1, 2]),
    "a gap": ([("", 0.1, 8), ("", 40.0, 8)], [1]),
    "a gap after three": ([("", 0.1, 8), ("", 0.2, 8), ("", 0.3, 8), ("", 5.0, 8)], [3]),
    "cameras age by their own stamps": (
        [("front", 1.0, 8), ("rear", 50.0, 8), ("front", 1.1, 8)], [0, 1, 2],
    ),
    "one camera too old": (
        [("front", 1.0, 8), ("rear", 50.0, 8), ("front", 9.0, 8)], [1, 2],
    ),
    "both cameras too old": (
        [("front", 1.0, 8), ("rear", 50.0, 8), ("front", 9.0, 8), ("rear", 51.0, 8)], [2, 3],
    ),
    "equal stamps": ([("", 1.0, 8)] * 3, [0, 1, 2]),
    "more bytes": ([("", n / 100, 8) for n in range(7)], [3, 4, 5, 6]),
    "more bytes of two cameras": ([("ab"[n % 2], n / 100, 8) for n in range(6)], [2, 3, 4, 5]),
    "a large one": ([("", 0.1, 8), ("", 0.2, 8), ("", 0.3, 16)], [2]),
    "larger than the bound": ([("", 0.1, 8), ("", 0.2, 64)], [1]),
    "small after the large one": ([("", 0.1, 64), ("", 0.2, 8)], [1]),
    "a stamp that is earlier": ([("", 0.6, 8), ("", 0.3, 8)], [0, 1]),
    "a slow camera": ([("", 10.0 * n, 8) for n in range(1, 5)], [3]),
}  # fmt: skip


@pytest.mark.parametrize(("waiting", "kept"), WAITING.values(), ids=WAITING)
def test_the_newest_frames_within_age_and_bytes_wait(held, waiting, kept):
    h = held(max_bytes=4 * 3 * 8 * 8, max_age_s=0.5)
    for camera, stamp_s, side in waiting:
        h.worker.frame_stored(camera, frame(stamp_s, side))
        count, held_bytes = h.worker.fill
        assert held_bytes <= 4 * 3 * 8 * 8 or count == 1
    assert h.worker.dropped == len(waiting) - len(kept)
    h.go.set()
    while h.worker.fill[0]:
        time.sleep(0.01)
    assert h.finish() == [waiting[index][:2] for index in kept]


@pytest.mark.parametrize("side", [8, 16, 64])
def test_bytes_are_bounded_and_the_newest_frame_stays(held, side):
    size = 3 * side * side
    h = held(max_bytes=4 * size, max_age_s=1000.0)
    for number in range(1, 20):
        h.worker.frame_stored("", frame(number, side))
        count, held_bytes = h.worker.fill
        assert held_bytes == count * size <= 4 * size
    assert [stamp_s for _, stamp_s in h.seen] == [0.0]
    h.worker.frame_stored("", frame(20.0, 4 * side))  # larger than the bound by itself
    assert h.worker.fill[0] == 1


def test_what_is_dropped_is_released(held):
    h = held(max_age_s=0.5)
    alive = weakref.WeakSet()
    for number in range(1, 250):
        one = frame(number * 0.066, 64)
        alive.add(one)
        h.worker.frame_stored("", one)
        del one
    assert len(alive) == h.worker.fill[0] <= 9


def test_a_restart_drops_the_old_time_line_of_its_camera(held):
    h = held()
    h.worker.frame_stored("front", frame(100.0))
    h.worker.frame_stored("rear", frame(100.0))
    h.worker.window_restarted("front")
    h.worker.frame_stored("front", frame(2.0))
    assert h.finish() == [("rear", 100.0), ("front", 2.0)]


def test_a_handler_that_fails_is_reported_and_the_next_frame_comes():
    done, errors = threading.Event(), []

    def handle(camera, one):
        if one.stamp_ns == 0:
            raise RuntimeError("the lens is dirty")
        done.set()

    worker = FrameWorker([handle], errors.append)
    worker.frame_stored("", frame(0.0))
    worker.frame_stored("", frame(0.1))
    assert done.wait(PATIENT_S)
    worker.stop()
    assert [str(error) for error in errors] == ["the lens is dirty"]


class Listener:
    def __init__(self, fails=False):
        self.told, self.fails = [], fails

    def frame_stored(self, camera, one):
        self.told.append((camera, one.stamp_ns))
        if self.fails:
            raise RuntimeError("no")

    def window_restarted(self, camera):
        self.told.append((camera, "restarted"))
        if self.fails:
            raise RuntimeError("no")


def test_all_listeners_receive_all_frames_though_one_fails():
    bus, listeners = FrameBus(), [Listener(), Listener(fails=True), Listener()]
    for listener in listeners:
        bus.add(listener)
    bus.frame_stored("front", frame(1.0))
    bus.window_restarted("front")
    bus.remove(listeners[0])
    bus.remove(listeners[0])
    bus.frame_stored("front", frame(0.5))
    first = [("front", 10**9), ("front", "restarted")]
    assert listeners[0].told == first
    assert listeners[1].told == listeners[2].told == [*first, ("front", 5 * 10**8)]
