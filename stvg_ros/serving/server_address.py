# SPDX-License-Identifier: Apache-2.0

"""Address of the server, and the client's credentials."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from stvg_ros.errors import ConfigError
from stvg_ros.serving.authentication import is_loopback
from stvg_ros.serving.schema import MEDIA_TYPE, SESSION_HEADER
from stvg_ros.serving.settings import RemoteConfig

TOKEN_VARIABLE = "STVG_ROS_TOKEN"


@dataclass(frozen=True)
class Address:
    """Address of a server, and the client's credentials.

    Attributes:
        context: for https, None for http.
        prefix: path before the path of every request.
        headers: sent with every request.
    """

    host: str
    port: int
    context: ssl.SSLContext | None
    prefix: str
    headers: dict[str, str]

    @property
    def url(self) -> str:
        """The address as a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.context else 'http'}://{host}:{self.port}{self.prefix}"

    @classmethod
    def of(cls, config: RemoteConfig, session: str) -> Address:
        """The address from the settings.

        Raises:
            ConfigError: the URL, token or certificate is invalid.
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
        if not token.isascii() or not token.isprintable():
            raise ConfigError("remote.token_file: expected a token of ASCII characters")
        if token and parts.scheme == "http" and not is_loopback(host):
            raise ConfigError(
                f"remote.address: expected https, since a token must not travel in the clear, "
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
