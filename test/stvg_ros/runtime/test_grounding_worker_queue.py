# SPDX-License-Identifier: Apache-2.0

"""The worker without ROS: who gets it, and what becomes of the grounder."""

from __future__ import annotations

import threading

import pytest
from fakes import noise_clip

from stvg_ros.errors import ErrorCode, ModelError
from stvg_ros.runtime.grounding_worker import GroundingJob, Worker
from stvg_ros.runtime.settings import CommandConfig
from stvg_ros.types import Grounding, Query, Status, Tube


class Slow:
    """Answers when it may."""

    def __init__(self) -> None:
        self.go, self.started = threading.Event(), threading.Event()

    def ground(self, clip, query, checkpoint):
        self.started.set()
        while not self.go.wait(0.01):
            checkpoint("forward pass", 0.5)
        return Grounding((Tube(query, Status.FOUND, timings_s={"forward pass": 0.5}),))


class Desk:
    def __init__(self, load=None, **config):
        self.slow = Slow()
        self.said, self.answers = [], {}
        self.worker = Worker(load or (lambda: self.slow), CommandConfig(**config), self.said.append)

    def job(self, name):
        done = threading.Event()

        def answer(grounding):
            self.answers[name] = grounding.best
            done.set()

        job = GroundingJob(Query("x", name), {"": noise_clip(2)}, answer)
        job.done = done
        return job


@pytest.fixture
def desk():
    made = Desk()
    made.worker.loaded.result(30)
    yield made
    made.slow.go.set()
    made.worker.stop()


def test_an_offer_is_taken_only_when_nothing_else_is_there(desk):
    first, second = desk.job("first"), desk.job("second")
    assert desk.worker.offer(first)
    assert desk.slow.started.wait(30)
    assert not desk.worker.offer(second)
    desk.worker.submit(second)
    assert not desk.worker.offer(desk.job("third"))
    assert (desk.worker.waiting, desk.worker.busy) == (1, True)
    desk.slow.go.set()
    assert first.done.wait(30)
    assert second.done.wait(30)
    assert set(desk.answers) == {"first", "second"}


def test_answers_are_counted_by_outcome_and_the_last_timings_kept(desk):
    desk.slow.go.set()
    for name in ("a", "b"):
        job = desk.job(name)
        desk.worker.submit(job)
        assert job.done.wait(30)
    canceled = desk.job("c")
    canceled.cancel()
    desk.worker.submit(canceled)
    assert canceled.done.wait(30)
    assert desk.worker.answered == {"FOUND": 2, "CANCELED": 1}
    assert desk.worker.timings_s == {"forward pass": 0.5}


def test_stopping_answers_what_runs_and_what_waits(desk):
    jobs = [desk.job(name) for name in ("runs", "waits")]
    for job in jobs:
        desk.worker.submit(job)
    assert desk.slow.started.wait(30)
    assert desk.worker.stop(30)
    late = desk.job("late")
    desk.worker.submit(late)
    assert not desk.worker.offer(desk.job("offered"))
    codes = {name: tube.error_code for name, tube in desk.answers.items()}
    assert codes == dict.fromkeys(("runs", "waits", "late"), ErrorCode.CANCELED)


def test_a_grounder_that_cannot_be_loaded_tells_why():
    def load():
        raise ModelError("model.path: no folder")

    desk = Desk(load)
    with pytest.raises(ModelError, match="no folder"):
        desk.worker.loaded.result(30)

    def broken():
        return 1 / 0

    with pytest.raises(ModelError, match="ZeroDivisionError"):
        Desk(broken).worker.loaded.result(30)
