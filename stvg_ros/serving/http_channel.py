# SPDX-License-Identifier: Apache-2.0

"""One kept HTTP connection of a client, with TLS and time-outs (standard library)."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from stvg_ros.errors import ConfigError, QueueFullError, StvgError, UnreachableError
from stvg_ros.serving.authentication import is_loopback
from stvg_ros.serving.schema import MEDIA_TYPE, SESSION_HEADER, Event, MissingFramesError, error_of
from stvg_ros.serving.settings import RemoteConfig
from stvg_ros.serving.wire_format import Stream, unpacked

TOKEN_VARIABLE = "STVG_ROS_TOKEN"
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_STALE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


@dataclass(frozen=True)
class Address:
    """Where a server is and how this client shows who it is.

    Attributes:
        context: for https, None for http.
        prefix: path before that of every request.
        headers: sent with every request.
    """

    host: str
    port: int
    context: ssl.SSLContext | None
    prefix: str
    headers: dict[str, str]

    @property
    def url(self) -> str:
        """For messages."""
        return f"{'https' if self.context else 'http'}://{self.host}:{self.port}{self.prefix}"

    @classmethod
    def of(cls, config: RemoteConfig, session: str) -> Address:
        """The address that the settings name.

        Raises:
            ConfigError: a URL, token or certificate that is not usable.
        """
        try:
            parts = urlsplit(config.address)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigError(f"remote.address: {config.address!r} ({error})") from error
        if parts.scheme not in ("http", "https") or not host or parts.query:
            raise ConfigError(
                f"remote.address: expected a URL such as https://gpu-box:8000, "
                f"got {config.address!r}"
            )
        token = _token(config.token_file)
        if token and parts.scheme == "http" and not is_loopback(host):
            raise ConfigError(
                f"remote.address: expected https, for a token must not travel in the clear, "
                f"got {config.address!r}"
            )
        headers = {SESSION_HEADER: session, "content-type": MEDIA_TYPE}
        if token:
            headers["authorization"] = f"Bearer {token}"
        context = _context(config.ca_file) if parts.scheme == "https" else None
        default = 443 if context else 80
        return cls(host, port or default, context, parts.path.rstrip("/"), headers)


def _token(path: str) -> str:
    if not path:
        return os.environ.get(TOKEN_VARIABLE, "")
    try:
        words = Path(path).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"remote.token_file: {path} cannot be read ({error})") from error
    if len(words) not in (1, 2):  # the server's files have a name before the token
        raise ConfigError(f"remote.token_file: expected one token in {path}, got {len(words)}")
    return words[-1]


def _context(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"remote.ca_file: expected a certificate in PEM, got {ca_file!r} ({error})"
        ) from error


class Channel:
    """Requests over one connection, which is made anew when it is gone.

    Thread contract: one thread at a time sends and reads; any thread may call `abort`.
    """

    def __init__(self, address: Address, timeout_s: float) -> None:
        """`timeout_s` is for connecting and for each pause in what is sent or read."""
        self._address = address
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes) -> bytes:
        """The body of the answer.

        Raises:
            UnreachableError: no answer.
            StvgError: the server refused.
        """
        return b"".join(self._pieces(path, body))

    def events(self, path: str, body: bytes) -> Iterator[Event]:
        """The events of the answer's stream, as they come. Raises: as of `post`."""
        stream = Stream(Event, _MAX_ANSWER_BYTES)
        for piece in self._pieces(path, body):
            yield from stream.feed(piece)

    def abort(self) -> None:
        """Ends the connection; who reads from it gets an error."""
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _pieces(self, path: str, body: bytes) -> Iterator[bytes]:
        try:
            answer = self._answer(path, body)
            if answer.status != 200:
                raise self._refusal(answer.status, answer.headers, answer.read(65_536))
            while piece := answer.read1(65_536):
                yield piece
            answer.close()  # where a length was given, the end does not; the connection is kept
        except ssl.SSLCertVerificationError as error:
            self._drop()
            raise ConfigError(
                f"{self._address.url}: the server's certificate is not trusted "
                f"({error.verify_message}); name its issuer in remote.ca_file"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            raise UnreachableError(
                f"{self._address.url}: unreachable ({type(error).__name__}: {error}); check "
                "remote.address and that the server runs"
            ) from error
        except BaseException:
            self._drop()
            raise

    def _answer(self, path: str, body: bytes) -> http.client.HTTPResponse:
        if self._connection is not None:
            try:
                return self._sent(self._connection, path, body)
            except _STALE:  # closed by the server while nobody used it
                self._drop()
        where = self._address
        if where.context is not None:
            self._connection = http.client.HTTPSConnection(
                where.host, where.port, timeout=self._timeout_s, context=where.context
            )
        else:
            self._connection = http.client.HTTPConnection(
                where.host, where.port, timeout=self._timeout_s
            )
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._sent(self._connection, path, body)

    def _sent(
        self, connection: http.client.HTTPConnection, path: str, body: bytes
    ) -> http.client.HTTPResponse:
        try:
            connection.request("POST", self._address.prefix + path, body, self._address.headers)
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses while the body is still on its way says why before it closes.
            if connection.sock is None:
                raise
        return connection.getresponse()

    def _refusal(self, status: int, headers: http.client.HTTPMessage, body: bytes) -> StvgError:
        """What an answer other than 200 means."""
        url = self._address.url
        if headers.get("content-type") != MEDIA_TYPE:  # of a proxy, not of a replica
            text = body[:200].decode("utf-8", "replace").strip()
            return UnreachableError(f"{url}: HTTP status {status} ({text})")
        failure = unpacked(Event, body).failure
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

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
