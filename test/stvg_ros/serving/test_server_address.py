# SPDX-License-Identifier: Apache-2.0

"""The address of a server: what a URL, a token and a certificate become, and what is refused."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

pytest.importorskip("msgspec", reason="pip install -r requirements/serving.txt")
from stvg_ros.errors import ConfigError
from stvg_ros.serving.schema import MEDIA_TYPE, SESSION_HEADER
from stvg_ros.serving.server_address import TOKEN_VARIABLE, Address
from stvg_ros.serving.settings import RemoteConfig


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


def of(address: str, **settings: str) -> Address:
    return Address.of(RemoteConfig(address=address, **settings), "robot-7")


@pytest.mark.parametrize(
    ("given", "host", "port", "prefix", "url"),
    [
        ("http://gpu-box:8000", "gpu-box", 8000, "", "http://gpu-box:8000"),
        ("http://gpu-box", "gpu-box", 80, "", "http://gpu-box:80"),
        ("https://gpu-box", "gpu-box", 443, "", "https://gpu-box:443"),
        ("https://gpu-box:8443/lab/", "gpu-box", 8443, "/lab", "https://gpu-box:8443/lab"),
        ("http://[::1]:8000/a/b", "::1", 8000, "/a/b", "http://[::1]:8000/a/b"),
    ],
)
def test_a_url(given: str, host: str, port: int, prefix: str, url: str) -> None:
    found = of(given)
    assert (found.host, found.port, found.prefix, found.url) == (host, port, prefix, url)
    assert (found.context is not None) == given.startswith("https")


def test_headers_of_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {SESSION_HEADER: "robot-7", "content-type": MEDIA_TYPE}
    assert of("http://gpu-box:8000").headers == plain
    monkeypatch.setenv(TOKEN_VARIABLE, "secret")
    assert of("https://gpu-box").headers == {**plain, "authorization": "Bearer secret"}


@pytest.mark.parametrize(
    ("text", "token"), [("secret\n", "secret"), ("red secret", "secret"), ("~x-y.z", "~x-y.z")]
)
def test_a_token_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, token: str
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "another")
    file = tmp_path / "token"
    file.write_text(text)
    headers = of("https://gpu-box", token_file=str(file)).headers
    assert headers["authorization"] == f"Bearer {token}"


@pytest.mark.parametrize(
    ("address", "token", "reason"),
    [
        ("gpu-box:8000", "", "remote.address: expected a URL"),
        ("ftp://gpu-box", "", "remote.address: expected a URL"),
        ("http://", "", "remote.address: expected a URL"),
        ("http://gpu-box?a=b", "", "remote.address: expected a URL"),
        ("http://gpu-box:99999", "", "remote.address: 'http://gpu-box:99999'"),
        ("http://gpu-box:8000", "secret", "expected https, since a token"),
        ("https://gpu-box:8000", "sécret", "expected a token of ASCII characters"),
        ("https://gpu-box:8000", "a\x07b", "expected a token of ASCII characters"),
        ("https://gpu-box:8000", "red blue secret", "expected one token in .*, got 3"),
        ("https://gpu-box:8000", " ", "expected one token in .*, got 0"),
    ],
)
def test_what_cannot_be_an_address_is_refused(
    tmp_path: Path, address: str, token: str, reason: str
) -> None:
    file = tmp_path / "token"
    file.write_text(token, encoding="utf-8")
    with pytest.raises(ConfigError, match=reason):
        of(address, token_file=str(file) if token else "")


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000", "http://localhost", "http://[::1]"])
def test_a_token_may_travel_in_the_clear_within_a_machine(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "secret")
    assert of(address).headers["authorization"] == "Bearer secret"


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"remote\.token_file: .*none cannot be read"):
        of("https://gpu-box", token_file=str(tmp_path / "none"))
    odd = tmp_path / "odd"
    odd.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"remote\.token_file: .*odd cannot be read"):
        of("https://gpu-box", token_file=str(odd))
    for file in (tmp_path / "none", odd):
        with pytest.raises(ConfigError, match=r"remote\.ca_file: expected a certificate in PEM"):
            of("https://gpu-box", ca_file=str(file))


def test_a_certificate_is_checked_with_the_given_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    made = ssl.create_default_context

    def create(cafile: str | None = None) -> ssl.SSLContext:
        asked.append(cafile)
        return made()

    monkeypatch.setattr(ssl, "create_default_context", create)
    of("https://gpu-box", ca_file=str(tmp_path / "ca.pem"))
    of("https://gpu-box")
    of("http://gpu-box", ca_file=str(tmp_path / "ca.pem"))
    assert asked == [str(tmp_path / "ca.pem"), None]
