# SPDX-License-Identifier: Apache-2.0

"""How jobs end before their work is done: at once, and each answered exactly once."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest
from fakes import noise_clip

from stvg_ros.errors import CanceledError, DeadlineError, ErrorCode, QueueFullError, StvgError
from stvg_ros.method.base import BaseGrounder
from stvg_ros.runtime.grounding_job import GroundingJob, QueueLimits
from stvg_ros.runtime.grounding_queue import GroundingQueue
from stvg_ros.types import Grounding, Query, Status, Tube

PATIENT_S = 30.0


class Deaf(BaseGrounder):
    """Works until it may go on, and looks at nothing meanwhile."""

    def __init__(self) -> None:
        self.go, self.started, self.closed = (threading.Event() for _ in range(3))
        self.grounded: list[str] = []
        self.fail = False

    def ground(self, clip, query, checkpoint):
        self.grounded.append(query.id)
        self.started.set()
        assert self.go.wait(PATIENT_S)
        if self.fail:
            raise RuntimeError("the lens is dirty")
        return Grounding((Tube(query, Status.FOUND),))

    def close(self):
        self.closed.set()


class Bench:
    """A queue with a deaf grounder, and what was answered."""

    def __init__(self, **limits):
        self.deaf = Deaf()
        self.states: list[str] = []
        self.queue = GroundingQueue(lambda: self.deaf, QueueLimits(**limits), self.states.append)
        self.queue.loaded.result(PATIENT_S)
        self.outcomes: dict[str, object] = {}
        self.count: Counter[str] = Counter()
        self.threads: set[str] = set()

    def job(self, name, **options):
        done = threading.Event()

        def answer(outcome):
            self.outcomes[name] = outcome
            self.count[name] += 1
            self.threads.add(threading.current_thread().name)
            done.set()

        def work(grounder, checkpoint):
            return grounder.ground(noise_clip(2), Query("x", name), checkpoint)

        job = GroundingJob(name, work, answer, **options)
        job.done = done
        return job

    def put(self, name, **options):
        job = self.job(name, **options)
        self.queue.submit(job)
        return job

    def running(self, name="runs", **options):
        job = self.put(name, **options)
        assert self.deaf.started.wait(PATIENT_S)
        return job

    def code(self, name):
        outcome = self.outcomes[name]
        return outcome.code if isinstance(outcome, StvgError) else ErrorCode.NONE


@pytest.fixture
def bench():
    made = []

    def make(**limits):
        made.append(Bench(**limits))
        return made[-1]

    yield make
    for one in made:
        one.deaf.go.set()
        assert one.queue.stop(PATIENT_S)
        assert set(one.count.values()) <= {1}
        assert one.deaf.closed.is_set()


def test_a_waiting_job_that_is_canceled_is_answered_at_once(bench):
    b = bench()
    b.running()
    waits = b.put("waits")
    waits.cancel()
    assert waits.done.wait(PATIENT_S)
    assert b.code("waits") is ErrorCode.CANCELED
    assert "runs" not in b.outcomes
    assert b.queue.waiting == 0


def test_a_waiting_jobs_deadline_does_not_wait_for_its_turn(bench):
    b = bench()
    b.running()
    waits = b.put("waits", deadline_s=0.01)
    assert waits.done.wait(PATIENT_S)
    assert isinstance(b.outcomes["waits"], DeadlineError)
    assert "'wait'" in str(b.outcomes["waits"])
    assert "runs" not in b.outcomes
    b.deaf.go.set()
    assert b.put("next").done.wait(PATIENT_S)
    assert b.deaf.grounded == ["runs", "next"]  # the late one was never begun


@pytest.mark.parametrize("order", [(0.5, 0.02), (0.02, 0.5)])
def test_the_earliest_deadline_counts_whatever_the_order(bench, order):
    b = bench()
    b.running()
    jobs = [b.put(f"{seconds}", deadline_s=seconds) for seconds in order]
    for job in jobs:
        assert job.done.wait(PATIENT_S)
    assert list(b.outcomes) == ["0.02", "0.5"]


def test_the_default_deadline_is_named(bench):
    b = bench(deadline_s=0.01, deadline_name="the limit command.deadline_s")
    job = b.put("late")
    assert job.done.wait(PATIENT_S)
    assert "the limit command.deadline_s of 0.01 s" in str(b.outcomes["late"])


@pytest.mark.parametrize("end", ["cancel", "deadline", "replace", "stop"])
def test_a_job_that_runs_is_answered_before_its_stage_is_over(bench, end):
    b = bench(policy="replace" if end == "replace" else "queue")
    job = b.running(deadline_s=0.05 if end == "deadline" else None)
    if end == "cancel":
        job.cancel()
    elif end == "replace":
        b.put("newer")
    elif end == "stop":
        assert not b.queue.stop(0.0)
    assert job.done.wait(PATIENT_S)
    codes = {"cancel": "CANCELED", "deadline": "DEADLINE", "replace": "REPLACED"}
    assert b.code("runs").name == codes.get(end, "CANCELED")
    assert b.queue.busy  # the stage goes on
    b.deaf.go.set()
    assert b.queue.stop(PATIENT_S)
    assert b.count["runs"] == 1  # what it found in the end is of no use


def test_stopping_answers_what_waits_while_a_stage_runs(bench):
    b = bench()
    b.running()
    waiting = [b.put(f"waits {number}") for number in range(5)]
    b.queue.stop(0.0)
    for job in waiting:
        assert job.done.wait(PATIENT_S)
    assert {b.code(name) for name in b.outcomes} == {ErrorCode.CANCELED}
    with pytest.raises(CanceledError):
        b.put("late")
    assert not b.queue.offer(b.job("offered"))


def test_a_client_has_its_share(bench):
    b = bench(per_client=2, per_client_name="serving.client_commands", waiting=10)
    b.running(client="red")
    second = b.put("second", client="red")
    with pytest.raises(QueueFullError, match=r"serving\.client_commands = 2"):
        b.put("third", client="red")
    b.put("other", client="blue")
    second.cancel()
    b.put("fourth", client="red")
    assert b.queue.waiting == 2


def test_an_answered_job_does_not_count_for_its_client_though_its_stage_goes_on(bench):
    b = bench(per_client=1, per_client_name="serving.client_commands")
    b.running(client="red").cancel()
    assert b.queue.busy
    b.put("next", client="red")
    with pytest.raises(QueueFullError):
        b.put("third", client="red")


def test_jobs_of_a_full_queue_are_refused_and_counted(bench):
    b = bench(waiting=1, waiting_name="command.queue_size")
    b.running()
    b.put("waits")
    for _ in range(3):
        with pytest.raises(QueueFullError, match=r"command\.queue_size = 1"):
            b.put("refused")
    assert b.queue.counts() == {"QUEUE_FULL": 3}


def test_all_answers_come_from_one_thread_in_order(bench):
    b = bench()
    b.deaf.go.set()
    jobs = [b.put(f"{number}") for number in range(4)]
    jobs[2].cancel()
    for job in jobs:
        assert job.done.wait(PATIENT_S)
    assert b.threads == {"answers"}


def test_an_unexpected_error_is_an_answer_and_the_next_job_runs(bench):
    b = bench()
    b.deaf.fail = True
    b.deaf.go.set()
    failed = b.put("fails")
    assert failed.done.wait(PATIENT_S)
    assert (b.code("fails"), "RuntimeError" in str(b.outcomes["fails"])) == (
        ErrorCode.INTERNAL,
        True,
    )
    b.deaf.fail = False
    assert b.put("works").done.wait(PATIENT_S)
    assert b.code("works") is ErrorCode.NONE


def test_an_answer_that_raises_does_not_end_the_queue(bench):
    b = bench()
    b.deaf.go.set()

    def answer(outcome):
        raise RuntimeError("no publisher")

    b.queue.submit(GroundingJob("bad", lambda g, c: g.ground(noise_clip(2), Query("x"), c), answer))
    assert b.put("next").done.wait(PATIENT_S)
    assert b.code("next") is ErrorCode.NONE


def test_many_threads_submit_and_cancel_and_each_job_is_answered_once(bench):
    b = bench(waiting=1000)
    b.deaf.go.set()
    accepted, lock = [], threading.Lock()

    def work(number):
        for index in range(25):
            job = b.job(f"{number}-{index}", deadline_s=0.001 if index % 5 == 0 else None)
            b.queue.submit(job)
            if index % 3 == 0:
                job.cancel()
            with lock:
                accepted.append(job)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENT_S)
    for job in accepted:
        assert job.done.wait(PATIENT_S)
    assert b.queue.stop(PATIENT_S)
    assert len(b.count) == 200
    assert set(b.count.values()) == {1}
    assert sum(b.queue.counts().values()) == 200


def test_a_queue_whose_grounder_does_not_load_refuses_with_the_reason():
    def load():
        raise StvgError("model.path: no folder")

    queue = GroundingQueue(load, QueueLimits())
    queue.ended.result(PATIENT_S)
    bench = Bench()
    with pytest.raises(StvgError, match="no folder"):
        queue.submit(bench.job("late"))
    bench.queue.stop(PATIENT_S)


def test_feedback_comes_once_a_stage_however_often_it_is_checked():
    told = []

    class Layered(BaseGrounder):
        def ground(self, clip, query, checkpoint):
            for stage in ("forward pass", "score"):
                for _ in range(5):
                    checkpoint(stage, 0.5)
            return Grounding((Tube(query, Status.FOUND),))

    done = threading.Event()
    queue = GroundingQueue(Layered, QueueLimits())
    queue.submit(
        GroundingJob(
            "x",
            lambda grounder, checkpoint: grounder.ground(noise_clip(2), Query("x"), checkpoint),
            lambda outcome: done.set(),
            lambda *stage: told.append(stage),
            received=time.monotonic() - 1000,  # long before it runs
        )
    )
    assert done.wait(PATIENT_S)
    assert [stage for stage, _, _ in told] == ["forward pass", "score"]
    assert all(elapsed_s >= 1000 for _, _, elapsed_s in told)
    assert queue.stop(PATIENT_S)
