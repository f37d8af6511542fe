# SPDX-License-Identifier: Apache-2.0

"""The web server of the annotation page: local only, and protected by a token in the address."""

from __future__ import annotations

import json
import secrets
import sys
import threading
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stvg_lab.annotator.jpeg_frames import JpegFrames
from stvg_lab.annotator.session import Session
from stvg_ros.errors import RecordingError, StvgError

HOST = "127.0.0.1"
PAGE = Path(__file__).parent / "page"
MAX_BODY_BYTES = 16 * 1024**2
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_HEADERS = {
    # Only resources of this server, and no embedding in other pages.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class AnnotationServer(ThreadingHTTPServer):
    """Serves one session. Requests run on threads; one at a time uses the session.

    Attributes:
        address: address of the page, with the token that every request needs.
    """

    daemon_threads = True

    def __init__(self, frames: JpegFrames, session: Session, port: int = 0) -> None:
        """Binds the port; 0 takes a free one. Raises: RecordingError."""
        self.frames, self.session = frames, session
        self.token = secrets.token_urlsafe(24)
        self.lock = threading.Lock()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise RecordingError(
                f"port {port}: cannot be used on {HOST} ({error.strerror}); choose another, or 0 "
                "for any free one"
            ) from error
        self.address = f"http://{HOST}:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints the error, unless the browser closed the connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One request. `server` is an `AnnotationServer`."""

    server: AnnotationServer
    timeout = 30  # seconds of silence on a connection: browsers open some in advance

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Does not log requests to the terminal."""

    def do_GET(self) -> None:
        name = self._name()
        if name is None:
            return
        if name == "recording":
            self._answer(self._json, self._locked(self.server.session.recording_json))
        elif name.startswith("frames/") and name.endswith(".jpg"):
            number = name.removeprefix("frames/").removesuffix(".jpg")
            if number.isdecimal() and len(number) < 10:
                self._answer(self._jpeg, partial(self.server.frames.jpeg, int(number)))
            else:
                self._refuse(HTTPStatus.NOT_FOUND, f"no frame {number!r}")
        else:
            self._file(name or "index.html")

    def do_POST(self) -> None:
        name = self._name()
        if name is None:
            return
        length = self.headers.get("Content-Length", "")
        if name != "save":
            self._refuse(HTTPStatus.NOT_FOUND, f"nothing is at {name!r}")
        elif self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
        elif not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self._refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {MAX_BODY_BYTES} bytes"
            )
        else:
            self._save(self.rfile.read(int(length)))

    def _save(self, body: bytes) -> None:
        try:
            values = json.loads(body)
            # Half of a character, which no file can hold.
            json.dumps(values, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f"expected JSON ({error})")
            return
        self._answer(self._json, self._locked(partial(self._saved, values)))

    def _saved(self, values: Any) -> dict[str, Any]:
        version = self.server.session.save(values)
        return {"saved": str(self.server.session.out), "version": version}

    def _name(self) -> str | None:
        """The path after the token; None if the request was refused."""
        if _host(f"//{self.headers.get('Host', '')}") not in (HOST, "localhost"):
            # A page with another host name that resolves to this machine (DNS rebinding).
            self._refuse(HTTPStatus.FORBIDDEN, f"expected the host {HOST}")
            return None
        origin = self.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != self.headers.get("Host"):
            self._refuse(HTTPStatus.FORBIDDEN, f"requests from {origin} are refused")
            return None
        path = self.path.partition("?")[0].partition("#")[0]
        token, _, name = path.lstrip("/").partition("/")
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(
                HTTPStatus.FORBIDDEN, "use the whole address that `stvg-ros annotate` printed"
            )
            return None
        return name

    def _locked(self, call: Any) -> Any:
        def run() -> Any:
            with self.server.lock:
                return call()

        return run

    def _answer(self, send: Any, call: Any) -> None:
        """Sends the result of `call`, or the message of its error."""
        try:
            value = call()
        except StvgError as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
            return
        send(value)

    def _file(self, name: str) -> None:
        path = next((path for path in PAGE.iterdir() if path.name == name), None)
        if path is None or path.suffix not in _TYPES:
            self._refuse(HTTPStatus.NOT_FOUND, f"nothing is at {name!r}")
            return
        self._send(path.read_bytes(), f"{_TYPES[path.suffix]}; charset=utf-8")

    def _json(self, values: Any) -> None:
        self._send(json.dumps(values).encode(), "application/json")

    def _jpeg(self, data: bytes) -> None:
        self._send(data, "image/jpeg", cache="private, max-age=3600")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self._send(json.dumps({"error": message}).encode(), "application/json", status=status)

    def _send(
        self, data: bytes, kind: str, *, cache: str = "no-store", status: HTTPStatus = HTTPStatus.OK
    ) -> None:
        self.send_response(status)
        for header, value in (
            *_HEADERS.items(),
            ("Content-Type", kind),
            ("Content-Length", str(len(data))),
            ("Cache-Control", cache),
        ):
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(data)


def _host(address: str) -> str | None:
    """The host of an address; None if it has none."""
    try:
        return urlsplit(address).hostname
    except ValueError:  # such as "//["
        return None
