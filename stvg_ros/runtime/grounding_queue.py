# SPDX-License-Identifier: Apache-2.0

"""The queue in front of a grounder, for node and server; each job is answered once."""

from __future__ import annotations

import concurrent.futures
import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping

from stvg_ros.config import Config
from stvg_ros.errors import CanceledError, ModelError, QueueFullError, ReplacedError, StvgError
from stvg_ros.method.interfaces import Grounder, Proposer
from stvg_ros.runtime.grounding_job import GroundingJob, Outcome, QueueLimits
from stvg_ros.types import Frame

# Processes frames for future commands. Returns the seconds until the next call: 0 for immediately,
# None for not before `GroundingQueue.wake`.
IdleWork = Callable[[Grounder], "float | None"]

_LOG = logging.getLogger(__name__)
_PAUSE_S = 5.0  # of idle work that failed
_STOPPED = "the node was deactivated, or the process is shutting down"


class GroundingQueue:
    """Loads a grounder, grounds jobs in order of receipt, and closes the grounder at the end.

    A waiting or running job that is cancelled, replaced or late is answered immediately. Running
    work ends at its next check, between stages or layers.

    Thread contract: any thread may call the public methods. One thread uses the grounder, except
    `Grounder.observe` and `Grounder.reconfigure`; another delivers answers and states, in order.
    """

    def __init__(
        self,
        load: Callable[[], Grounder],
        limits: QueueLimits,
        status: Callable[[str], None] = lambda text: None,
        idle: IdleWork = lambda grounder: None,
    ) -> None:
        """Starts the threads, one of which loads the grounder first.

        `loaded` is done when loading ends, with a StvgError if it failed; `ended` is done when
        the thread has released the grounder.

        Args:
            load: makes the grounder.
            limits: bounds and policy.
            status: receives "grounding NAME" when a job starts and "ready" after it.
            idle: called while no job waits.
        """
        self._limits = limits
        self._status = status
        self._idle = idle
        self._waiting: deque[GroundingJob] = deque()
        self._running: GroundingJob | None = None
        self._deliveries: deque[Callable[[], None]] = deque()
        self._delivering = False
        self._closed: StvgError | None = None  # why no further job is accepted
        self._idle_from = 0.0  # monotonic seconds at which idle work is due
        self._idle_not_before = 0.0
        self._changed = threading.Condition()
        self.loaded: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.answered: Counter[str] = Counter()
        self.timings_s: Mapping[str, float] = {}
        self._grounder: Grounder | None = None
        self._thread = threading.Thread(
            target=self._run, args=(load,), name="grounding", daemon=True
        )
        self._thread.start()
        threading.Thread(target=self._deliver, name="answers", daemon=True).start()

    @property
    def proposer(self) -> Proposer | None:
        """The grounder's source of candidate tubes, if it has one in this process."""
        grounder = self._grounder
        return None if grounder is None else grounder.proposer

    @property
    def candidates(self) -> str:
        """What the source of candidate tubes is and why it was chosen; see `Grounder`."""
        grounder = self._grounder
        return "" if grounder is None else grounder.candidates

    @property
    def waiting(self) -> int:
        """Number of waiting jobs."""
        with self._changed:
            return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        with self._changed:
            return self._running is not None

    @property
    def alive(self) -> bool:
        """Whether the grounder's thread is running."""
        return self._thread.is_alive()

    def counts(self) -> dict[str, int]:
        """Number of jobs by outcome: a status, or the name of an error code."""
        with self._changed:
            return dict(self.answered)

    def submit(self, job: GroundingJob) -> None:
        """Accepts a job, which is then answered once.

        Raises:
            QueueFullError: the queue, or the client's share of it, is full.
            StvgError: the queue was stopped, or loading its grounder failed.
        """
        with self._changed:
            try:
                self._check_room(job)
            except StvgError as error:
                self.answered[error.code.name] += 1
                raise
            if self._limits.policy == "replace":
                reason = ReplacedError(f"replaced by the newer command {job.name!r}")
                for old in (*self._waiting, *([self._running] if self._running else [])):
                    self._finish(old, reason)
            self._accept(job)

    def offer(self, job: GroundingJob) -> bool:
        """Accepts a job only if none runs or waits; returns whether it was accepted."""
        with self._changed:
            if self._closed or self._waiting or self._running is not None:
                return False
            self._accept(job)
            return True

    def finish(self, job: GroundingJob, outcome: Outcome) -> None:
        """Answers a job of this queue unless it was answered, and removes it from the queue."""
        with self._changed:
            self._finish(job, outcome)

    def wake(self) -> None:
        """Calls the idle work soon."""
        with self._changed:
            self._idle_from = 0.0
            self._changed.notify_all()

    def frame_stored(self, camera: str, frame: Frame) -> None:
        """Passes a stored frame to the grounder; see `FrameListener`."""
        grounder = self._grounder
        if grounder is not None:
            grounder.observe(frame)
        self.wake()

    def window_restarted(self, camera: str) -> None:
        """See `FrameListener`; the frames of the new time line follow."""

    def reconfigure(self, limits: QueueLimits, config: Config) -> None:
        """Applies new bounds and settings to subsequent commands."""
        with self._changed:
            self._limits = limits
        grounder = self._grounder
        if grounder is not None:
            grounder.reconfigure(config)
        self.wake()

    def stop(self, timeout_s: float = 1.5) -> bool:
        """Answers running and waiting jobs with a `CanceledError` and releases the grounder.

        Returns:
            Whether the grounder was released within `timeout_s`; if not, it is released at the
            next check of the running job.
        """
        end_s = time.monotonic() + timeout_s
        reason = CanceledError(_STOPPED)
        with self._changed:
            self._closed = self._closed or reason
            for job in (*self._waiting, *([self._running] if self._running else [])):
                self._finish(job, reason)
            self._changed.notify_all()
        self._end_load(reason)
        with self._changed:
            self._changed.wait_for(
                lambda: not self._deliveries and not self._delivering, end_s - time.monotonic()
            )
        self._thread.join(max(0.0, end_s - time.monotonic()))
        return not self._thread.is_alive()

    def _check_room(self, job: GroundingJob) -> None:
        limits = self._limits
        if self._closed:
            raise self._closed
        own = [*self._waiting, *([self._running] if self._running else [])]
        count = sum(other.client == job.client and not other.answered for other in own)
        if limits.per_client and count >= limits.per_client:
            raise QueueFullError(
                f"{count} commands of this client wait or run already; expected at most "
                f"{limits.per_client_name} = {limits.per_client}"
            )
        if limits.policy != "replace" and len(self._waiting) >= limits.waiting:
            raise QueueFullError(
                f"{len(self._waiting)} commands wait already; expected at most "
                f"{limits.waiting_name} = {limits.waiting}; send it again later"
            )

    def _accept(self, job: GroundingJob) -> None:
        self._waiting.append(job)
        job.accepted(self._limits, self.finish)
        self._changed.notify_all()

    def _finish(self, job: GroundingJob, outcome: Outcome) -> None:
        """With the lock: queues the answer for the answering thread."""
        if job in self._waiting:
            self._waiting.remove(job)
        if job.answered:
            return
        job.answered = True
        if isinstance(outcome, StvgError):
            job.stop = job.stop or outcome
            self.answered[outcome.code.name] += 1
        else:
            best = outcome.best
            self.answered[best.error_code.name if best.error_code else best.status.name] += 1
            self.timings_s = best.timings_s or self.timings_s
        self._deliveries.append(lambda: job.answer(outcome))
        self._changed.notify_all()

    def _say(self, text: str) -> None:
        with self._changed:
            self._deliveries.append(lambda: self._status(text))
            self._changed.notify_all()

    def _run(self, load: Callable[[], Grounder]) -> None:
        try:
            try:
                self._grounder = load()
            except Exception as error:
                known = error if isinstance(error, StvgError) else _load_error(error)
                with self._changed:
                    self._closed = self._closed or known
                    for job in tuple(self._waiting):
                        self._finish(job, known)
                self._end_load(known)
            else:
                self._end_load(None)
                while self._turn(self._grounder):
                    pass
                self._grounder.close()
        except Exception:
            _LOG.exception("the grounder could not be closed")
        finally:
            self._grounder = None
            self.ended.set_result(None)
            with self._changed:
                self._changed.notify_all()

    def _end_load(self, error: StvgError | None) -> None:
        """Sets the result of `loaded`, unless it is set."""
        with self._changed:
            if self.loaded.done():
                return
            if error is None:
                self.loaded.set_result(None)
            else:
                self.loaded.set_exception(error)

    def _turn(self, grounder: Grounder) -> bool:
        """Runs one job, or one step of idle work; False when the queue was stopped.

        A separate method, so that its local variables do not keep frames alive.
        """
        with self._changed:
            while not (self._closed or self._waiting):
                idle_s = max(self._idle_from, self._idle_not_before) - time.monotonic()
                if idle_s <= 0:
                    break
                self._changed.wait(None if math.isinf(idle_s) else idle_s)
            if self._closed:
                return False
            job = self._running = self._waiting.popleft() if self._waiting else None
            if job is None:
                self._idle_from = math.inf  # a later `wake` requests the next call
        if job is None:
            self._work_idly(grounder)
            return True
        self._say(f"grounding {job.name}")
        outcome = job.outcome(grounder)
        with self._changed:
            self._running = None
            self._finish(job, outcome)
            closed = self._closed
        if not closed:
            self._say("ready")
        return True

    def _work_idly(self, grounder: Grounder) -> None:
        try:
            pause_s = self._idle(grounder)
        except Exception:  # a command raises the same error, and its answer reports it
            _LOG.exception("prefetching frames failed")
            pause_s = _PAUSE_S
            self._idle_not_before = time.monotonic() + _PAUSE_S
        if pause_s is not None:
            with self._changed:
                self._idle_from = min(self._idle_from, time.monotonic() + pause_s)

    def _deliver(self) -> None:
        """The answering thread: delivers answers in order and ends jobs whose deadline passed."""
        while (deliver := self._next_delivery()) is not None:
            try:
                deliver()
            except Exception:
                _LOG.exception("answering failed")
            del deliver
            with self._changed:
                self._delivering = False
                self._changed.notify_all()

    def _next_delivery(self) -> Callable[[], None] | None:
        with self._changed:
            while True:
                jobs = [*self._waiting, *([self._running] if self._running else [])]
                jobs = [job for job in jobs if not job.answered]
                now = time.monotonic()
                for job in jobs:
                    if now > job.ends:
                        self._finish(job, job.late())
                if self._deliveries:
                    self._delivering = True
                    return self._deliveries.popleft()
                if self.ended.done():
                    return None
                first = min((job.ends for job in jobs), default=math.inf)
                self._changed.wait(None if math.isinf(first) else max(0.0, first - now) + 1e-3)


def _load_error(error: Exception) -> StvgError:
    _LOG.error("loading the grounder failed", exc_info=error)
    return ModelError(f"the grounder could not be loaded ({type(error).__name__}: {error})")
