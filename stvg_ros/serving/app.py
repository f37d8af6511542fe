# SPDX-License-Identifier: Apache-2.0

"""What a replica does with a request; HTTP by Starlette, whoever serves it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from stvg_ros.config import Config
from stvg_ros.errors import QueueFullError, StvgError
from stvg_ros.serving import replica_metrics, tar_request
from stvg_ros.serving.authentication import Authenticator, RateLimiter, RefusedError, read_tokens
from stvg_ros.serving.image_codec import decoded, decoded_size
from stvg_ros.serving.runner import Build, ReplicaCommand, Runner
from stvg_ros.serving.schema import (
    MEDIA_TYPE,
    SESSION_HEADER,
    VERSION,
    Event,
    Failure,
    FrameBatch,
    MissingFramesError,
    Request,
    SentFrame,
    SessionState,
)
from stvg_ros.serving.sessions import Key, Sessions
from stvg_ros.serving.wire_format import SchemaError, packed, unpacked
from stvg_ros.types import Clip, Frame

ALIVE_S = 1.0  # a command's stream is never silent for longer
_SESSION_CHARACTERS = 128

_Body = TypeVar("_Body", FrameBatch, Request)


class App:
    """Sessions, queue and counts of one replica, behind `handle`.

    Thread contract: the event loop's thread calls `handle`; pictures are decoded by its helpers,
    and commands grounded, and frames encoded ahead, by the runner's thread.
    """

    def __init__(self, config: Config, build: Build, token_file: str, replica: str) -> None:
        """Loads the model.

        Raises:
            StvgError: the token file or the model cannot be used.
        """
        self._limits = config.serving
        self._door = Authenticator(read_tokens(token_file) if token_file else None)
        self._rates = RateLimiter(self._limits.client_rate_hz)
        self._sessions = Sessions(self._limits)
        self._metrics = replica_metrics.Metrics(replica)
        self._runner = Runner(config, build, self._sessions.seen)

    async def handle(self, http: HttpRequest) -> Response:
        """Answers a request, whatever it is."""
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
        self._metrics.request(path if answer else "other", str(response.status_code))
        return response

    def check(self) -> None:
        """Forgets what has expired.

        Raises:
            RuntimeError: the replica can answer no more commands.
        """
        self._sessions.expire()
        if not self._runner.alive:
            raise RuntimeError("the thread that grounds has ended")

    def close(self) -> None:
        """Ends the running command."""
        self._runner.stop()

    async def _health(self, http: HttpRequest) -> Response:
        if not self._runner.alive:
            return JSONResponse({"status": "failed"}, 503)
        return JSONResponse({"status": "ok", "version": VERSION})

    async def _show_metrics(self, http: HttpRequest) -> Response:
        self._let_in(http)
        gauges = {
            "commands_waiting": self._runner.waiting,
            "sessions": len(self._sessions),
            "session_bytes": self._sessions.nbytes,
            "prepared_bytes": self._runner.prepared_bytes,
        }
        return PlainTextResponse(self._metrics.text(gauges), media_type=replica_metrics.MEDIA_TYPE)

    async def _frames(self, http: HttpRequest) -> Response:
        key = self._let_in(http)
        if not key[1]:
            raise SchemaError(f"the header {SESSION_HEADER} is missing: frames need a session")
        batch = unpacked(FrameBatch, await self._body(http))
        frames = await self._decoded(batch.frames, await_all=True)
        count = self._sessions.put(key, frames, batch.keep_from)
        self._runner.observe(key, batch.settings)
        return Response(packed(SessionState(VERSION, count)), media_type=MEDIA_TYPE)

    async def _ground(self, http: HttpRequest) -> Response:
        received_s = time.monotonic()
        key = self._let_in(http)
        body = await self._body(http)
        plain = http.headers.get("content-type", "") == tar_request.MEDIA_TYPE
        if plain:
            request = tar_request.request_of_tar(body, http.query_params)
        else:
            request = unpacked(Request, body)
        frames = await self._decoded(request.frames, await_all=False)
        have = {**(self._sessions.get(key) if key[1] else {}), **frames}
        missing = [sent.id for sent in request.frames if sent.id not in have]
        if missing:
            raise MissingFramesError(missing)
        try:
            clip = Clip(tuple(have[sent.id] for sent in request.frames))
        except ValueError as error:
            raise SchemaError(str(error)) from error
        if key[1]:
            self._sessions.put(key, frames, request.keep_from)
        events: asyncio.Queue[Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(event: Event) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended with the replica
                loop.call_soon_threadsafe(events.put_nowait, event)

        job = ReplicaCommand(key, request, clip, tell, received_s)
        self._runner.submit(job)
        stream = self._stream(job, events)
        if not plain:
            return StreamingResponse(
                (packed(event) async for event in stream), media_type=MEDIA_TYPE
            )
        last = [event async for event in stream][-1]
        return JSONResponse(tar_request.answer_json(last), 200 if last.answer else 422)

    async def _stream(
        self, job: ReplicaCommand, events: asyncio.Queue[Event]
    ) -> AsyncIterator[Event]:
        """The events of a job; when nobody takes them any more, the job ends."""
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
            self._metrics.command(time.monotonic() - job.received_s)
            self._runner.cancel(job)

    def _let_in(self, http: HttpRequest) -> Key:
        """Who asks, and for which session. Raises: RefusedError."""
        peer = http.client.host if http.client else ""
        authorization = http.headers.get("authorization", "")
        client = self._door.client(authorization, peer, http.url.scheme)
        session = http.headers.get(SESSION_HEADER, "")
        if len(session) > _SESSION_CHARACTERS:
            raise RefusedError(400, f"{SESSION_HEADER}: expected {_SESSION_CHARACTERS} characters")
        self._rates.take(client or session)  # without tokens, sessions tell clients apart
        return client, session

    async def _body(self, http: HttpRequest) -> bytes:
        """The body, of bounded size and in bounded time. Raises: RefusedError."""
        limit = self._limits.max_body_bytes
        too_large = RefusedError(
            413,
            f"the request: expected at most serving.max_body_bytes = {limit}, got more; send "
            "fewer or smaller frames",
        )
        length = http.headers.get("content-length", "")
        if length.isdecimal() and int(length) > limit:
            raise too_large

        async def read() -> bytes:
            body = bytearray()
            async for chunk in http.stream():
                body += chunk
                if len(body) > limit:
                    raise too_large
            return bytes(body)

        try:
            return await asyncio.wait_for(read(), self._limits.body_timeout_s)
        except asyncio.TimeoutError:
            raise RefusedError(
                408,
                "the request did not arrive within serving.body_timeout_s = "
                f"{self._limits.body_timeout_s:g} s",
            ) from None
        except ClientDisconnect:
            raise RefusedError(400, "the client went away before its request was there") from None

    async def _decoded(self, sent: Sequence[SentFrame], await_all: bool) -> Mapping[int, Frame]:
        """Those frames that came with their image. Raises: SchemaError, ImageError."""
        given = [(one, one.image) for one in sent if one.image is not None]
        if await_all and len(given) < len(sent):
            raise SchemaError("frames: expected an image with each, got one without")
        total, limit = 0, self._limits.session_bytes
        for _, image in given:
            width, height = decoded_size(image)
            total += 3 * width * height
        if total > limit:
            raise RefusedError(
                413,
                f"frames: expected at most serving.session_bytes = {limit} when decoded, got "
                f"{total}; send fewer or smaller ones",
            )
        self._metrics.received(sum(len(image) for _, image in given), len(given))
        images = await asyncio.gather(*(asyncio.to_thread(decoded, image) for _, image in given))
        return {
            one.id: Frame(one.stamp_ns, image, one.width_px, one.height_px, one.frame_id)
            for (one, _), image in zip(given, images, strict=True)
        }


def _refusal(error: StvgError, http: HttpRequest) -> Response:
    """The answer to a request that failed before it became a command."""
    status = 400
    missing: tuple[int, ...] = ()
    if isinstance(error, RefusedError):
        status = error.status
    elif isinstance(error, QueueFullError):
        status = 503
    elif isinstance(error, MissingFramesError):
        status, missing = 409, error.ids
    headers = {"retry-after": "1"} if status in (429, 503) else {}
    if http.headers.get("content-type", "") != MEDIA_TYPE:
        return JSONResponse(tar_request.error_json(error), status, headers)
    event = Event(VERSION, failure=Failure(error.code, str(error), missing))
    return Response(packed(event), status, headers, MEDIA_TYPE)
