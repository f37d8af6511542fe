# SPDX-License-Identifier: Apache-2.0

"""The thread that measures people of arriving frames."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np

from stvg_ros.body.arrivals import WAITING, ArrivalThread
from stvg_ros.boxes import Boxes
from stvg_ros.types import Frame

NOBODY = np.zeros((0, 4), np.float32)


def frame(stamp_ns: int) -> Frame:
    return Frame(stamp_ns, np.zeros((4, 4, 3), np.uint8), 4, 4)


def test_frames_are_measured_in_order_in_a_thread_of_its_own() -> None:
    seen: list[tuple[int, int]] = []

    def measure(one: Frame, boxes: Boxes) -> None:
        seen.append((one.stamp_ns, threading.get_ident()))

    thread = ArrivalThread(measure)
    thread.wait()  # nothing has arrived
    for stamp_ns in range(3):
        thread(frame(stamp_ns), NOBODY)
        thread.wait()
    assert [stamp for stamp, _ in seen] == [0, 1, 2]
    assert threading.get_ident() not in {ident for _, ident in seen}


def test_the_oldest_frames_are_dropped_where_measuring_is_slow() -> None:
    go, started, seen = threading.Event(), threading.Event(), []

    def measure(one: Frame, boxes: Boxes) -> None:
        started.set()
        go.wait()
        seen.append(one.stamp_ns)

    thread = ArrivalThread(measure)
    thread(frame(0), NOBODY)
    started.wait()
    for stamp_ns in range(1, WAITING + 4):
        thread(frame(stamp_ns), NOBODY)
    go.set()
    thread.wait()
    assert seen == [0, *range(4, WAITING + 4)]
    assert thread.dropped == 3


def test_an_error_does_not_end_it(caplog) -> None:
    seen = []

    def measure(one: Frame, boxes: Boxes) -> None:
        if not one.stamp_ns:
            raise ValueError("no points")
        seen.append(one.stamp_ns)

    thread = ArrivalThread(measure)
    for stamp_ns in range(2):
        thread(frame(stamp_ns), NOBODY)
    thread.wait()
    assert seen == [1]
    assert "keypoints: ValueError: no points" in caplog.text


def test_it_ends_without_frames_and_keeps_none_of_them() -> None:
    seen = []
    thread = ArrivalThread(lambda one, boxes: seen.append(threading.current_thread()), idle_s=0.01)
    for stamp_ns in range(2):
        image = np.zeros((4, 4, 3), np.uint8)
        kept = weakref.ref(image)
        thread(Frame(stamp_ns, image, 4, 4), NOBODY)
        thread.wait()
        seen[-1].join()
        del image
        gc.collect()
        assert kept() is None
    assert len(seen) == 2
