# SPDX-License-Identifier: Apache-2.0

"""Access to a server: listening rule, tokens and rate limits."""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from stvg_ros.errors import ConfigError, ErrorCode, StvgError

MIN_TOKEN_CHARACTERS = 16
_BURST_S = 2.0
# Error code by HTTP status; others are INVALID_COMMAND.
_CODES = {
    401: ErrorCode.CONFIGURATION,
    403: ErrorCode.CONFIGURATION,
    408: ErrorCode.UNREACHABLE,
    429: ErrorCode.QUEUE_FULL,
}


class RefusedError(StvgError):
    """A refused request, with its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = _CODES.get(status, ErrorCode.INVALID_COMMAND)


def is_loopback(host: str) -> bool:
    """Whether the address is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def check_listening(host: str, token_file: str, certificate: str, key: str) -> None:
    """Refuses to listen on a reachable address without tokens and TLS.

    Raises:
        ConfigError: names what is missing.
    """
    if bool(certificate) != bool(key):
        raise ConfigError(
            f"--certificate and --key: expected both or none, got {certificate!r} and {key!r}"
        )
    for option, name in (("--certificate", certificate), ("--key", key)):
        if name and not Path(name).is_file():
            raise ConfigError(f"{option}: no such file: {name}")
    if is_loopback(host):
        return
    missing = [
        option
        for option, value in (("--token-file", token_file), ("--certificate and --key", key))
        if not value
    ]
    if missing:
        raise ConfigError(
            f"--host {host}: others can reach this address, so {' and '.join(missing)} are "
            "needed; or listen on 127.0.0.1"
        )


def read_tokens(path: str) -> Mapping[bytes, str]:
    """Clients by the digest of their token; each line of the file has a name and a token.

    Raises:
        ConfigError: the file cannot be read or has another format.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"token file {path}: cannot be read ({error})") from error
    clients: dict[bytes, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        if len(words) != 2 or len(words[1]) < MIN_TOKEN_CHARACTERS:
            raise ConfigError(
                f"token file {path}, line {number}: expected a client's name and a token of at "
                f"least {MIN_TOKEN_CHARACTERS} characters (openssl rand -hex 32)"
            )
        clients[_digest(words[1])] = words[0]
    if not clients:
        raise ConfigError(f"token file {path}: expected a name and a token on each line, got none")
    return clients


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8")).digest()


class Authenticator:
    """Authenticates requests by token and address."""

    def __init__(self, clients: Mapping[bytes, str] | None) -> None:
        """`clients` is the result of `read_tokens`, or None to accept only this machine."""
        self._clients = clients

    def client(self, authorization: str, peer: str, scheme: str) -> str:
        """The client's name, "" without tokens.

        Args:
            authorization: the header's value.
            peer: address of the sender.
            scheme: http or https.

        Raises:
            RefusedError: 401 for a missing or wrong token; 403 for a request from another machine
                without TLS or to a server without tokens.
        """
        if not is_loopback(peer) and (self._clients is None or scheme != "https"):
            raise RefusedError(
                403, f"requests from {peer} need TLS and a server with tokens (--token-file)"
            )
        if self._clients is None:
            return ""
        kind, _, token = authorization.partition(" ")
        # Looked up by digest, so that the timing reveals nothing about the token.
        client = self._clients.get(_digest(token.strip()))
        if kind.lower() != "bearer" or client is None:
            given = "a wrong token" if authorization else "no token"
            raise RefusedError(
                401, f"expected the header 'Authorization: Bearer TOKEN', got {given}"
            )
        return client


class RateLimiter:
    """Requests of a client per second, by token bucket. Thread contract: one thread."""

    def __init__(self, rate_hz: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate_hz = rate_hz
        self._clock = clock
        self._full = max(1.0, rate_hz * _BURST_S)
        self._left: dict[str, tuple[float, float]] = {}  # remaining requests at a time

    def take(self, client: str) -> None:
        """Counts a request.

        Raises:
            RefusedError: 429, the client exceeds its rate.
        """
        now_s = self._clock()
        if len(self._left) > 10_000:  # full buckets need no entry
            self._left = {
                name: (left, at_s)
                for name, (left, at_s) in self._left.items()
                if left + (now_s - at_s) * self._rate_hz < self._full
            }
        left, at_s = self._left.get(client, (self._full, now_s))
        left = min(self._full, left + (now_s - at_s) * self._rate_hz)
        if left < 1.0:
            raise RefusedError(
                429, f"expected at most {self._rate_hz:g} requests a second of a client, got more"
            )
        self._left[client] = (left - 1.0, now_s)
