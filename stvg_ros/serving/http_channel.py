# SPDX-License-Identifier: Apache-2.0

"""HTTP requests of one client over persistent connections (httpx2), with immediate cancel."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import ssl
import threading
from collections.abc import AsyncIterator, Coroutine, Generator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from stvg_ros.errors import ConfigError, QueueFullError, StvgError, UnreachableError
from stvg_ros.serving.schema import MEDIA_TYPE, Event, MissingFramesError, error_of
from stvg_ros.serving.server_address import Address
from stvg_ros.serving.wire_format import RecordStream, SchemaError, decoded_record

POLL_S = 0.05  # period of the None values while waiting for an event
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_MAX_REFUSAL_BYTES = 65_536
_IDLE_S = 60.0  # less than the server's keep-alive time


class HttpChannel:
    """Requests of a client, sent by a separate thread with an event loop.

    A request is sent once. Closing its connection cancels it on the server.

    Thread contract: any thread may call any method.
    """

    def __init__(self, address: Address, timeout_s: float) -> None:
        """`timeout_s` is for connecting and for each pause while sending or reading."""
        self._address = address
        self._client = httpx2.AsyncClient(
            headers=address.headers,
            verify=address.context or True,
            timeout=timeout_s,
            limits=httpx2.Limits(keepalive_expiry=_IDLE_S),
            trust_env=False,  # robots reach their server directly
        )
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._running: set[concurrent.futures.Future[Any]] = set()
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def post(self, path: str, body: bytes) -> bytes:
        """The body of the response.

        Raises:
            UnreachableError: no response, or the channel was closed meanwhile.
            StvgError: the server refused.
        """
        request = self._start(self._posted(path, body))
        try:
            content: bytes = request.result()
        except concurrent.futures.CancelledError:
            raise self._closed_error() from None
        return content

    def events(self, path: str, body: bytes) -> Generator[Event | None, None, None]:
        """The events of the response's stream as they arrive, and None after each `POLL_S`.

        Closing the iterator ends the request immediately. Raises: as `post`.
        """
        arrived: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        request = self._start(self._streamed(path, body, arrived))
        request.add_done_callback(lambda _: arrived.put(None))
        try:
            while True:
                try:
                    event = arrived.get(timeout=POLL_S)
                except queue.Empty:
                    yield None
                    continue
                if event is None:
                    break
                yield event
            request.result()
        except concurrent.futures.CancelledError:
            raise self._closed_error() from None
        finally:
            request.cancel()

    def close(self) -> None:
        """Ends all requests, including those waited for, and the thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = list(self._running)
        for request in running:
            request.cancel()
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(2.0)

    def _closed_error(self) -> UnreachableError:
        return UnreachableError(f"{self._address.url}: the connection was closed here")

    def _start(self, work: Coroutine[Any, Any, Any]) -> concurrent.futures.Future[Any]:
        with self._lock:
            if self._closed:
                work.close()
                raise self._closed_error()
            request = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._running.add(request)
        request.add_done_callback(self._forget)
        return request

    def _forget(self, request: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            self._running.discard(request)

    def _run(self) -> None:
        self._loop.run_until_complete(self._until_closed())
        self._loop.close()

    async def _until_closed(self) -> None:
        await self._end.wait()
        requests = asyncio.all_tasks() - {asyncio.current_task()}
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
        await self._client.aclose()

    async def _posted(self, path: str, body: bytes) -> bytes:
        async with self._answer(path, body) as answer:
            return await _content(answer, _MAX_ANSWER_BYTES)

    async def _streamed(
        self, path: str, body: bytes, arrived: queue.SimpleQueue[Event | None]
    ) -> None:
        stream = RecordStream(Event, _MAX_ANSWER_BYTES)
        async with self._answer(path, body) as answer:
            async for piece in answer.aiter_raw():
                for event in stream.feed(piece):
                    arrived.put(event)

    @asynccontextmanager
    async def _answer(self, path: str, body: bytes) -> AsyncIterator[httpx2.Response]:
        """A response of status 200. Raises: as `post`."""
        url = self._address.url
        try:
            async with self._client.stream("POST", url + path, content=body) as answer:
                if answer.status_code != 200:
                    content = await _content(answer, _MAX_REFUSAL_BYTES)
                    raise self._refusal(answer, content)
                yield answer
        except SchemaError as error:
            raise UnreachableError(
                f"{url}: the answer cannot be read ({error}); check that remote.address is a "
                "server of the same release"
            ) from error
        except httpx2.ReadTimeout as error:
            raise UnreachableError(
                f"no response from {url} for {self._timeout_s:g} s (remote.timeout_s)"
            ) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            untrusted = _certificate_error(error)
            if untrusted is not None:
                raise ConfigError(
                    f"{url}: the server's certificate is not trusted "
                    f"({untrusted.verify_message}); name its issuer in remote.ca_file"
                ) from error
            raise UnreachableError(
                f"{url}: unreachable ({type(error).__name__}: {error}); check "
                "remote.address and that the server runs"
            ) from error

    def _refusal(self, answer: httpx2.Response, content: bytes) -> StvgError:
        """The error of a response other than 200."""
        url, status = self._address.url, answer.status_code
        if answer.headers.get("content-type") != MEDIA_TYPE:  # of a proxy, not of a replica
            text = content[:200].decode("utf-8", "replace").strip()
            return UnreachableError(f"{url}: HTTP status {status} ({text})")
        failure = decoded_record(Event, content).failure
        if failure is None:
            return UnreachableError(f"{url}: HTTP status {status} without a reason")
        message = f"{url}: {failure.message}"
        if status == 408:
            return UnreachableError(message)
        if status == 409 and failure.missing:
            return MissingFramesError(failure.missing)
        if status in (401, 403):
            return ConfigError(f"{message} (remote.token_file)")
        if status == 429:
            return QueueFullError(message)
        error = error_of(failure)
        return type(error)(message)


async def _content(answer: httpx2.Response, limit: int) -> bytes:
    """The body, truncated if it is longer than `limit`."""
    content = bytearray()
    async for piece in answer.aiter_raw():
        content += piece
        if len(content) >= limit:
            break
    return bytes(content[:limit])


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error
