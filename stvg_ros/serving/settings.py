# SPDX-License-Identifier: Apache-2.0

"""Settings of a client of a remote model, and of its server."""

from __future__ import annotations

from dataclasses import dataclass

from stvg_ros.setting import Group, setting


@dataclass(frozen=True)
class RemoteConfig(Group):
    """How a client reaches the server with the model (`backend: remote`)."""

    group_name = "remote"
    address: str = setting(
        "http://127.0.0.1:8000", "URL of the server, with the path of the model's application"
    )
    token_file: str = setting(
        "", "file with this client's token; '' sends the environment's STVG_ROS_TOKEN, if set"
    )
    ca_file: str = setting(
        "", "certificate (PEM) that the server's must be signed by; '' is the system's"
    )
    jpeg_quality: int = setting(
        90, "JPEG quality of the frames sent; 0 sends PNG, without loss", minimum=0, maximum=100
    )
    timeout_s: float = setting(
        10.0,
        "a server that sends nothing for so long is unreachable",
        unit="s",
        minimum=0.1,
        maximum=600.0,
    )
    retries: int = setting(
        2, "how often a command is sent again after the server broke off", minimum=0, maximum=100
    )
    backoff_s: float = setting(
        0.2, "pause before the first retry; doubled for each more", unit="s", minimum=0.0,
        maximum=60.0,
    )  # fmt: skip
    breaker_failures: int = setting(
        3,
        "failed attempts in a row after which no more are made for breaker_s",
        minimum=1,
        maximum=1000,
    )
    breaker_s: float = setting(
        5.0, "how long no attempt is made; commands fail at once", unit="s",
        minimum=0.0, maximum=3600.0,
    )  # fmt: skip
    fallback: str = setting(
        "fail",
        "without the server: answer 'failed: unreachable', or ground with model.path here",
        choices=("fail", "local"),
    )


@dataclass(frozen=True)
class ServingConfig(Group):
    """Limits of a server (`stvg-ros serve` only)."""

    group_name = "serving"
    max_queue: int = setting(
        16, "commands that may wait in a replica; one more is refused", minimum=1, maximum=10000
    )
    client_commands: int = setting(
        2, "commands of one client that may wait or run at once", minimum=1, maximum=10000
    )
    client_rate_hz: float = setting(
        60.0, "requests of one client, on average", unit="Hz", minimum=0.1, maximum=100000.0
    )
    command_timeout_s: float = setting(
        120.0, "a command that takes longer ends", unit="s", minimum=0.1, maximum=3600.0
    )
    body_timeout_s: float = setting(
        20.0, "a request must have arrived after so long", unit="s", minimum=0.1, maximum=600.0
    )
    max_body_bytes: int = setting(
        64 * 1024 * 1024, "size of a request", unit="bytes", minimum=1024, maximum=2**32
    )
    session_bytes: int = setting(
        256 * 1024 * 1024,
        "decoded frames of one session, and of one request",
        unit="bytes",
        minimum=1024,
        maximum=2**40,
    )
    store_bytes: int = setting(
        4 * 1024 * 1024 * 1024,
        "decoded frames of all sessions of a replica",
        unit="bytes",
        minimum=1024,
        maximum=2**44,
    )
    client_bytes: int = setting(
        512 * 1024 * 1024,
        "decoded frames of all sessions of a client, and again memory of its requests in work",
        unit="bytes",
        minimum=1024,
        maximum=2**44,
    )
    request_bytes: int = setting(
        2 * 1024 * 1024 * 1024,
        "memory of all requests of a replica that are read, decoded or grounded",
        unit="bytes",
        minimum=1024,
        maximum=2**44,
    )
    prefetch_bytes: int = setting(
        1024 * 1024 * 1024,
        "features of prefetched frames, of all sessions of a replica, on the model's device",
        unit="bytes",
        minimum=0,
        maximum=2**44,
    )
    session_s: float = setting(
        60.0, "a session that nobody uses ends", unit="s", minimum=0.1, maximum=86400.0
    )
