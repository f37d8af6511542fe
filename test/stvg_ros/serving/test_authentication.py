# SPDX-License-Identifier: Apache-2.0

"""Listening rule, tokens, rates."""

from __future__ import annotations

import pytest

from stvg_ros.errors import ConfigError, ErrorCode
from stvg_ros.serving.authentication import (
    Authenticator,
    RateLimiter,
    RefusedError,
    check_listening,
    is_loopback,
    read_tokens,
)

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("localhost", True), ("::1", True),
        ("::ffff:127.0.0.1", True), ("0.0.0.0", False), ("::", False), ("192.168.1.2", False),
        ("10.0.0.1", False), ("gpu-box", False), ("", False),
    ],
)  # fmt: skip
def test_loopback(host, alone):
    assert is_loopback(host) is alone


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, ErrorCode.INVALID_COMMAND), (401, ErrorCode.CONFIGURATION),
        (403, ErrorCode.CONFIGURATION), (404, ErrorCode.INVALID_COMMAND),
        (408, ErrorCode.UNREACHABLE), (413, ErrorCode.INVALID_COMMAND),
        (429, ErrorCode.QUEUE_FULL),
    ],
)  # fmt: skip
def test_a_refused_request_has_the_code_of_its_reason(status, code):
    assert RefusedError(status, "why").code is code
    assert RefusedError.code is ErrorCode.INTERNAL  # the instance's own


def test_a_public_address_needs_tokens_and_tls(tmp_path):
    pem = tmp_path / "x.pem"
    pem.write_text("")
    check_listening("127.0.0.1", "", "", "")
    check_listening("0.0.0.0", "tokens", str(pem), str(pem))
    with pytest.raises(ConfigError, match="--token-file and --certificate and --key are needed"):
        check_listening("0.0.0.0", "", "", "")
    with pytest.raises(ConfigError, match="so --token-file are needed"):
        check_listening("192.168.1.2", "", str(pem), str(pem))
    with pytest.raises(ConfigError, match="so --certificate and --key are needed"):
        check_listening("::", "tokens", "", "")
    with pytest.raises(ConfigError, match="expected both or none"):
        check_listening("127.0.0.1", "", str(pem), "")
    with pytest.raises(ConfigError, match="--key: no such file"):
        check_listening("127.0.0.1", "", str(pem), str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "got none"),
        ("# only a comment\n", "got none"),
        ("robot-1\n", "line 1: expected a client's name and a token"),
        (f"robot-1 {TOKEN}\nrobot-2 short\n", "line 2: .* at least 16 characters"),
    ],
)
def test_token_files_are_checked(tmp_path, text, said):
    path = tmp_path / "tokens"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        read_tokens(str(path))
    assert "short" not in str(caught.value)


def test_a_missing_token_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_tokens(str(tmp_path / "none"))


def test_the_token_names_the_client(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"# robots\nrobot-1 {TOKEN}\n\nrobot-2 {TOKEN}2\n")
    door = Authenticator(read_tokens(str(path)))
    assert door.client(f"Bearer {TOKEN}2", "127.0.0.1", "http") == "robot-2"
    assert door.client(f"bearer {TOKEN}", "10.0.0.1", "https") == "robot-1"
    for authorization, said in (
        ("", "got no token"),
        (f"Bearer {TOKEN}x", "got a wrong token"),
        (f"Basic {TOKEN}", "got a wrong token"),
        (TOKEN, "got a wrong token"),
    ):
        with pytest.raises(RefusedError, match=said) as caught:
            door.client(authorization, "127.0.0.1", "http")
        assert caught.value.status == 401


@pytest.mark.parametrize(
    ("clients", "peer", "scheme"),
    [(None, "10.0.0.1", "https"), ({b"": "x"}, "10.0.0.1", "http"), (None, "", "http")],
)
def test_an_open_server_answers_this_machine_alone(clients, peer, scheme):
    with pytest.raises(RefusedError, match="need TLS and a server with tokens") as caught:
        Authenticator(clients).client(f"Bearer {TOKEN}", peer, scheme)
    assert caught.value.status == 403
    assert Authenticator(None).client("", "127.0.0.1", "http") == ""


def test_rates_are_kept_for_each_client():
    now_s = [0.0]
    rates = RateLimiter(2.0, lambda: now_s[0])
    for _ in range(4):
        rates.take("a")
    with pytest.raises(RefusedError, match="at most 2 requests a second") as caught:
        rates.take("a")
    assert caught.value.status == 429
    rates.take("b")
    now_s[0] = 0.5
    rates.take("a")
    with pytest.raises(RefusedError):
        rates.take("a")


def test_full_buckets_are_forgotten_where_there_are_many():
    now_s = [0.0]
    rates = RateLimiter(2.0, lambda: now_s[0])
    for number in range(10_000):
        rates.take(str(number))
    now_s[0] = 1.0
    rates.take("a")
    assert len(rates._left) == 10_001
    rates.take("b")
    assert set(rates._left) == {"a", "b"}


@pytest.mark.parametrize("rate_hz", [0.1, 0.5, 1.0, 2.0, 3.0, 10.0, 60.0])
@pytest.mark.parametrize("pause_s", [10.0, 100.0, 1e6])
def test_a_pause_allows_no_more_than_a_full_bucket(rate_hz, pause_s):
    now_s = [0.0]
    rates = RateLimiter(rate_hz, lambda: now_s[0])
    rates.take("a")
    now_s[0] = pause_s
    for _ in range(max(1, int(2 * rate_hz))):
        rates.take("a")
    with pytest.raises(RefusedError):
        rates.take("a")
