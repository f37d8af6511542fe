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
        "", "file with this client's token; '' uses the environment variable STVG_ROS_TOKEN, if set"
    )
    ca_file: str = setting("", "CA certificate (PEM) of the server; '' uses those of the system")
    jpeg_quality: int = setting(
        90, "JPEG quality of the frames sent; 0 sends lossless PNG", minimum=0, maximum=100
    )
    timeout_s: float = setting(
        10.0,
        "a server that sends nothing for this long is unreachable",
        unit="s",
        minimum=0.1,
        maximum=600.0,
    )
    retries: int = setting(
        2, "further attempts of a command after a lost connection", minimum=0, maximum=100
    )
    backoff_s: float = setting(
        0.2, "pause before the first retry; doubled for each further one", unit="s", minimum=0.0,
        maximum=60.0,
    )  # fmt: skip
    breaker_failures: int = setting(
        3, "failed attempts in a row that open the circuit breaker", minimum=1, maximum=1000
    )
    breaker_s: float = setting(
        5.0, "how long the circuit breaker stays open: commands fail at once", unit="s",
        minimum=0.0, maximum=3600.0,
    )  # fmt: skip
    tubes: str = setting(
        "server",
        "where candidate tubes are computed: on the server, or on this robot by proposals.source, "
        "which following and memory need; the tubes are sent with the command. Detections of "
        "another node (external) are always linked here",
        choices=("server", "robot"),
    )
    fallback: str = setting(
        "fail",
        "if the server is unreachable: fail, or ground locally with model.path",
        choices=("fail", "local"),
    )


@dataclass(frozen=True)
class ServingConfig(Group):
    """Limits of a server (`stvg-ros serve` only)."""

    group_name = "serving"
    max_queue: int = setting(
        16,
        "maximum number of waiting commands in a replica; further ones are refused",
        minimum=1,
        maximum=10000,
    )
    client_commands: int = setting(
        2, "maximum number of waiting and running commands of one client", minimum=1, maximum=10000
    )
    client_rate_hz: float = setting(
        60.0, "maximum average request rate of one client", unit="Hz", minimum=0.1, maximum=100000.0
    )
    command_timeout_s: float = setting(
        120.0, "maximum duration of a command", unit="s", minimum=0.1, maximum=3600.0
    )
    body_timeout_s: float = setting(
        20.0, "time limit for receiving a request", unit="s", minimum=0.1, maximum=600.0
    )
    max_body_bytes: int = setting(
        64 * 1024 * 1024, "maximum size of a request", unit="bytes", minimum=1024, maximum=2**32
    )
    session_bytes: int = setting(
        256 * 1024 * 1024,
        "memory for decoded frames of one session, and of one request",
        unit="bytes",
        minimum=1024,
        maximum=2**40,
    )
    store_bytes: int = setting(
        4 * 1024 * 1024 * 1024,
        "memory for decoded frames of all sessions of a replica",
        unit="bytes",
        minimum=1024,
        maximum=2**44,
    )
    client_bytes: int = setting(
        512 * 1024 * 1024,
        "memory for all sessions of a client, and the same for its requests in progress",
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
        "memory for prefetched features of all sessions of a replica, on the model's device",
        unit="bytes",
        minimum=0,
        maximum=2**44,
    )
    session_s: float = setting(
        60.0, "an unused session ends after this time", unit="s", minimum=0.1, maximum=86400.0
    )
