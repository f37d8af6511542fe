# SPDX-License-Identifier: Apache-2.0

"""Settings of the queue of commands."""

from __future__ import annotations

from dataclasses import dataclass

from stvg_ros.setting import Group, setting


@dataclass(frozen=True)
class CommandConfig(Group):
    """Commands that arrive while another one runs (node only)."""

    group_name = "command"
    policy: str = setting(
        "queue",
        "a new command waits (queue) or cancels earlier ones (replace); all are answered",
        choices=("queue", "replace"),
        dynamic=True,
    )
    queue_size: int = setting(
        8,
        "maximum number of waiting commands; further ones are refused",
        minimum=1,
        maximum=1000,
        dynamic=True,
    )
    preliminary: bool = setting(
        False,
        "publish the untuned answer first, as a preliminary tube, for every command; the final one "
        "follows",
        dynamic=True,
    )
    watch_rate_hz: float = setting(
        1.0,
        "how often the window is searched after a command such as 'tell me when somebody enters'",
        unit="Hz",
        minimum=1e-3,
        maximum=100.0,
        dynamic=True,
    )
    watch_s: float = setting(
        600.0,
        "how long such a command waits for its event, or reports events after 'whenever'",
        unit="s",
        minimum=1.0,
        maximum=86400.0,
        dynamic=True,
    )
    deadline_s: float | None = setting(
        None,
        "default deadline of a command; 0 is none",
        unit="s",
        sentinel=0.0,
        minimum=0.0,
        maximum=3600.0,
        dynamic=True,
    )
