# SPDX-License-Identifier: Apache-2.0

"""The queue without ROS: who is grounded, who is refused, and that each job is answered once."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from fakes import noise_clip

from stvg_ros.errors import ErrorCode, ModelError, StvgError
from stvg_ros.method.base import BaseGrounder
from stvg_ros.runtime.grounding_job import GroundingJob, QueueLimits
from stvg_ros.runtime.grounding_queue import GroundingQueue
from stvg_ros.types import Grounding, Query, Status, Tube


class Slow(BaseGrounder):
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
        self.said, self.answers, self.count = [], {}, Counter()
        self.worker = GroundingQueue(
            load or (lambda: self.slow), QueueLimits(**config), self.said.append
        )

    def job(self, name, **options):
        done = threading.Event()

        def answer(outcome):
            self.count[name] += 1
            failed = isinstance(outcome, StvgError)
            self.answers[name] = outcome if failed else outcome.best
            done.set()

        def work(grounder, checkpoint):
            return grounder.ground(noise_clip(2), Query("x", name), checkpoint)

        job = GroundingJob(name, work, answer, **options)
        job.done = done
        return job

    def submit(self, job):
        """What the queue refuses is answered here."""
        try:
            self.worker.submit(job)
        except StvgError as error:
            job.answer(error)


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
    desk.submit(second)
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
        desk.submit(job)
        assert job.done.wait(30)
    canceled = desk.job("c")
    canceled.cancel()
    desk.submit(canceled)
    assert canceled.done.wait(30)
    assert desk.worker.answered == {"FOUND": 2, "CANCELED": 1}
    assert desk.worker.timings_s == {"forward pass": 0.5}


def test_stopping_answers_what_runs_and_what_waits(desk):
    jobs = [desk.job(name) for name in ("runs", "waits")]
    for job in jobs:
        desk.submit(job)
    assert desk.slow.started.wait(30)
    assert desk.worker.stop(30)
    late = desk.job("late")
    desk.submit(late)
    assert not desk.worker.offer(desk.job("offered"))
    codes = {name: answer.code for name, answer in desk.answers.items()}
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
