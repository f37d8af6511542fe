# SPDX-License-Identifier: Apache-2.0

"""The sliding window: bounds, order, time jumps."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_ros.depth import Depth, Intrinsics
from stvg_ros.errors import NoImagesError
from stvg_ros.images import reduced, reduced_size
from stvg_ros.types import Frame
from stvg_ros.window import FrameOutcome, Window, WindowConfig

SECOND = 1_000_000_000


def frame(stamp_s: float, size: int = 4) -> Frame:
    return Frame(round(stamp_s * SECOND), np.zeros((size, size, 3), np.uint8), size, size)


def stamps(window: Window) -> list[float]:
    return [f.stamp_ns / SECOND for f in window.snapshot().frames]


def test_an_empty_window_names_the_remedy():
    window = Window(WindowConfig())
    assert window.fill == (0, 0.0, 0)
    with pytest.raises(NoImagesError, match=r"image\.qos"):
        window.snapshot()


def test_old_frames_go_by_their_stamps():
    window = Window(WindowConfig(duration_s=2.0, max_rate_hz=0.0))
    for stamp_s in (1, 2, 3, 3.5):
        window.add(frame(stamp_s))
    assert stamps(window) == [2, 3, 3.5]
    assert window.fill == (3, 1.5, 3 * 48)


def test_a_window_spans_the_time_from_its_oldest_to_its_newest_frame():
    window = Window(WindowConfig(duration_s=2.0, max_rate_hz=0.0))
    assert not window.spans(SECOND)
    for stamp_s in (1, 2, 4):
        window.add(frame(stamp_s))
    times = (1.9, 2.0, 3.0, 4.0, 4.1)
    assert [window.spans(round(time_s * SECOND)) for time_s in times] == [0, 1, 1, 1, 0]


def test_bytes_bound_the_window_and_the_newest_frame_stays():
    window = Window(WindowConfig(max_bytes=100, max_rate_hz=0.0))
    for stamp_s in (1, 2, 3):
        window.add(frame(stamp_s))
    assert stamps(window) == [2, 3]
    window.reconfigure(WindowConfig(max_bytes=1))
    assert stamps(window) == [3]


def test_the_rate_is_limited_with_a_tolerance_for_jitter():
    window = Window(WindowConfig(max_rate_hz=10.0))
    outcomes = [window.add(frame(s)) for s in (0.0, 0.05, 0.095, 0.2)]
    assert outcomes == [
        FrameOutcome.STORED,
        FrameOutcome.THINNED,
        FrameOutcome.STORED,
        FrameOutcome.STORED,
    ]
    assert not window.wanted(round(0.21 * SECOND))
    assert window.wanted(round(0.3 * SECOND))
    assert window.counts == {"stored": 3, "thinned": 2, "late": 0, "restarted": 0}


@pytest.mark.parametrize("stamp_s", [10.0, 9.6])
def test_a_late_frame_is_dropped_and_counted(stamp_s):
    window = Window(WindowConfig())
    window.add(frame(10))
    assert window.add(frame(stamp_s)) is FrameOutcome.LATE
    assert stamps(window) == [10]


def test_a_jump_back_starts_a_new_window():
    window = Window(WindowConfig())
    window.add(frame(10))
    assert window.add(frame(3)) is FrameOutcome.RESTARTED
    assert stamps(window) == [3]
    assert window.fill[2] == 48


def test_another_resolution_starts_a_new_window():
    window = Window(WindowConfig())
    window.add(frame(1))
    assert window.add(frame(2, size=8)) is FrameOutcome.RESTARTED
    assert stamps(window) == [2]


def test_a_snapshot_does_not_change_and_copies_no_pixels():
    window = Window(WindowConfig())
    first = frame(1)
    window.add(first)
    clip = window.snapshot()
    window.add(frame(2))
    window.clear()
    assert len(clip) == 1
    assert clip.frames[0].image is first.image


def test_reduction_keeps_the_aspect_and_never_enlarges():
    assert reduced_size(1920, 1080, 640) == (640, 360)
    assert reduced_size(320, 240, 640) == (320, 240)
    assert reduced_size(5000, 1, 100) == (100, 1)
    small = np.zeros((3, 4, 3), np.uint8)
    assert reduced(small, 640) is small


def test_depth_counts_to_the_bytes_of_a_window_from_when_it_comes():
    window = Window(WindowConfig(max_bytes=10_000, max_rate_hz=0.0))
    for stamp_s in (1, 2):
        window.add(frame(stamp_s))
    intrinsics = Intrinsics(4.0, 4.0, 2.0, 2.0)
    assert window.attach(2 * SECOND, Depth(np.ones((10, 10), np.float32), intrinsics))
    assert window.fill == (2, 1.0, 2 * 48 + 400)
    window.reconfigure(WindowConfig(max_bytes=490, max_rate_hz=0.0))
    assert stamps(window) == [2]
    assert window.fill == (1, 0.0, 48 + 400)


def test_the_bounds_are_inclusive():
    window = Window(WindowConfig(duration_s=2.0, max_bytes=3 * 48, max_rate_hz=0.0))
    for stamp_s in (1, 2, 3):
        window.add(frame(stamp_s))
    assert stamps(window) == [1, 2, 3]


@pytest.mark.parametrize("rate_hz", [0.5, 1.0, 10.0])
def test_a_frame_nine_tenths_of_a_period_later_is_stored(rate_hz):
    window = Window(WindowConfig(max_rate_hz=rate_hz))
    wanted_ns = round(0.9 * SECOND / rate_hz)
    window.add(frame(1))
    assert not window.wanted(SECOND + wanted_ns - 1)
    assert window.wanted(SECOND + wanted_ns)


def test_frames_are_found_by_their_exact_stamps():
    window = Window(WindowConfig(max_rate_hz=0.0))
    given = [frame(stamp_s) for stamp_s in (1, 2, 3)]
    for one in given:
        window.add(one)
    assert [window.frame(one.stamp_ns) for one in given] == given
    assert window.frame(SECOND + 1) is None
    depth = Depth(np.ones((2, 2), np.float32), Intrinsics(4.0, 4.0, 2.0, 2.0))
    assert not window.attach(SECOND + 1, depth)
    assert [window.attach(one.stamp_ns, depth) for one in given] == [True] * 3
    assert [one.depth for one in window.snapshot().frames] == [depth] * 3


def test_a_cleared_window_begins_anew():
    window = Window(WindowConfig(max_rate_hz=0.0))
    for stamp_s in (10, 11, 12, 13, 14, 9000):  # the last one is held
        window.add(frame(stamp_s))
    window.clear()
    assert window.fill == (0, 0.0, 0)
    window.add(frame(3, size=8))
    window.add(frame(4, size=8))
    assert stamps(window) == [3, 4]
    assert window.fill == (2, 1.0, 2 * 192)
    assert window.counts == {"stored": 7, "thinned": 0, "late": 0, "restarted": 0}
