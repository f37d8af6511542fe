# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""One thread of a replica that grounds what clients ask, one command after another."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from stvg_ros.config import Config
from stvg_ros.core.interfaces import Grounder, Proposer
from stvg_ros.errors import (
    CanceledError,
    DeadlineError,
    ErrorCode,
    QueueFullError,
    StvgError,
)
from stvg_ros.serving.given_tubes import GivenTubes
from stvg_ros.serving.schema import VERSION, Event, Failure, Request
from stvg_ros.types import Clip, Grounding

Build = Callable[[Config, Callable[[Proposer], Proposer]], Grounder]

_LOG = logging.getLogger(__name__)


@dataclass(eq=False)
class Job:
    """A command in a replica.

    Attributes:
        client: who asked.
        tell: is given the events, from any thread; the last one has an answer or a failure.
        received_s: monotonic time of receipt.
        canceled: set when nobody waits for the answer any more.
    """

    client: str
    request: Request
    clip: Clip
    tell: Callable[[Event], None]
    received_s: float = field(default_factory=time.monotonic)
    canceled: threading.Event = field(default_factory=threading.Event)


class Runner:
    """Grounds jobs in order of receipt; a client's share of the queue is bounded.

    Thread contract: any thread may call the public methods; its own thread uses the grounder.
    """

    def __init__(self, config: Config, build: Build) -> None:
        """Loads the grounder, then starts the thread.

        Args:
            config: limits, and the settings that clients may override.
            build: makes the grounder, with its proposer wrapped by the function given.

        Raises:
            StvgError: the grounder cannot be loaded.
        """
        self._config = config
        self._wrapped: list[GivenTubes] = []
        self._grounder: Any = build(config, self._wrap)
        self._jobs: deque[Job] = deque()
        self._running: Job | None = None
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

    def submit(self, job: Job) -> None:
        """Queues a job.

        Raises:
            QueueFullError: the queue, or the client's share of it, is full.
        """
        limits = self._config.serving
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
            self._changed.notify()

    def cancel(self, job: Job) -> None:
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
        self._wrapped.append(GivenTubes(inner))
        return self._wrapped[-1]

    def _run(self) -> None:
        while True:
            with self._changed:
                self._running = None
                while not self._jobs and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                job = self._running = self._jobs.popleft()
            job.tell(self._outcome(job))

    def _outcome(self, job: Job) -> Event:
        try:
            return self._ground(job)
        except StvgError as error:
            return Event(VERSION, failure=Failure(error.code, str(error)))
        except Exception as error:
            _LOG.exception("grounding %r failed", job.request.query.text)
            text = f"unexpected {type(error).__name__} on the server: {error}"
            return Event(VERSION, failure=Failure(ErrorCode.INTERNAL, text))

    def _ground(self, job: Job) -> Event:
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

        settings = {**self._config.flat(), **job.request.settings}
        self._grounder.reconfigure(Config.from_flat(settings))
        for proposer in self._wrapped:
            proposer.give(job.clip, job.request.tubes)
        early = ((lambda grounding: job.tell(Event(VERSION, early=_lean(grounding)))),)
        answer = self._grounder.ground(
            job.clip, job.request.query, checkpoint, *(early if job.request.preliminary else ())
        )
        return Event(VERSION, answer=_lean(answer))


def _lean(grounding: Grounding) -> Grounding:
    """Without the candidates, whose masks would weigh more than all the rest."""
    return replace(grounding, candidates=())
