# SPDX-License-Identifier: Apache-2.0

"""A hub on loopback that serves one folder as a repository, with the hub's headers and hashes."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def etag_of(name: str, content: bytes) -> str:
    """SHA-256 of a large file (by its suffix here), else git's hash of the blob."""
    if name.endswith(".safetensors"):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class FakeHub:
    """The hub; a context. `requested` has the path of each request."""

    def __init__(self, hub_id: str, folder: Path) -> None:
        self.hub_id, self.folder = hub_id, folder
        self.requested: list[str] = []
        self.tampered: dict[str, bytes] = {}  # what is sent in place of a file
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(False)

            def do_GET(self) -> None:
                self._answer(True)

            def _answer(self, whole: bool) -> None:
                hub.requested.append(self.path)
                code, headers, body = hub.answer(self.path.partition("?")[0])
                self.send_response(code)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if whole:
                    self.wfile.write(body)

            def log_message(self, *given: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeHub:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *given: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for the path of a request."""
        files = {p.name: p.read_bytes() for p in sorted(self.folder.iterdir()) if p.is_file()}
        if path.startswith(f"/api/models/{self.hub_id}/tree/"):
            listed = [
                {"type": "file", "oid": etag_of(name, content), "size": len(content), "path": name}
                for name, content in files.items()
            ]
            return 200, {"Content-Type": "application/json"}, json.dumps(listed).encode()
        if path.startswith(f"/api/models/{self.hub_id}"):
            siblings = [
                {"rfilename": name, "size": len(content)} for name, content in files.items()
            ]
            info = {"id": self.hub_id, "modelId": self.hub_id, "sha": COMMIT, "siblings": siblings}
            return 200, {"Content-Type": "application/json"}, json.dumps(info).encode()
        name = path.rpartition("/")[2]
        if path.startswith(f"/{self.hub_id}/resolve/") and name in files:
            content = files[name]
            headers = {"ETag": f'"{etag_of(name, content)}"', "X-Repo-Commit": COMMIT}
            return 200, headers, self.tampered.get(name, content)
        return 404, {"X-Error-Code": "RepoNotFound"}, b""
