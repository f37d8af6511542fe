# SPDX-License-Identifier: Apache-2.0

"""A time limit for the head of a request, in Ray Serve's HTTP proxies.

uvicorn, which the proxies use, waits for a request's head as long as the client likes, so a client
that sends a byte now and then would hold a connection for ever. Ray Serve calls `middlewares` as
a proxy starts, where the environment's RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.middleware import Middleware
from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_TIMEOUT_S = 10.0
IDLE_S = 65.0  # between requests on one connection
_REASON = b"the head of the request did not arrive in time\n"
_REFUSAL = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(_REASON), _REASON)
)


def middlewares() -> list[Middleware]:
    """Limits the time for heads in this process; there is no middleware to add."""
    limit_heads(AutoHTTPProtocol, HEAD_TIMEOUT_S, IDLE_S)
    return []


def limit_heads(protocol: Any, head_timeout_s: float, idle_s: float) -> None:
    """Makes a uvicorn protocol end connections on which no complete head comes in time.

    Args:
        protocol: the class of the connections, httptools' or h11's.
        head_timeout_s: for the first head; then the client is told.
        idle_s: for each further one.
    """
    connected: Callable[..., None] = protocol.connection_made

    def connection_made(self: Any, transport: asyncio.Transport) -> None:
        connected(self, transport)
        self.loop.call_later(head_timeout_s, watch, self, None)

    def watch(self: Any, seen: Any) -> None:
        # A cycle is made when a head is complete, and stays after its response.
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
