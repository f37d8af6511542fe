# SPDX-License-Identifier: Apache-2.0

"""A hub that does not answer, refuses, or has no such repository."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from stvg_ros.proposals import hub_download
from stvg_ros.proposals.hub_download import cached, fetched

NAME = "someone/a-detector"


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub_download, "CONTACT_S", 0.5)
    fetched.cache_clear()


@pytest.fixture
def silent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and never answers
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_hub_that_never_answers_is_given_up(silent: str) -> None:
    assert "no answer within 0.5 s" in fetched(NAME, silent)


def test_a_hub_is_asked_once(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fetched(NAME, silent)
    monkeypatch.setattr(hub_download, "_Download", lambda *given: pytest.fail("asked again"))
    assert fetched(NAME, silent) == first


def test_a_hub_that_refuses_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "cannot be fetched (" in fetched(NAME, f"http://127.0.0.1:{port}")


def test_a_repository_that_the_hub_does_not_have_is_named() -> None:
    class NotFound(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *given: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), NotFound) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert "cannot be fetched (" in fetched(NAME, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def test_offline_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub_download, "_Download", lambda *given: pytest.fail("asked"))
    assert "HF_HUB_OFFLINE" in fetched(NAME)


def test_a_repository_is_cached_when_all_its_files_are(tmp_path: Path) -> None:
    folder = tmp_path / "models--someone--a-detector"
    files = folder / "snapshots" / "1234"
    files.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("1234")
    for name in hub_download.FILES[:-1]:
        (files / name).write_text("{}")
    assert not cached(NAME)
    (files / hub_download.FILES[-1]).write_text("{}")
    assert cached(NAME)
