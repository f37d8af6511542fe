# SPDX-License-Identifier: Apache-2.0

"""One thread that loads the model and answers commands, one at a time; each exactly once."""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from stvg_ros.config import Config
from stvg_ros.errors import (
    CanceledError,
    DeadlineError,
    ModelError,
    QueueFullError,
    ReplacedError,
    StvgError,
    WindowError,
)
from stvg_ros.method.interfaces import Grounder
from stvg_ros.runtime.settings import CommandConfig
from stvg_ros.types import Clip, Frame, Grounding, Query, Status, Tube

Answer = Callable[[Grounding], None]

_LOG = logging.getLogger(__name__)
_IDLE_S = 0.1  # between looks for frames to encode ahead
_PATIENCE_S = 5.0  # where there is nothing to encode, or it failed
_STOPPED = "the node was deactivated or is shutting down"


@dataclass(eq=False)
class GroundingJob:
    """One command on its way.

    Attributes:
        clips: the windows of the cameras meant, by name, as they were when the command came.
        answer: called once, from the worker's thread or from `Worker.submit`'s caller.
        feedback: called as each stage begins, with its name, progress 0 to 1, and seconds since
            receipt.
        preliminary: called with the answer before tuning, where it is asked for.
        received: monotonic seconds of receipt.
        stop: set to end the job at the next stage with this error.
    """

    query: Query
    clips: Mapping[str, Clip]
    answer: Answer
    feedback: Callable[[str, float, float], None] = lambda stage, progress, elapsed_s: None
    preliminary: Answer | None = None
    received: float = field(default_factory=time.monotonic)
    stop: StvgError | None = None

    def cancel(self) -> None:
        """Ends the job between two stages."""
        self.stop = self.stop or CanceledError("canceled by the client")


def failed(query: Query, error: Exception, clips: Mapping[str, Clip] | None = None) -> Grounding:
    """The answer that carries an error."""
    known = error if isinstance(error, StvgError) else None
    text = str(error) if known else f"unexpected {type(error).__name__}: {error}"
    camera = next(iter(clips or ()), "")
    newest = clips[camera].frames[-1] if clips else None
    tube = Tube(
        query=query,
        status=Status.FAILED,
        error_code=known.code if known else StvgError.code,
        error=text,
        camera=camera,
        stamp_ns=newest.stamp_ns if newest else 0,
        frame_id=newest.frame_id if newest else "",
        width_px=newest.source_width_px if newest else 0,
        height_px=newest.source_height_px if newest else 0,
    )
    return Grounding((tube,))


def merged(groundings: Mapping[str, Grounding], max_targets: int) -> Grounding:
    """The tubes of several cameras in one order: found ones first, then by confidence.

    The evidence is that of the best tube's camera; counts are added up.
    """
    tubes = [
        replace(tube, camera=camera)
        for camera, grounding in groundings.items()
        for tube in grounding.tubes
    ]
    tubes.sort(key=lambda tube: (tube.status, -tube.confidence))
    split = tubes[0].split
    command = split.command if split is not None else None
    if command is not None and command.number != "one":
        max_targets = len(tubes)
    ranked = tuple(replace(tube, rank=rank) for rank, tube in enumerate(tubes[:max_targets]))
    best = groundings[ranked[0].camera]
    text, number = best.text, best.number
    counts = [g.number for g in groundings.values() if g.number is not None]
    if counts:
        number = sum(counts)
        text = str(number) if command is not None and command.intent == "count" else text
    return Grounding(ranked, best.evidence, text=text, number=number)


class Worker:
    """Loads a grounder, answers jobs in order of receipt, and lets the grounder go at the end.

    Thread contract: any thread may call the public methods; the grounder is only ever used by the
    worker's own thread. Answers are given outside the lock.
    """

    def __init__(
        self,
        load: Callable[[], Grounder],
        config: CommandConfig,
        status: Callable[[str], None],
        finish: Callable[[Grounding, Clip], Grounding] = lambda grounding, clip: grounding,
        unprepared: Callable[[], Iterable[Clip]] = tuple,
    ) -> None:
        """Starts the thread, which loads the grounder first.

        `loaded` is done when that is over, with the StvgError that tells why it failed, and
        `ended` when the thread has let the grounder go.

        Args:
            load: makes the grounder.
            config: queue and deadline.
            status: told "grounding ID" as a job begins and "ready" after it.
            finish: adds to a camera's answer what the grounder does not know.
            unprepared: the windows whose frames the grounder may encode while no job waits.
        """
        self._config = config
        self._status = status
        self._finish = finish
        self._unprepared = unprepared
        self._jobs: deque[GroundingJob] = deque()
        self._running: GroundingJob | None = None
        self._stopping = False
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

    def submit(self, job: GroundingJob) -> None:
        """Queues a job, or answers it at once when the queue is full or the worker stops."""
        refused: list[tuple[GroundingJob, StvgError]] = []
        with self._changed:
            if self._stopping:
                refused.append((job, CanceledError(_STOPPED)))
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
            self._answer(old, failed(old.query, error, old.clips))

    def offer(self, job: GroundingJob) -> bool:
        """Queues a job only when nothing runs or waits, and says whether it did."""
        with self._changed:
            if self._stopping or self._jobs or self._running is not None:
                return False
            self._jobs.append(job)
            self._changed.notify()
            return True

    @property
    def source(self) -> object | None:
        """The grounder's source of candidate tubes, where it has one in this process."""
        return getattr(self._grounder, "proposer", None)

    @property
    def waiting(self) -> int:
        """How many jobs wait for the one that runs."""
        with self._changed:
            return len(self._jobs)

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        with self._changed:
            return self._running is not None

    def reconfigure(self, config: Config) -> None:
        """Uses other settings for the next commands."""
        with self._changed:
            self._config = config.command
        reconfigure = getattr(self._grounder, "reconfigure", None)  # LocalGrounder has it
        if reconfigure is not None:
            reconfigure(config)

    def observe(self, frame: Frame) -> None:
        """Tells the grounder of a frame that has entered a window."""
        observe = getattr(self._grounder, "observe", None)  # RemoteGrounder has it
        if observe is not None:
            observe(frame)

    def stop(self, timeout_s: float = 1.5) -> bool:
        """Cancels what runs and what waits, gives up a load, and lets the grounder go.

        Returns:
            Whether the thread has ended within `timeout_s`; if not, it ends after its stage.
        """
        reason = CanceledError(_STOPPED)
        with self._changed:
            self._stopping = True
            waiting = list(self._jobs)
            self._jobs.clear()
            if self._running is not None:
                self._running.stop = self._running.stop or reason
            self._changed.notify()
        for job in waiting:
            self._answer(job, failed(job.query, reason, job.clips))
        self._end_load(reason)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self, load: Callable[[], Grounder]) -> None:
        try:
            try:
                self._grounder = load()
            except Exception as error:
                self._end_load(error if isinstance(error, StvgError) else _wrapped(error))
            else:
                self._end_load(None)
                self._work(self._grounder)
        finally:
            self._grounder = None
            self.ended.set_result(None)

    def _end_load(self, error: StvgError | None) -> None:
        """Says how the load ended, unless that is known."""
        with self._changed:
            if self.loaded.done():
                return
            if error is None:
                self.loaded.set_result(None)
            else:
                self.loaded.set_exception(error)

    def _work(self, grounder: Grounder) -> None:
        """Answers jobs until the worker stops."""
        while (job := self._next()) is not None:
            self._status(f"grounding {job.query.id}")
            answer = self._ground(grounder, job)
            with self._changed:
                self._running = None
                stopping = self._stopping
            self._answer(job, answer)
            if not stopping:
                self._status("ready")
        close = getattr(grounder, "close", None)  # RemoteGrounder has it
        if close is not None:
            close()

    def _next(self) -> GroundingJob | None:
        with self._changed:
            while not self._jobs and not self._stopping:
                self._changed.release()
                try:
                    wait_s = self._prepare()
                finally:
                    self._changed.acquire()
                if wait_s and not self._jobs and not self._stopping:
                    self._changed.wait(wait_s)
            if self._stopping:
                return None
            self._running = self._jobs.popleft()
            return self._running

    def _prepare(self) -> float:
        """Encodes one slot of frames for commands to come; seconds to wait before the next."""
        prepare = getattr(self._grounder, "prepare", None)  # LocalGrounder has it
        if prepare is None:
            return _PATIENCE_S
        try:
            clips = tuple(self._unprepared())
            if not clips:
                return _PATIENCE_S
            return 0.0 if any([prepare(clip) for clip in clips]) else _IDLE_S
        except Exception:  # a command will meet the same error, and be told
            _LOG.exception("encoding frames ahead failed")
            return _PATIENCE_S

    def _ground(self, grounder: Grounder, job: GroundingJob) -> Grounding:
        default_s = self._config.deadline_s
        deadline_s = job.query.deadline_s or default_s or None
        done, count = 0, len(job.clips)

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
                job.feedback(stage, (done + progress) / count, elapsed_s)

        found: dict[str, Grounding] = {}
        refused: Exception | None = None
        try:
            checkpoint("wait", 0.0)
            for camera, clip in job.clips.items():
                try:
                    found[camera] = self._finish(
                        grounder.ground(
                            clip, job.query, checkpoint, *self._early(job, camera, clip)
                        ),
                        clip,
                    )
                except WindowError as error:  # another camera may have images of that time
                    refused = error
                done += 1
            if not found and refused is not None:
                raise refused
            return merged(found, job.query.max_targets)
        except Exception as error:
            if not isinstance(error, StvgError):
                _LOG.exception("grounding %s failed", job.query.id)
            return failed(job.query, error, job.clips)

    def _early(self, job: GroundingJob, camera: str, clip: Clip) -> tuple[Answer, ...]:
        """What takes the answer before tuning, or nothing where nobody wants it."""
        publish = job.preliminary
        if publish is None or not (job.query.preliminary or self._config.preliminary):
            return ()

        def early(grounding: Grounding) -> None:
            whole = merged({camera: self._finish(grounding, clip)}, job.query.max_targets)
            with contextlib.suppress(Exception):  # it must not fail the final answer
                publish(whole)

        return (early,)

    def _answer(self, job: GroundingJob, grounding: Grounding) -> None:
        best = grounding.best
        with self._changed:
            self.answered[best.error_code.name if best.error_code else best.status.name] += 1
            self.timings_s = best.timings_s or self.timings_s
        try:
            job.answer(grounding)
        except Exception:
            _LOG.exception("answering %s failed", job.query.id)


def _wrapped(error: Exception) -> StvgError:
    _LOG.error("loading the grounder failed", exc_info=error)
    return ModelError(f"the grounder could not be loaded ({type(error).__name__}: {error})")
