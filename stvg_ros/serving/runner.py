# SPDX-License-Identifier: Apache-2.0

"""One thread of a replica that grounds commands in turn, and encodes frames when there is none."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stvg_ros.config import Config
from stvg_ros.errors import CanceledError, DeadlineError, ErrorCode, QueueFullError, StvgError
from stvg_ros.method.interfaces import Grounder, Proposer
from stvg_ros.serving.client_tubes import ClientTubesOverride
from stvg_ros.serving.prefetch import windows
from stvg_ros.serving.schema import VERSION, Event, Failure, Request
from stvg_ros.serving.sessions import Key
from stvg_ros.setting import Value
from stvg_ros.types import Clip, Frame, Grounding

Build = Callable[[Config, Callable[[Proposer], Proposer]], Grounder]

_LOG = logging.getLogger(__name__)
_TIDY_S = 5.0  # between looks, of a thread with nothing to do, for features of frames that are gone


@dataclass(eq=False)
class ReplicaCommand:
    """A command in a replica.

    Attributes:
        key: who asked, and for which session ("" is none).
        tell: is given the events, from any thread; the last one has an answer or a failure.
        received_s: monotonic time of receipt.
        canceled: set when nobody waits for the answer any more.
    """

    key: Key
    request: Request
    clip: Clip
    tell: Callable[[Event], None]
    received_s: float = field(default_factory=time.monotonic)
    canceled: threading.Event = field(default_factory=threading.Event)

    @property
    def client(self) -> str:
        """What bounds on one client count by: without tokens, sessions tell clients apart."""
        return self.key[0] or self.key[1]


class Runner:
    """Grounds jobs in order of receipt; a client's share of the queue is bounded.

    While no job waits, frames of sessions that want it are encoded ahead (`sampling.ahead`), one
    slot of a session after one of the next.

    Thread contract: any thread may call the public methods; its own thread uses the grounder.
    """

    def __init__(
        self, config: Config, build: Build, frames_of: Callable[[Key], Sequence[Frame]]
    ) -> None:
        """Loads the grounder, then starts the thread.

        Args:
            config: limits, and the settings that clients may override.
            build: makes the grounder, with its proposer wrapped by the function given.
            frames_of: the frames that a session has now, in order.

        Raises:
            StvgError: the grounder cannot be loaded.
        """
        self._config = config
        self._flat = config.flat()
        self._wrapped: list[ClientTubesOverride] = []
        self._grounder: Any = build(config, self._wrap)
        self._frames_of = frames_of
        self._jobs: deque[ReplicaCommand] = deque()
        self._unprepared: dict[Key, Config] = {}  # sessions with new frames, longest waiting first
        self._running: ReplicaCommand | None = None
        self.prepared_bytes = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="grounding", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread does its work."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How many commands wait for the one that runs."""
        with self._changed:
            return len(self._jobs)

    def submit(self, job: ReplicaCommand) -> None:
        """Queues a job.

        Raises:
            QueueFullError: the queue, or the client's share of it, is full.
            ConfigError: a setting is refused.
        """
        limits = self._config.serving
        config = self._with(job.request.settings)
        with self._changed:
            held = [*self._jobs, *([self._running] if self._running else [])]
            own = sum(other.client == job.client for other in held)
            if own >= limits.client_commands:
                raise QueueFullError(
                    f"{own} commands of this client wait or run already; expected at most "
                    f"serving.client_commands = {limits.client_commands}"
                )
            if len(self._jobs) >= limits.max_queue:
                raise QueueFullError(
                    f"{len(self._jobs)} commands wait on the server already; expected at most "
                    f"serving.max_queue = {limits.max_queue}; send it again later"
                )
            self._jobs.append(job)
            if job.key[1] and config.sampling.ahead:
                self._unprepared[job.key] = config
            self._changed.notify()

    def observe(self, key: Key, settings: Mapping[str, Value]) -> None:
        """Tells of new frames in a session, whose client has these settings.

        Raises:
            ConfigError: a setting is refused.
        """
        if settings.get("sampling.ahead", self._config.sampling.ahead):
            config = self._with(settings)
            with self._changed:
                self._unprepared[key] = config
                self._changed.notify()

    def cancel(self, job: ReplicaCommand) -> None:
        """Forgets a job that waits, and ends one that runs at its next stage."""
        job.canceled.set()
        with self._changed:
            if job in self._jobs:
                self._jobs.remove(job)

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ends the thread after the stage that runs."""
        with self._changed:
            self._stopping = True
            for job in (*self._jobs, *([self._running] if self._running else [])):
                job.canceled.set()
            self._changed.notify()
        self._thread.join(timeout_s)

    def _wrap(self, inner: Proposer) -> Proposer:
        self._wrapped.append(ClientTubesOverride(inner))
        return self._wrapped[-1]

    def _with(self, settings: Mapping[str, Value]) -> Config:
        return Config.from_flat({**self._flat, **settings})

    def _run(self) -> None:
        while self._turn():
            pass

    def _turn(self) -> bool:
        """One job, or one look at a session, or a pause; False at the end.

        A method of its own, so that no frame is held once it is over.
        """
        job, unprepared = None, None
        with self._changed:
            self._running = None
            if not (self._jobs or self._unprepared or self._stopping):
                self._changed.wait(_TIDY_S)
            if self._stopping:
                return False
            if self._jobs:
                job = self._running = self._jobs.popleft()
            elif self._unprepared:
                key = next(iter(self._unprepared))
                unprepared = key, self._unprepared.pop(key)
        if job is not None:
            job.tell(self._outcome(job))
            return True
        try:
            self._grounder.forget()
            if unprepared is not None:
                self._prepare(*unprepared)
            self.prepared_bytes = self._grounder.prepared_bytes
        except Exception:  # a command will meet the same error, and be told
            _LOG.exception("encoding frames ahead failed")
        return True

    def _prepare(self, key: Key, config: Config) -> None:
        """Encodes a slot of each of the session's windows, within the memory for it."""
        if self._grounder.prepared_bytes >= self._config.serving.ahead_bytes:
            return
        self._grounder.reconfigure(config)
        clips = windows(self._frames_of(key), config.window.duration_s)
        if any([self._grounder.prepare(clip) for clip in clips]):
            with self._changed:  # the other sessions come first
                self._unprepared.setdefault(key, config)

    def _outcome(self, job: ReplicaCommand) -> Event:
        try:
            return self._ground(job)
        except StvgError as error:
            return Event(VERSION, failure=Failure(error.code, str(error)))
        except Exception as error:
            _LOG.exception("grounding %r failed", job.request.query.text)
            text = f"unexpected {type(error).__name__} on the server: {error}"
            return Event(VERSION, failure=Failure(ErrorCode.INTERNAL, text))

    def _ground(self, job: ReplicaCommand) -> Event:
        limit_s = self._config.serving.command_timeout_s

        def checkpoint(stage: str, progress: float) -> None:
            if job.canceled.is_set():
                raise CanceledError("the client went away, or the replica is shutting down")
            elapsed_s = time.monotonic() - job.received_s
            if elapsed_s > limit_s:
                raise DeadlineError(
                    f"the server's limit of serving.command_timeout_s = {limit_s:g} s passed "
                    f"before the stage {stage!r}"
                )
            job.tell(Event(VERSION, stage, progress))

        self._grounder.reconfigure(self._with(job.request.settings))
        for proposer in self._wrapped:
            proposer.give(job.clip, job.request.tubes)
        early = ((lambda grounding: job.tell(Event(VERSION, early=_lean(grounding)))),)
        try:
            answer = self._grounder.ground(
                job.clip, job.request.query, checkpoint, *(early if job.request.preliminary else ())
            )
        finally:
            for proposer in self._wrapped:
                proposer.forget()
        return Event(VERSION, answer=_lean(answer))


def _lean(grounding: Grounding) -> Grounding:
    """Without the candidates, whose masks would weigh more than all the rest."""
    return replace(grounding, candidates=())
