# SPDX-License-Identifier: Apache-2.0

"""What the proxies refuse before Ray Serve sees it, and clients that close their sending side."""

from __future__ import annotations

import asyncio
import socket

import pytest

pytest.importorskip("ray", reason="Ray Serve is missing: pip install -r requirements/serving.txt")
from serving_tools import CONTENT, command, sent, serve, tar_of, toy, until, works
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from stvg_ros.serving.proxy import RequestLimits, answer_half_closed

__all__ = ["serve", "toy"]  # fixtures


class Requests:
    """Requests to the middleware around an app that reads bodies and answers 200 at `go`."""

    def __init__(self, **limits):
        self.limits = RequestLimits(self._app, **limits)
        self.go = asyncio.Event()
        self.read = 0

    async def _app(self, scope, receive, send):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RuntimeError("broken off")
            self.read += len(message["body"])
            if not message["more_body"]:
                break
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ask(self, body=b"", peer="a", kind="http", headers=()):
        pieces = [body[at : at + 100] for at in range(0, len(body), 100)] or [b""]
        messages = [{"type": "http.request", "body": p, "more_body": True} for p in pieces]
        messages[-1]["more_body"] = False
        answers = []

        async def receive():
            return messages.pop(0)

        async def send(message):
            answers.append(message.get("status", message.get("code")))

        scope = {"type": kind, "headers": list(headers), "client": (peer, 1), "method": "POST"}
        await self.limits(scope, receive, send)
        return answers[0]


@pytest.mark.parametrize(
    ("bodies", "refused"),
    [
        ([("a", 1000)], 0),
        ([("a", 1001)], 1),
        ([("a", 500), ("a", 500)], 0),
        ([("a", 500), ("a", 600)], 1),
        ([("a", 1000), ("b", 1000)], 0),
        ([("a", 1000), ("b", 1000), ("c", 500)], 0),
        ([("a", 1000), ("b", 1000), ("c", 501)], 1),
        ([("a", 100)] * 10, 0),
        ([("a", 100)] * 12, 2),
        ([("a", 0)] * 20, 0),
    ],
)
def test_bodies_on_their_way_are_bounded(bodies, refused):
    async def run():
        requests = Requests(max_bytes=2500, max_peer_bytes=1000)
        asked = [asyncio.create_task(requests.ask(b"x" * n, peer)) for peer, n in bodies]
        for _ in range(200):
            await asyncio.sleep(0)
        requests.go.set()
        answers = await asyncio.gather(*asked)
        assert sorted(answers) == [200] * (len(bodies) - refused) + [503] * refused
        assert requests.limits._held.total() == 0
        assert await requests.ask(b"x" * 1000) == 200

    asyncio.run(run())


def test_a_websocket_is_refused():
    async def run():
        assert await Requests().ask(kind="websocket") == 1003

    asyncio.run(run())


@pytest.mark.parametrize(
    "value", [b"\xff", b"\xc3\xa9", b"a\x80", b"\xf0\x9f\x98\x80", b"\xfe" * 20]
)
@pytest.mark.parametrize("name", [b"x-session-id", b"X-Session-ID"])
def test_a_session_name_that_the_router_cannot_read_is_refused(name, value):
    async def run():
        requests = Requests()
        requests.go.set()
        assert await requests.ask(headers=[(name, value)]) == 400
        assert await requests.ask(headers=[(name, b"abc"), (b"other", value)]) == 200

    asyncio.run(run())


@pytest.fixture
def half_closed(monkeypatch):
    monkeypatch.setattr(AutoHTTPProtocol, "eof_received", AutoHTTPProtocol.eof_received)
    answer_half_closed(AutoHTTPProtocol, 0.05)


def _send(server, body, content_type):
    raw = socket.create_connection(("127.0.0.1", server.port), 30)
    raw.sendall(
        b"POST /v1/ground?query=dog HTTP/1.1\r\nhost: x\r\ncontent-type: %s\r\n" % content_type
        + b"content-length: %d\r\n\r\n" % len(body)
        + body
    )
    return raw


@pytest.mark.parametrize("content_type", [b"application/x-tar", b"application/msgpack"])
def test_a_client_that_closes_its_sending_side_is_answered(serve, toy, half_closed, content_type):
    server = serve()
    toy.go.clear()
    body = tar_of(*(frame.image for frame in sent())) if b"tar" in content_type else command(sent())
    with _send(server, body, content_type) as raw:
        raw.shutdown(socket.SHUT_WR)
        until(toy.started.is_set)
        toy.go.set()
        answer = b""
        while piece := raw.recv(65536):
            answer += piece
    assert b"HTTP/1.1 200" in answer
    assert b"found" in answer or b"answer" in answer


@pytest.mark.parametrize("content_type", [b"application/x-tar", b"application/msgpack"])
def test_a_client_that_is_gone_ends_its_command(serve, toy, half_closed, content_type):
    server = serve()
    toy.go.clear()
    body = tar_of(*(frame.image for frame in sent())) if b"tar" in content_type else command(sent())
    raw = _send(server, body, content_type)
    until(toy.started.is_set)
    raw.close()
    until(lambda: toy.ended)
    toy.go.set()
    assert works(server)


def test_half_a_request_is_dropped(serve, half_closed):
    server = serve()
    with socket.create_connection(("127.0.0.1", server.port), 30) as raw:
        raw.sendall(b"POST /v1/ground HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nx")
        raw.shutdown(socket.SHUT_WR)
        assert raw.recv(4096) == b""
    assert server.ask("POST", "/v1/ground", command(sent()), **CONTENT)[0] == 200
