# SPDX-License-Identifier: Apache-2.0

"""Commands of a replica: turns requests into queue jobs and their outcomes into events."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from stvg_ros.config import Config
from stvg_ros.errors import ErrorCode, StvgError
from stvg_ros.method.interfaces import Grounder, Proposer, StageCallback
from stvg_ros.runtime.grounding_job import GroundingJob, Outcome, QueueLimits
from stvg_ros.runtime.grounding_queue import GroundingQueue
from stvg_ros.serving.client_tubes import ClientTubesOverride
from stvg_ros.serving.prefetch import SessionPrefetch
from stvg_ros.serving.schema import VERSION, Event, Failure, Request
from stvg_ros.serving.sessions import Key
from stvg_ros.serving.settings import ServingConfig
from stvg_ros.setting import Value
from stvg_ros.types import Clip, Frame, Grounding

Build = Callable[[Config, Callable[[Proposer], Proposer]], Grounder]


@dataclass(frozen=True, eq=False)
class ReplicaCommand:
    """A command in a replica.

    Attributes:
        key: client and session ("" is none).
        tell: receives the events, from any thread; the last one has an answer or a failure.
        received_s: monotonic time of receipt.
    """

    key: Key
    request: Request
    clip: Clip
    tell: Callable[[Event], None]
    received_s: float = field(default_factory=time.monotonic)

    @property
    def client(self) -> str:
        """The client for per-client bounds; without tokens, sessions identify clients."""
        return self.key[0] or self.key[1]

    def answer(self, outcome: Outcome) -> None:
        """Sends the last event."""
        if isinstance(outcome, StvgError):
            text = str(outcome)
            if outcome.code is ErrorCode.INTERNAL:
                text = f"on the server: {text}"
            self.tell(Event(VERSION, failure=Failure(outcome.code, text)))
        else:
            self.tell(Event(VERSION, answer=_lean(outcome)))


class ReplicaCommands:
    """Grounds commands in order of receipt; a client's share of the queue is bounded.

    While no command waits, frames of sessions with `sampling.prefetch` are prefetched.

    Thread contract: any thread may call the public methods; the queue's thread uses the grounder.
    """

    def __init__(
        self, config: Config, build: Build, frames_of: Callable[[Key], Sequence[Frame]]
    ) -> None:
        """Returns when the grounder is loaded.

        Args:
            config: limits, and the settings that clients may override.
            build: makes the grounder, with its proposer wrapped by the given function.
            frames_of: returns the current frames of a session, in order.

        Raises:
            StvgError: the grounder cannot be loaded.
        """
        self._config = config
        self._flat = config.flat()
        self._overrides: list[ClientTubesOverride] = []
        self._prefetch = SessionPrefetch(frames_of, config.serving.prefetch_bytes)
        self._queue = GroundingQueue(
            lambda: build(config, self._overridden),
            _limits(config.serving),
            idle=self._prefetch.work,
        )
        self._queue.loaded.result()

    @property
    def alive(self) -> bool:
        """Whether the queue's thread is running."""
        return self._queue.alive

    @property
    def waiting(self) -> int:
        """Number of waiting commands."""
        return self._queue.waiting

    @property
    def prepared_bytes(self) -> int:
        """Memory of prefetched features, on the model's device."""
        return self._prefetch.prepared_bytes

    def submit(self, command: ReplicaCommand) -> GroundingJob:
        """Queues a command; its job can be cancelled.

        Raises:
            QueueFullError: the queue, or the client's share of it, is full.
            ConfigError: a setting is refused.
        """
        config, query = self._with(command.request.settings), command.request.query
        limit_s = self._config.serving.command_timeout_s
        asked_s = query.deadline_s
        job = GroundingJob(
            query.id or query.text,
            lambda grounder, checkpoint: self._ground(grounder, command, config, checkpoint),
            command.answer,
            lambda stage, progress, elapsed_s: command.tell(Event(VERSION, stage, progress)),
            asked_s if asked_s and asked_s < limit_s else None,
            command.client,
            command.received_s,
        )
        self._queue.submit(job)
        if command.key[1] and config.sampling.prefetch:
            self._prefetch.add(command.key, config)
            self._queue.wake()
        return job

    def observe(self, key: Key, settings: Mapping[str, Value]) -> None:
        """Records new frames of a session, and the settings of its client.

        Raises:
            ConfigError: a setting is refused.
        """
        if settings.get("sampling.prefetch", self._config.sampling.prefetch):
            self._prefetch.add(key, self._with(settings))
            self._queue.wake()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Answers all commands, and ends the threads."""
        self._queue.stop(timeout_s)

    def _overridden(self, inner: Proposer) -> Proposer:
        self._overrides.append(ClientTubesOverride(inner))
        return self._overrides[-1]

    def _with(self, settings: Mapping[str, Value]) -> Config:
        return Config.from_flat({**self._flat, **settings})

    def _ground(
        self,
        grounder: Grounder,
        command: ReplicaCommand,
        config: Config,
        checkpoint: StageCallback,
    ) -> Grounding:
        request, clip, tell = command.request, command.clip, command.tell
        grounder.reconfigure(config)
        for override in self._overrides:
            override.give(clip, request.tubes)
        early = ((lambda grounding: tell(Event(VERSION, early=_lean(grounding)))),)
        try:
            return grounder.ground(
                clip, request.query, checkpoint, *(early if request.preliminary else ())
            )
        finally:
            for override in self._overrides:
                override.forget()


def _limits(serving: ServingConfig) -> QueueLimits:
    return QueueLimits(
        waiting=serving.max_queue,
        waiting_name="serving.max_queue",
        per_client=serving.client_commands,
        per_client_name="serving.client_commands",
        deadline_s=serving.command_timeout_s,
        deadline_name="the server's limit serving.command_timeout_s",
    )


def _lean(grounding: Grounding) -> Grounding:
    """The grounding without the candidates' masks, which are larger than all other data."""
    candidates = tuple(replace(candidate, masks=None) for candidate in grounding.candidates)
    return replace(grounding, candidates=candidates)
