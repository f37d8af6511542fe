"""One thread that answers commands, one at a time; every command is answered exactly once."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from stvg_ros.config import CommandConfig
from stvg_ros.core.interfaces import Grounder
from stvg_ros.errors import (
    CanceledError,
    DeadlineError,
    ModelError,
    QueueFullError,
    ReplacedError,
    StvgError,
)
from stvg_ros.types import Clip, Grounding, Query, Status, Tube

_LOG = logging.getLogger(__name__)


@dataclass(eq=False)
class Job:
    """One command on its way.

    Attributes:
        clip: the window as it was when the command came.
        answer: called once, from the worker's thread or from `Worker.submit`'s caller.
        feedback: called as each stage begins, with its name, progress 0 to 1, and seconds since
            receipt.
        received: monotonic seconds of receipt.
        stop: set to end the job at the next stage with this error.
    """

    query: Query
    clip: Clip
    answer: Callable[[Grounding], None]
    feedback: Callable[[str, float, float], None] = lambda stage, progress, elapsed_s: None
    received: float = field(default_factory=time.monotonic)
    stop: StvgError | None = None

    def cancel(self) -> None:
        """Ends the job between two stages."""
        self.stop = self.stop or CanceledError("canceled by the client")


def failed(query: Query, error: Exception, clip: Clip | None = None, model: str = "") -> Grounding:
    """The answer that carries an error."""
    known = error if isinstance(error, StvgError) else None
    text = str(error) if known else f"unexpected {type(error).__name__}: {error}"
    newest = clip.frames[-1] if clip else None
    tube = Tube(
        query=query,
        status=Status.FAILED,
        error_code=known.code if known else StvgError.code,
        error=text,
        model=model,
        stamp_ns=newest.stamp_ns if newest else 0,
        frame_id=newest.frame_id if newest else "",
        width_px=newest.source_width_px if newest else 0,
        height_px=newest.source_height_px if newest else 0,
    )
    return Grounding((tube,))


class Worker:
    """Builds the grounder, then answers jobs in order of receipt.

    Thread contract: `submit`, `reconfigure` and `stop` may be called from any thread; the grounder
    is only ever used by the worker's own thread. Answers are given outside the lock.
    """

    def __init__(
        self,
        build: Callable[[], Grounder],
        config: CommandConfig,
        status: Callable[[str], None],
    ) -> None:
        """Starts the thread, which builds the grounder first.

        Args:
            build: makes the grounder; an error is kept and answers every command.
            config: queue and deadline.
            status: told what the worker does: "loading the model", "ready", "grounding ID", or
                "failed: ..." when the grounder could not be built.
        """
        self._build = build
        self._config = config
        self._status = status
        self._jobs: deque[Job] = deque()
        self._running: Job | None = None
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="grounding", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queues a job, or answers it at once when the queue is full or the worker stops."""
        refused: list[tuple[Job, StvgError]] = []
        with self._changed:
            if self._stopping:
                refused.append((job, CanceledError("the node is shutting down")))
            elif self._config.policy == "replace":
                reason = ReplacedError(f"replaced by the newer command {job.query.id!r}")
                refused.extend((old, reason) for old in self._jobs)
                self._jobs.clear()
                if self._running is not None:
                    self._running.stop = self._running.stop or reason
                self._jobs.append(job)
            elif len(self._jobs) >= self._config.queue_size:
                refused.append(
                    (
                        job,
                        QueueFullError(
                            f"{len(self._jobs)} commands wait already; expected at most "
                            f"command.queue_size = {self._config.queue_size}; send it again later"
                        ),
                    )
                )
            else:
                self._jobs.append(job)
            self._changed.notify()
        for old, error in refused:
            _answer(old, failed(old.query, error, old.clip))

    def reconfigure(self, config: CommandConfig) -> None:
        """Uses other queue settings for the next commands."""
        with self._changed:
            self._config = config

    def stop(self, timeout_s: float = 1.5) -> None:
        """Cancels what runs and what waits; returns within about `timeout_s`."""
        reason = CanceledError("the node is shutting down")
        with self._changed:
            self._stopping = True
            waiting = list(self._jobs)
            self._jobs.clear()
            if self._running is not None:
                self._running.stop = self._running.stop or reason
            self._changed.notify()
        for job in waiting:
            _answer(job, failed(job.query, reason, job.clip))
        self._thread.join(timeout_s)

    def _run(self) -> None:
        self._status("loading the model")
        grounder: Grounder | None = None
        broken: Exception | None = None
        try:
            grounder = self._build()
            self._status("ready")
        except Exception as error:
            broken = error if isinstance(error, StvgError) else _wrapped(error)
            self._status(f"failed: {broken}")
        while (job := self._next()) is not None:
            if grounder is None:
                assert broken is not None
                _answer(job, failed(job.query, broken, job.clip))
            else:
                self._status(f"grounding {job.query.id}")
                _answer(job, self._ground(grounder, job))
                self._status("ready")
            with self._changed:
                self._running = None

    def _next(self) -> Job | None:
        with self._changed:
            while not self._jobs and not self._stopping:
                self._changed.wait()
            if self._stopping:
                return None
            self._running = self._jobs.popleft()
            return self._running

    def _ground(self, grounder: Grounder, job: Job) -> Grounding:
        default_s = self._config.deadline_s
        deadline_s = job.query.deadline_s or default_s or None

        def checkpoint(stage: str, progress: float) -> None:
            elapsed_s = time.monotonic() - job.received
            if job.stop is not None:
                raise job.stop
            if deadline_s is not None and elapsed_s > deadline_s:
                raise DeadlineError(
                    f"the deadline of {deadline_s:g} s passed before the stage {stage!r}, after "
                    f"{elapsed_s:.2f} s; allow more time or fewer frames (sampling.frames)"
                )
            with contextlib.suppress(Exception):  # feedback must not fail a grounding
                job.feedback(stage, progress, elapsed_s)

        try:
            checkpoint("wait", 0.0)
            return grounder.ground(job.clip, job.query, checkpoint)
        except Exception as error:
            if not isinstance(error, StvgError):
                _LOG.exception("grounding %s failed", job.query.id)
            return failed(job.query, error, job.clip)


def _wrapped(error: Exception) -> StvgError:
    _LOG.error("building the grounder failed", exc_info=error)
    return ModelError(f"the grounder could not be built ({type(error).__name__}: {error})")


def _answer(job: Job, grounding: Grounding) -> None:
    try:
        job.answer(grounding)
    except Exception:
        _LOG.exception("answering %s failed", job.query.id)
