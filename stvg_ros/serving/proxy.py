# SPDX-License-Identifier: Apache-2.0

"""Adds request limits and half-closed connections to Ray Serve's HTTP proxies.

uvicorn, which the proxies use, has no time limit for a request's head, so a slow client can hold a
connection forever; and it drops the request of a client that closes its sending side, as `nc -N`
does. A proxy keeps whole bodies in memory before a replica checks the token. Ray Serve calls
`middlewares` when a proxy starts, if RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_TIMEOUT_S = 10.0
IDLE_S = 65.0  # between requests on one connection
PROBE_S = 1.0  # between checks whether a half-closed client is still connected
MAX_BODIES_BYTES = 1024**3  # of all requests in a proxy
MAX_PEER_BYTES = 512 * 1024**2  # of those from one address
_SESSION = b"x-session-id"
_PROBE = b"HTTP/1.1 102 Processing\r\n\r\n"
_REASON = b"the head of the request did not arrive in time\n"
_REFUSAL = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(_REASON), _REASON)
)


def middlewares() -> list[Middleware]:
    """Patches the connections of this process and returns the middleware."""
    limit_heads(AutoHTTPProtocol, HEAD_TIMEOUT_S, IDLE_S)
    answer_half_closed(AutoHTTPProtocol, PROBE_S)
    return [Middleware(RequestLimits)]


class RequestLimits:
    """ASGI middleware: refuses requests that the proxy cannot handle, and bounds held bodies.

    Thread contract: the proxy's event loop.
    """

    def __init__(
        self, app: ASGIApp, max_bytes: int = MAX_BODIES_BYTES, max_peer_bytes: int = MAX_PEER_BYTES
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_peer_bytes = max_peer_bytes
        self._held: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1003})  # before it is accepted: 403
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sessions = [value for name, value in scope["headers"] if name.lower() == _SESSION]
        if not all(value.isascii() for value in sessions):
            refusal = PlainTextResponse("x-session-id: expected ASCII characters\n", 400)
            await refusal(scope, receive, send)
            return
        peer = (scope.get("client") or ("",))[0]
        held = 0
        started = refused = False

        async def counted() -> Message:
            nonlocal held, refused
            message = await receive()
            nbytes = len(message.get("body", b""))
            held += nbytes
            self._held[peer] += nbytes
            if self._held[peer] > self._max_peer_bytes or self._held.total() > self._max_bytes:
                refused = True
                return {"type": "http.disconnect"}
            return message

        async def unless_refused(message: Message) -> None:
            nonlocal started
            if not refused:
                started = True
                await send(message)

        try:
            await self._app(scope, counted, unless_refused)
        except Exception:
            if not refused:  # of an aborted request
                raise
        finally:
            self._held[peer] -= held
            if self._held[peer] <= 0:
                del self._held[peer]
        if refused and not started:
            text = "the proxy holds too many requests; send fewer at once, or later\n"
            await PlainTextResponse(text, 503, {"retry-after": "1"})(scope, receive, send)


def limit_heads(protocol: Any, head_timeout_s: float, idle_s: float) -> None:
    """Makes a uvicorn protocol close connections without a complete request head in time.

    Args:
        protocol: the class of the connections, for httptools or h11.
        head_timeout_s: for the first head; after it, the client receives status 408.
        idle_s: for each further head.
    """
    connected: Callable[..., None] = protocol.connection_made

    def connection_made(self: Any, transport: asyncio.Transport) -> None:
        connected(self, transport)
        self.loop.call_later(head_timeout_s, watch, self, None)

    def watch(self: Any, seen: Any) -> None:
        # A cycle is created when a head is complete, and remains after its response.
        if self.transport.is_closing():
            return
        if self.cycle is None:
            self.transport.write(_REFUSAL)
            self.transport.close()
        elif self.cycle is seen and self.cycle.response_complete:
            self.transport.close()
        else:
            self.loop.call_later(idle_s, watch, self, self.cycle)

    protocol.connection_made = connection_made


def answer_half_closed(protocol: Any, probe_s: float) -> None:
    """Makes a uvicorn protocol answer clients that have closed their sending side.

    A disconnected client is detected only by sending to it, so an interim response is sent every
    `probe_s` until the response starts. TLS connections cannot be half-closed.
    """

    def eof_received(self: Any) -> bool:
        cycle = self.cycle
        if cycle is None or cycle.response_complete or getattr(cycle, "more_body", False):
            return False  # no complete request: the transport closes itself
        self.loop.call_later(probe_s, probe, self, cycle)
        return True

    def probe(self: Any, cycle: Any) -> None:
        if self.transport.is_closing():
            return
        if cycle.response_complete:
            self.transport.close()
            return
        if not cycle.response_started:
            self.transport.write(_PROBE)
        self.loop.call_later(probe_s, probe, self, cycle)

    protocol.eof_received = eof_received
