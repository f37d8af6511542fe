# SPDX-License-Identifier: Apache-2.0

"""A thread for work between commands."""

from __future__ import annotations

import threading

from stvg_ros.runtime.periodic_worker import PeriodicWorker


class Steps:
    """Counts steps; each returns the next of `pauses`."""

    def __init__(self, *pauses):
        self.pauses = list(pauses)
        self.count = threading.Semaphore(0)
        self.errors = []

    def __call__(self):
        self.count.release()
        pause = self.pauses.pop(0) if self.pauses else None
        if isinstance(pause, Exception):
            raise pause
        return pause

    def seen(self, count):
        return all(self.count.acquire(timeout=30) for _ in range(count))


def test_steps_follow_one_another_until_they_wait():
    steps = Steps(0.0, 0.0, None)
    worker = PeriodicWorker("steps", steps, steps.errors.append)
    assert steps.seen(3)
    assert not steps.count.acquire(timeout=0.05)
    worker.wake()
    assert steps.seen(1)
    worker.stop()


def test_an_error_is_reported_and_the_thread_goes_on():
    steps = Steps(ValueError("broken"))
    worker = PeriodicWorker("steps", steps, steps.errors.append)
    assert steps.seen(2)  # after a pause
    worker.stop()
    assert [str(error) for error in steps.errors] == ["broken"]


def test_stop_ends_a_thread_that_waits():
    steps = Steps()
    worker = PeriodicWorker("a name of its own", steps, steps.errors.append)
    assert steps.seen(1)
    worker.stop()
    assert all(thread.name != "a name of its own" for thread in threading.enumerate())
