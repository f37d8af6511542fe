# SPDX-License-Identifier: Apache-2.0

"""Ray's token is its owner's alone, and Ray stays where the server listens."""

from __future__ import annotations

import os
import stat

import pytest

from stvg_ros.errors import ConfigError
from stvg_ros.serving import ray_environment


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in (*ray_environment._ALWAYS, *ray_environment._LOOPBACK):
        monkeypatch.setenv(name, "")  # restored afterwards
        monkeypatch.delenv(name)
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_token_is_made_for_its_owner_alone(home):
    ray_environment.prepare("127.0.0.1")
    token = home / ".ray" / "auth_token"
    assert (mode(token), mode(token.parent)) == (0o600, 0o700)
    assert len(token.read_text()) == 64


@pytest.mark.parametrize(
    "before", [0o644, 0o640, 0o604, 0o666, 0o664, 0o660, 0o777, 0o400, 0o600, 0o444, 0o606]
)
def test_a_token_that_is_there_is_kept_and_closed_to_others(home, before):
    token = home / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("mine")
    token.chmod(before)
    ray_environment.prepare("0.0.0.0")
    assert mode(token) & 0o077 == 0
    assert token.read_text() == "mine"


def test_a_token_elsewhere_is_the_one_that_is_made(home, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "a" / "token"))
    ray_environment.prepare("127.0.0.1")
    assert mode(home / "a" / "token") == 0o600
    assert not (home / ".ray").exists()


def test_a_token_of_the_environment_needs_no_file(home, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x")
    ray_environment.prepare("127.0.0.1")
    assert not (home / ".ray").exists()


def test_a_token_that_cannot_be_made_is_an_error(home):
    (home / ".ray").write_text("a file")
    with pytest.raises(ConfigError, match="RAY_AUTH_TOKEN_PATH"):
        ray_environment.prepare("127.0.0.1")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.8.8.8", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("gpu-box", False)],
)  # fmt: skip
def test_ray_listens_on_loopback_where_the_server_does(home, monkeypatch, host, loopback):
    ray_environment.prepare(host)
    assert (os.environ.get("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER") == "0") is loopback
    assert ("AUTOSCALER_METRIC_PORT" in os.environ) is loopback
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
