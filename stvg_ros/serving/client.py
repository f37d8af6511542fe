# SPDX-License-Identifier: Apache-2.0

"""A grounder whose model is on a server."""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable, Set
from dataclasses import dataclass

from stvg_ros.config import Config
from stvg_ros.errors import StvgError, UnreachableError
from stvg_ros.method.interfaces import Grounder, Proposer, StageCallback
from stvg_ros.serving.circuit_breaker import Breaker
from stvg_ros.serving.frame_uploader import FrameRegistry, FrameUploader, sent_frame
from stvg_ros.serving.http_channel import Address, Channel
from stvg_ros.serving.schema import (
    VERSION,
    Event,
    MissingFramesError,
    Request,
    chosen_settings,
    error_of,
)
from stvg_ros.serving.wire_format import packed
from stvg_ros.types import CandidateTube, Clip, Frame, Grounding, Query, SplitQuery

POLL_S = 0.2  # how often a waiting command looks whether it is canceled

Early = Callable[[Grounding], None]
_Incoming = Event | Exception


@dataclass(frozen=True, eq=False)
class _Command:
    """The arguments of `ground`."""

    clip: Clip
    query: Query
    checkpoint: StageCallback
    preliminary: Early | None


class RemoteGrounder:
    """Sends frames as they come and commands as they are asked; see `docs/serving.md`.

    Thread contract: one thread calls `ground`; any thread may call `observe`, `reconfigure` and
    `close`. A thread of its own sends frames, another reads a command's events.
    """

    def __init__(
        self, config: Config, local: Grounder | None = None, proposer: Proposer | None = None
    ) -> None:
        """Connects with the first frame or command, not before.

        Args:
            config: the address, and how to insist.
            local: grounds what the server does not, when it is unreachable.
            proposer: makes candidate tubes here; None leaves them to the server.

        Raises:
            ConfigError: an address, token or certificate that is not usable.
        """
        remote = config.remote
        address = Address.of(remote, uuid.uuid4().hex)
        self._remote = remote
        self._config = config
        self._local = local
        self._proposer = proposer
        self._ledger = FrameRegistry()
        self._breaker = Breaker(remote)
        self._channel = Channel(address, remote.timeout_s)
        frames = Channel(address, remote.timeout_s)
        self._outbox = FrameUploader(
            self._ledger,
            remote.jpeg_quality,
            lambda: chosen_settings(self._config),
            lambda body: self._upload(frames, body),
            frames.abort,
        )

    @property
    def proposer(self) -> Proposer | None:
        """The source of candidate tubes, where it is here."""
        return self._proposer

    def observe(self, frame: Frame) -> None:
        """Tells that a frame has entered a window; it is sent soon."""
        self._outbox.put(frame)

    def reconfigure(self, config: Config) -> None:
        """Uses other dynamic settings from the next command on."""
        self._config = config
        reconfigure = getattr(self._local, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(config)

    def close(self) -> None:
        """Ends the threads and connections."""
        self._outbox.close()
        self._channel.abort()

    def ground(
        self,
        clip: Clip,
        query: Query,
        checkpoint: StageCallback,
        preliminary: Early | None = None,
    ) -> Grounding:
        """Asks the server, again if it breaks off; see `Grounder.ground`.

        Raises:
            UnreachableError: there is no server and no local grounder.
            StvgError: what the server answered.
        """
        try:
            return self._insisting(_Command(clip, query, checkpoint, preliminary))
        except UnreachableError:
            if self._local is None:
                raise
        return self._local.ground(clip, query, checkpoint, preliminary)

    def _insisting(self, command: _Command) -> Grounding:
        remote = self._remote
        for attempt in range(remote.retries + 1):
            if attempt:
                end_s = time.monotonic() + remote.backoff_s * 2 ** (attempt - 1)
                while (left_s := end_s - time.monotonic()) > 0:
                    command.checkpoint("retry", 0.0)
                    time.sleep(min(left_s, POLL_S))
            self._breaker.check()
            try:
                grounding = self._attempt(command)
            except UnreachableError as error:
                self._breaker.failed(error)
                failure = error
                continue
            self._breaker.succeeded()
            return grounding
        raise failure

    def _attempt(self, command: _Command) -> Grounding:
        """One attempt; frames that the session turns out to lack are sent along."""
        numbers = [self._ledger.number(frame.image) for frame in command.clip.frames]
        for _ in range(2):
            try:
                return self._asked(command, numbers, self._ledger.lacking(numbers))
            except MissingFramesError as missing:
                self._ledger.lost(missing.ids)
        # The session is too small for its frames.
        return self._asked(command, numbers, set(numbers))

    def _asked(self, command: _Command, numbers: list[int], send: Set[int]) -> Grounding:
        command.checkpoint("send", 0.0)
        clip, quality = command.clip, self._remote.jpeg_quality
        request = Request(
            VERSION,
            command.query,
            tuple(
                sent_frame(frame, number, quality if number in send else None)
                for frame, number in zip(clip.frames, numbers, strict=True)
            ),
            chosen_settings(self._config),
            self._tubes(command),
            self._ledger.keep_from(),
            command.preliminary is not None,
        )
        events: queue.Queue[_Incoming] = queue.Queue()
        reader = threading.Thread(
            target=self._read, args=(packed(request), events), name="events", daemon=True
        )
        reader.start()
        try:
            return self._answer(command, events, send)
        finally:
            reader.join(POLL_S)  # the end of an answered stream is on its way
            if reader.is_alive():  # given up: the server notices and ends the command
                self._channel.abort()
                reader.join()

    def _tubes(self, command: _Command) -> tuple[CandidateTube, ...] | None:
        if self._proposer is None:
            return None
        text = command.query.text  # split on the server; detections know no words
        return self._proposer.propose(command.clip, SplitQuery(text, text, text, "none"))

    def _answer(
        self, command: _Command, events: queue.Queue[_Incoming], send: Set[int]
    ) -> Grounding:
        """The answer among the events, in bounded time. Raises: what came instead."""
        stage, progress = "send", 0.0
        heard_s = time.monotonic()
        while True:
            try:
                event = events.get(timeout=POLL_S)
            except queue.Empty:
                silent_s = time.monotonic() - heard_s
                if silent_s > self._remote.timeout_s:
                    raise UnreachableError(
                        f"no sign of life from {self._remote.address} for {silent_s:.1f} s "
                        "(remote.timeout_s)"
                    ) from None
                command.checkpoint(stage, progress)
                continue
            if isinstance(event, Exception):
                raise event
            heard_s = time.monotonic()
            self._ledger.arrived(send)
            if event.answer is not None:
                return event.answer
            if event.failure is not None:
                raise error_of(event.failure)
            if event.stage:
                stage, progress = event.stage, event.progress
            if event.early is not None and command.preliminary is not None:
                command.preliminary(event.early)
            command.checkpoint(stage, progress)

    def _read(self, body: bytes, events: queue.Queue[_Incoming]) -> None:
        try:
            for event in self._channel.events("/v1/ground", body):
                events.put(event)
            events.put(UnreachableError(f"{self._remote.address} broke off without an answer"))
        except Exception as error:
            known = isinstance(error, StvgError)
            events.put(error if known else UnreachableError(f"{type(error).__name__}: {error}"))

    def _upload(self, channel: Channel, body: bytes) -> None:
        channel.post("/v1/frames", body)
        self._breaker.succeeded()
