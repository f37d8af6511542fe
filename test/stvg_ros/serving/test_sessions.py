# SPDX-License-Identifier: Apache-2.0

"""The bounded, expiring store."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_ros.serving.sessions import MAX_SESSIONS, Sessions, client_of
from stvg_ros.serving.settings import ServingConfig
from stvg_ros.types import Frame

A, B = ("robot", "a"), ("robot", "b")


def frames(*ids: int) -> dict[int, Frame]:
    """Frames of 1200 bytes."""
    return {i: Frame(i, np.zeros((20, 20, 3), np.uint8), 20, 20) for i in ids}


def sessions(now_s=(0.0,), **limits) -> Sessions:
    clock = [0.0]
    made = Sessions(ServingConfig(**limits), lambda: clock[0])
    made.clock = clock
    return made


def test_a_session_that_is_not_there_has_no_frames():
    assert sessions().get(A) == {}


def test_frames_are_kept_as_they_are_and_apart():
    store, given = sessions(), frames(1, 2)
    assert store.put(A, given, 0) == 2
    assert store.put(B, frames(1), 0) == 1
    assert store.get(A)[1] is given[1]
    assert store.get(B).keys() == {1}
    assert store.nbytes == 3600


def test_frames_in_the_client_s_order():
    store, given = sessions(), frames(3, 1, 2)
    store.put(A, given, 0)
    assert store.frames(A) == [given[1], given[2], given[3]]
    assert store.frames(B) == []


def test_without_tokens_a_session_is_a_client():
    assert (client_of(A), client_of(("", "a"))) == ("robot", "a")


def test_what_left_the_window_is_forgotten():
    store = sessions()
    store.put(A, frames(1, 2, 3), 0)
    assert store.put(A, frames(4), 3) == 2
    assert list(store.get(A)) == [3, 4]


def test_a_frame_sent_twice_counts_once():
    store = sessions()
    store.put(A, frames(1), 0)
    store.put(A, frames(1), 0)
    assert store.nbytes == 1200


def test_a_large_session_loses_its_oldest_frames():
    store = sessions(session_bytes=2500)
    assert store.put(A, frames(3, 1, 2), 0) == 2
    assert set(store.get(A)) == {2, 3}


def test_the_sessions_used_least_recently_make_room():
    store = sessions(store_bytes=2500)
    store.put(A, frames(1), 0)
    store.put(B, frames(1), 0)
    store.get(A)
    store.put(("other", ""), frames(1), 0)
    assert (len(store.get(A)), len(store.get(B)), store.nbytes) == (1, 0, 2400)


def test_two_sessions_of_a_client_that_do_not_fit_together():
    store = sessions(client_bytes=3600)
    store.put(A, frames(1, 2), 0)
    store.put(B, frames(1, 2), 0)
    assert (len(store.get(A)), len(store.get(B))) == (0, 2)


def test_the_last_session_is_kept_whatever_it_weighs():
    store = sessions(store_bytes=1100)
    store.put(A, frames(1), 0)
    assert (len(store), store.nbytes) == (1, 1200)


def test_a_session_that_nobody_uses_ends():
    store = sessions(session_s=10.0)
    store.put(A, frames(1), 0)
    store.clock[0] = 9.0
    store.get(A)
    store.clock[0] = 19.0
    store.expire()
    assert len(store) == 1
    store.clock[0] = 20.0
    store.expire()
    assert (len(store), store.nbytes) == (0, 0)


def tiny(count: int, first: int = 0) -> dict[int, Frame]:
    image = np.zeros((1, 1, 3), np.uint8)
    return {i: Frame(i, image, 1, 1) for i in range(first, first + count)}


@pytest.mark.parametrize("count", [4095, 4096, 4097, 5000, 10_000])
def test_a_session_keeps_no_more_frames_than_a_command_may_name(count):
    store = sessions()
    assert store.put(A, tiny(count), 0) == min(count, 4096)
    assert max(store.get(A)) == count - 1


@pytest.mark.parametrize("count", range(1, 11))
def test_tiny_frames_weigh_what_their_objects_take(count):
    store = sessions(session_bytes=5 * 1024)
    assert store.put(A, tiny(count), 0) == min(count, 5)
    assert store.nbytes == 1024 * min(count, 5)


@pytest.mark.parametrize("count", range(2, 12))
def test_a_client_pushes_out_its_own_sessions_and_nobody_elses(count):
    store = sessions(client_bytes=3600, store_bytes=10_000)
    store.put(B, frames(1, 2, 3), 0)
    store.put(("blue", "x"), frames(1), 0)
    for number in range(count):
        store.put(("red", str(number)), frames(1), 0)
    red = [n for n in range(count) if store.get(("red", str(n)))]
    assert red == list(range(count))[-3:]
    assert len(store.get(B)) == 3
    assert len(store.get(("blue", "x"))) == 1


@pytest.mark.parametrize("store_bytes", [1200, 2400, 3600, 6000, 12_000])
def test_all_together_stay_within_the_store(store_bytes):
    store = sessions(store_bytes=store_bytes)
    for number in range(12):
        store.put((f"c{number}", ""), frames(1), 0)
        assert store.nbytes <= store_bytes
    assert store.nbytes == min(store_bytes, 12 * 1200)


def test_empty_sessions_are_bounded_by_count():
    store = sessions()
    for number in range(MAX_SESSIONS + 50):
        store.put(("", str(number)), {}, 0)
    assert len(store) == MAX_SESSIONS
