# SPDX-License-Identifier: Apache-2.0

"""Settings of the queue of commands."""

from __future__ import annotations

from dataclasses import dataclass

from stvg_ros.setting import Group, setting


@dataclass(frozen=True)
class CommandConfig(Group):
    """What happens to commands that come while another is being answered (node only)."""

    group_name = "command"
    policy: str = setting(
        "queue",
        "a new command waits its turn, or replaces the ones before it; all are answered",
        choices=("queue", "replace"),
        dynamic=True,
    )
    queue_size: int = setting(
        8, "commands that may wait; one more is refused", minimum=1, maximum=1000, dynamic=True
    )
    preliminary: bool = setting(
        False,
        "publish the answer before tuning at once, as a preliminary tube, for every command; the "
        "final one follows",
        dynamic=True,
    )
    deadline_s: float | None = setting(
        None,
        "deadline of commands that name none; 0 is none",
        unit="s",
        sentinel=0.0,
        minimum=0.0,
        maximum=3600.0,
        dynamic=True,
    )
