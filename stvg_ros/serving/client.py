# SPDX-License-Identifier: Apache-2.0

"""A grounder that sends commands to a server."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Set
from contextlib import closing
from dataclasses import dataclass

from stvg_ros.config import Config
from stvg_ros.errors import CanceledError, UnreachableError
from stvg_ros.method.base import BaseGrounder
from stvg_ros.method.interfaces import Grounder, Proposer, StageCallback
from stvg_ros.serving.circuit_breaker import CircuitBreaker
from stvg_ros.serving.frame_uploader import FrameRegistry, FrameUploader, sent_frame
from stvg_ros.serving.http_channel import POLL_S, HttpChannel
from stvg_ros.serving.schema import (
    VERSION,
    MissingFramesError,
    Request,
    SentFrame,
    chosen_settings,
    error_of,
)
from stvg_ros.serving.server_address import Address
from stvg_ros.serving.wire_format import encoded_record
from stvg_ros.types import CandidateTube, Clip, Frame, Grounding, Query, SplitQuery

Early = Callable[[Grounding], None]


@dataclass(frozen=True, eq=False)
class _Command:
    """The arguments of `ground`."""

    clip: Clip
    query: Query
    checkpoint: StageCallback
    preliminary: Early | None


class RemoteGrounder(BaseGrounder):
    """Sends frames when they arrive, and commands; see `docs/serving.md`.

    A command ends at most `POLL_S` after its checkpoint raises or the grounder is closed; its
    connection is closed too, which cancels it on the server. It is sent again only if the
    connection broke (`remote.retries`) or the server reported missing frames.

    Thread contract: one thread calls `ground`; any thread may call `observe`, `reconfigure` and
    `close`. One thread encodes and sends frames, another runs HTTP for frames and commands.
    """

    def __init__(
        self, config: Config, local: Grounder | None = None, proposer: Proposer | None = None
    ) -> None:
        """Does not connect before the first frame or command.

        Args:
            config: the address, time-outs and retries.
            local: grounds commands while the server is unreachable.
            proposer: computes candidate tubes in this process; None leaves them to the server.

        Raises:
            ConfigError: the address, token or certificate is invalid.
        """
        remote = config.remote
        self._remote = remote
        self._config = config
        self._local = local
        self.proposer = proposer
        self._closed = threading.Event()
        self._registry = FrameRegistry()
        self._breaker = CircuitBreaker(remote)
        self._channel = HttpChannel(Address.of(remote, uuid.uuid4().hex), remote.timeout_s)
        self._uploader = FrameUploader(
            self._registry,
            remote.jpeg_quality,
            lambda: chosen_settings(self._config),
            self._upload,
            self._channel.close,
        )

    def for_recording(self) -> RemoteGrounder:
        """A grounder with a new session, for images of another recording."""
        proposer = None if self.proposer is None else self.proposer.renewed()
        local = None if self._local is None else self._local.for_recording()
        return RemoteGrounder(self._config, local, proposer)

    def observe(self, frame: Frame) -> None:
        """Queues a stored frame for sending."""
        self._uploader.put(frame)

    def reconfigure(self, config: Config) -> None:
        """Applies new dynamic settings from the next command on."""
        self._config = config
        if self._local is not None:
            self._local.reconfigure(config)

    def close(self) -> None:
        """Ends the command, the threads and the connections immediately."""
        self._closed.set()
        self._uploader.close()
        if self._local is not None:
            self._local.close()

    def ground(
        self,
        clip: Clip,
        query: Query,
        checkpoint: StageCallback,
        preliminary: Early | None = None,
    ) -> Grounding:
        """Sends the command, with retries after a lost connection; see `Grounder.ground`.

        Raises:
            UnreachableError: no server is reachable and there is no local grounder.
            CanceledError: the grounder was closed meanwhile.
            StvgError: the error that the server answered.
        """
        command = _Command(clip, query, self._until_closed(checkpoint), preliminary)
        try:
            return self._with_retries(command)
        except UnreachableError:
            self._check_open()
            if self._local is None:
                raise
        return self._local.ground(clip, query, checkpoint, preliminary)

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise CanceledError("the client of the server was closed")

    def _until_closed(self, checkpoint: StageCallback) -> StageCallback:
        def check(stage: str, progress: float) -> None:
            self._check_open()
            checkpoint(stage, progress)

        return check

    def _with_retries(self, command: _Command) -> Grounding:
        remote = self._remote
        for attempt in range(remote.retries + 1):
            if attempt:
                end_s = time.monotonic() + remote.backoff_s * 2 ** (attempt - 1)
                while (left_s := end_s - time.monotonic()) > 0:
                    command.checkpoint("retry", 0.0)
                    self._closed.wait(min(left_s, POLL_S))
            self._breaker.check()
            try:
                grounding = self._attempt(command)
            except UnreachableError as error:
                self._check_open()
                self._breaker.failed(error)
                failure = error
                continue
            self._breaker.succeeded()
            return grounding
        raise failure

    def _attempt(self, command: _Command) -> Grounding:
        """One attempt; sends the frames that the server reports as missing."""
        numbers = [self._registry.number(frame.image) for frame in command.clip.frames]
        for _ in range(2):
            try:
                return self._asked(command, numbers, self._registry.lacking(numbers))
            except MissingFramesError as missing:
                self._registry.lost(missing.ids)
        # The session is too small for its frames.
        return self._asked(command, numbers, set(numbers))

    def _asked(self, command: _Command, numbers: list[int], send: Set[int]) -> Grounding:
        request = Request(
            VERSION,
            command.query,
            self._sent_frames(command, numbers, send),
            chosen_settings(self._config),
            self._tubes(command),
            self._registry.keep_from(),
            command.preliminary is not None,
        )
        body = encoded_record(request)
        command.checkpoint("send", 0.0)
        return self._answer(command, body, send)

    def _sent_frames(
        self, command: _Command, numbers: list[int], send: Set[int]
    ) -> tuple[SentFrame, ...]:
        sent, quality = [], self._remote.jpeg_quality
        next_s = 0.0
        for frame, number in zip(command.clip.frames, numbers, strict=True):
            if time.monotonic() >= next_s:  # encoding a long window is slow
                command.checkpoint("send", 0.0)
                next_s = time.monotonic() + POLL_S
            sent.append(sent_frame(frame, number, quality if number in send else None))
        return tuple(sent)

    def _tubes(self, command: _Command) -> tuple[CandidateTube, ...] | None:
        if command.clip.tubes is not None or self.proposer is None:
            return command.clip.tubes
        text = command.query.text  # the server splits the query; detections do not depend on it
        return self.proposer.propose(command.clip, SplitQuery(text, text, text, "none"))

    def _answer(self, command: _Command, body: bytes, send: Set[int]) -> Grounding:
        """The answer among the events. Raises: the error of a failure event."""
        stage, progress = "send", 0.0
        answer = None
        with closing(self._channel.events("/v1/ground", body)) as events:
            for event in events:
                if event is not None:
                    self._registry.arrived(send)
                    if event.failure is not None:
                        raise error_of(event.failure)
                    if event.early is not None and command.preliminary is not None:
                        command.preliminary(event.early)
                    if event.stage:
                        stage, progress = event.stage, event.progress
                    answer = event.answer or answer
                elif answer is not None:
                    break  # the stream has no proper end
                if answer is None:
                    command.checkpoint(stage, progress)
        if answer is None:
            raise UnreachableError(f"{self._remote.address} broke off without an answer")
        return answer

    def _upload(self, body: bytes) -> None:
        self._channel.post("/v1/frames", body)
        self._breaker.succeeded()
