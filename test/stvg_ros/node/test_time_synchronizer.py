# SPDX-License-Identifier: Apache-2.0

"""Approximate synchronisation, of message_filters where it is installed, else of the package."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from stvg_ros.node import depth_feed
from stvg_ros.node.conversions import time_message


class Joined:
    """Three filters and what comes out of their synchroniser, as stamps in milliseconds."""

    def __init__(self, queue_size=10, slop_s=0.05):
        self.filters = [depth_feed.SimpleFilter() for _ in range(3)]
        self.out = []
        joined = depth_feed.ApproximateTimeSynchronizer(self.filters, queue_size, slop_s)
        joined.registerCallback(lambda *messages: self.out.append(tuple(m.ms for m in messages)))
        self.joined = joined

    def send(self, index, *stamps_ms):
        for ms in stamps_ms:
            header = SimpleNamespace(stamp=time_message(1_000_000_000 + ms * 1_000_000))
            self.filters[index].signalMessage(SimpleNamespace(header=header, ms=ms))


@pytest.fixture
def joined():
    return Joined()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_set_is_handed_on_when_its_last_message_comes(joined, order):
    for count, index in enumerate(order):
        assert joined.out == []
        joined.send(index, 100 + 10 * index)
        assert len(joined.out) == (count == 2)
    assert joined.out == [(100, 110, 120)]


def test_nothing_without_all_of_them(joined):
    joined.send(0, 100, 200)
    joined.send(1, 100, 200)
    assert joined.out == []


def test_stamps_further_apart_than_the_slop_do_not_match(joined):
    joined.send(0, 100)
    joined.send(1, 100)
    joined.send(2, 160)
    assert joined.out == []
    joined.send(2, 140)
    assert joined.out == [(100, 100, 140)]


def test_the_nearest_are_chosen_and_used_once(joined):
    joined.send(1, 70, 102, 130)
    joined.send(2, 98)
    joined.send(0, 100)
    assert joined.out == [(100, 102, 98)]
    joined.send(0, 101)
    assert len(joined.out) == 1
    joined.send(2, 103)
    assert joined.out[1:] == [(101, 130, 103)]


def test_streams_of_different_rates(joined):
    joined.send(2, *range(0, 1000, 33))
    for ms in range(0, 300, 100):
        joined.send(1, ms)
        joined.send(0, ms)
    assert joined.out == []  # what belongs to them has been pushed out
    fresh = Joined(queue_size=100)
    fresh.send(2, *range(0, 1000, 33))
    for ms in range(0, 300, 100):
        fresh.send(1, ms)
        fresh.send(0, ms)
    assert fresh.out == [(0, 0, 0), (100, 100, 99), (200, 200, 198)]


def test_a_queue_keeps_its_latest_messages():
    joined = Joined(queue_size=2)
    joined.send(0, 100, 300, 500)
    joined.send(1, 100, 300)
    joined.send(2, 100)
    assert joined.out == []
    joined.send(2, 300)
    assert joined.out == [(300, 300, 300)]


def test_the_lock_is_held_while_a_callback_runs_and_stays_held_when_it_raises(joined):
    held = []
    joined.joined.registerCallback(lambda *messages: held.append(joined.joined.lock.locked()))
    for index in range(3):
        joined.send(index, 100)
        assert not joined.joined.lock.locked()
    assert held == [True]
    joined.joined.registerCallback(lambda *messages: 1 / 0)
    joined.send(0, 200)
    joined.send(1, 200)
    with pytest.raises(ZeroDivisionError):
        joined.send(2, 200)
    assert joined.joined.lock.locked()  # the next message would wait for good
