# SPDX-License-Identifier: Apache-2.0

"""The bounded, expiring store."""

from __future__ import annotations

import numpy as np

from stvg_ros.serving.sessions import Sessions
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


def test_a_session_that_nobody_uses_ends():
    store = sessions(session_s=10.0)
    store.put(A, frames(1), 0)
    store.clock[0] = 9.0
    store.get(A)
    store.clock[0] = 18.0
    store.expire()
    assert len(store) == 1
    store.clock[0] = 20.0
    store.expire()
    assert (len(store), store.nbytes) == (0, 0)
