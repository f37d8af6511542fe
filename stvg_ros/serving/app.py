# SPDX-License-Identifier: Apache-2.0

"""Request handling of a replica: a Starlette application for any ASGI server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from functools import partial

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from stvg_ros.config import Config
from stvg_ros.errors import QueueFullError, StvgError
from stvg_ros.runtime.grounding_job import GroundingJob
from stvg_ros.serving import replica_metrics, tar_request
from stvg_ros.serving.authentication import Authenticator, RateLimiter, RefusedError, read_tokens
from stvg_ros.serving.memory_budget import MemoryBudget, Reservation
from stvg_ros.serving.replica_commands import Build, ReplicaCommand, ReplicaCommands
from stvg_ros.serving.request_reader import RequestReader, upright
from stvg_ros.serving.schema import (
    MEDIA_TYPE,
    SESSION_HEADER,
    VERSION,
    Event,
    Failure,
    FrameBatch,
    MissingFramesError,
    Request,
    SessionState,
)
from stvg_ros.serving.sessions import Key, Sessions, client_of
from stvg_ros.serving.wire_format import SchemaError, decoded_record, encoded_item, encoded_record
from stvg_ros.types import Clip

ALIVE_S = 1.0  # maximum pause between events of a command's stream
_SESSION_CHARACTERS = 128

_LOG = logging.getLogger(__name__)


class App:
    """Sessions, queue and counts of one replica.

    Thread contract: the event loop's thread calls `handle`; the reader's threads parse and decode
    requests, and the queue's thread grounds commands and prefetches frames.
    """

    def __init__(
        self,
        config: Config,
        build: Build,
        token_file: str,
        replica: str,
        board: replica_metrics.Board | None = None,
    ) -> None:
        """Loads the model; `board` shares the metrics of all replicas.

        Raises:
            StvgError: the token file or the model cannot be used.
        """
        self._limits = config.serving
        self._authenticator = Authenticator(read_tokens(token_file) if token_file else None)
        self._rate_limiter = RateLimiter(self._limits.client_rate_hz)
        self._memory = MemoryBudget(self._limits)
        self._reader = RequestReader(self._limits)
        self._sessions = Sessions(self._limits)
        self._commands = ReplicaCommands(config, build, self._sessions.frames)
        gauges: dict[str, Callable[[], float]] = {
            "commands_waiting": lambda: self._commands.waiting,
            "sessions": lambda: len(self._sessions),
            "session_bytes": lambda: self._sessions.nbytes,
            "request_bytes": lambda: self._memory.nbytes,
            "prepared_bytes": lambda: self._commands.prepared_bytes,
        }
        self._metrics = replica_metrics.ReplicaMetrics(replica, gauges, board)

    async def handle(self, http: HttpRequest) -> Response:
        """Answers any request; never raises."""
        path = http.scope["path"].removeprefix(http.scope.get("root_path", "").rstrip("/"))
        answers = {
            ("GET", "/v1/health"): self._health,
            ("GET", "/metrics"): self._show_metrics,
            ("POST", "/v1/frames"): self._frames,
            ("POST", "/v1/ground"): self._ground,
        }
        answer = answers.get((http.method, path))
        try:
            if answer is None:
                known = ", ".join(" ".join(key) for key in answers)
                raise RefusedError(404, f"{http.method} {path[:80]!r}: expected one of {known}")
            response = await answer(http)
        except StvgError as error:
            response = _refusal(error, http)
        except Exception as error:
            _LOG.exception("%s %s failed", http.method, path[:80])
            response = _refusal(StvgError(f"unexpected {type(error).__name__}"), http, 500)
        self._metrics.request(path if answer else "other", str(response.status_code))
        return response

    def check(self) -> None:
        """Drops expired sessions and publishes the metrics.

        Raises:
            RuntimeError: the replica can no longer answer commands.
        """
        self._sessions.expire()
        if not self._commands.alive:
            raise RuntimeError("the grounding thread has ended")
        try:
            self._metrics.publish()
        except Exception:  # no reason to replace a working replica
            _LOG.warning("the metrics were not published", exc_info=True)

    def close(self) -> None:
        """Cancels all commands and ends the threads."""
        self._commands.stop()
        self._reader.close()
        with contextlib.suppress(Exception):  # Ray may have ended already
            self._metrics.close()

    async def _health(self, http: HttpRequest) -> Response:
        if not self._commands.alive:
            return JSONResponse({"status": "failed"}, 503)
        return JSONResponse({"status": "ok", "version": VERSION})

    async def _show_metrics(self, http: HttpRequest) -> Response:
        self._authenticated(http)
        text = await asyncio.to_thread(self._metrics.text)
        return PlainTextResponse(text, media_type=replica_metrics.MEDIA_TYPE)

    async def _frames(self, http: HttpRequest) -> Response:
        key = self._authenticated(http)
        if not key[1]:
            raise SchemaError(f"the header {SESSION_HEADER} is missing: frames need a session")
        reservation = self._memory.reservation(client_of(key))
        try:
            body = await self._reader.body(http, reservation)
            self._metrics.received(len(body))
            batch = await self._reader.parsed(partial(decoded_record, FrameBatch), body)
            del body
            if any(one.image is None for one in batch.frames):
                raise SchemaError("frames: expected an image with each, got one without")
            frames = await self._reader.frames(batch.frames, "/".join(key), reservation)
            self._metrics.decoded(len(frames))
            count = self._sessions.put(key, frames, batch.keep_from)
        finally:
            reservation.release()
        self._commands.observe(key, batch.settings)
        return Response(encoded_record(SessionState(VERSION, count)), media_type=MEDIA_TYPE)

    async def _ground(self, http: HttpRequest) -> Response:
        received_s = time.monotonic()
        key = self._authenticated(http)
        plain = tar_request.is_tar_request(http.headers.get("content-type", ""), http.query_params)
        events: asyncio.Queue[Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(event: Event) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended with the replica
                loop.call_soon_threadsafe(events.put_nowait, event)

        reservation = self._memory.reservation(client_of(key))
        try:
            request, clip = await self._request(http, key, plain, reservation)
            job = self._commands.submit(ReplicaCommand(key, request, clip, tell, received_s))
        except BaseException:
            reservation.release()
            raise
        stream = self._stream(job, events, reservation)
        if not plain:
            return StreamingResponse(
                (encoded_item(event) async for event in stream), media_type=MEDIA_TYPE
            )
        async with contextlib.aclosing(stream):
            async for event in stream:
                last = event
                if await http.is_disconnected():
                    raise RefusedError(400, "the client went away before it was answered")
        return JSONResponse(tar_request.answer_json(last), 200 if last.answer else 422)

    async def _request(
        self, http: HttpRequest, key: Key, plain: bool, reservation: Reservation
    ) -> tuple[Request, Clip]:
        """The command and its clip, whose frames are in the request or in the session."""
        parse = partial(decoded_record, Request)
        if plain:
            parse = partial(tar_request.request_of_tar, parameters=http.query_params)
        body = await self._reader.body(http, reservation)
        self._metrics.received(len(body))
        request = await self._reader.parsed(parse, body)
        del body
        stream = "/".join((key[0], key[1] or uuid.uuid4().hex))
        frames = await self._reader.frames(request.frames, stream, reservation)
        self._metrics.decoded(len(frames))
        if plain:
            frames = upright(frames)
        have = {**(self._sessions.get(key) if key[1] else {}), **frames}
        missing = [sent.id for sent in request.frames if sent.id not in have]
        if missing:
            raise MissingFramesError(missing)
        try:
            clip = Clip(tuple(have[sent.id] for sent in request.frames))
        except ValueError as error:
            raise SchemaError(str(error)) from error
        reservation.resize(sum(frame.nbytes for frame in clip.frames))
        if key[1]:
            self._sessions.put(key, frames, request.keep_from)
        return request, clip

    async def _stream(
        self, job: GroundingJob, events: asyncio.Queue[Event], reservation: Reservation
    ) -> AsyncGenerator[Event, None]:
        """The events of a job; the job is cancelled when the client disconnects."""
        try:
            while True:
                try:
                    event = await asyncio.wait_for(events.get(), ALIVE_S)
                except asyncio.TimeoutError:
                    event = Event(VERSION)
                yield event
                if event.answer is not None or event.failure is not None:
                    outcome = event.failure.code.name if event.failure else "answered"
                    self._metrics.request("command", outcome)
                    return
        finally:
            self._metrics.command(time.monotonic() - job.received)
            job.cancel("the client went away")
            reservation.release()

    def _authenticated(self, http: HttpRequest) -> Key:
        """The client's name and session. Raises: RefusedError."""
        peer = http.client.host if http.client else ""
        authorization = http.headers.get("authorization", "")
        client = self._authenticator.client(authorization, peer, http.url.scheme)
        session = http.headers.get(SESSION_HEADER, "")
        if len(session) > _SESSION_CHARACTERS or not (session.isascii() and session.isprintable()):
            raise RefusedError(
                400, f"{SESSION_HEADER}: expected at most {_SESSION_CHARACTERS} ASCII characters"
            )
        self._rate_limiter.take(client or session)  # without tokens, sessions identify clients
        return client, session


def _refusal(error: StvgError, http: HttpRequest, status: int = 400) -> Response:
    """The response to a request that failed before it became a command."""
    missing: tuple[int, ...] = ()
    if isinstance(error, RefusedError):
        status = error.status
    elif isinstance(error, QueueFullError):
        status = 503
    elif isinstance(error, MissingFramesError):
        status, missing = 409, error.ids
    headers = {"retry-after": "1"} if status in (429, 503) else {}
    if tar_request.media_type(http.headers.get("content-type", "")) != MEDIA_TYPE:
        return JSONResponse(tar_request.error_json(error), status, headers)
    event = Event(VERSION, failure=Failure(error.code, str(error), missing))
    return Response(encoded_record(event), status, headers, MEDIA_TYPE)
