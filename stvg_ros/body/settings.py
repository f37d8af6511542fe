# SPDX-License-Identifier: Apache-2.0

"""Settings of the keypoints and of what is measured on them."""

from __future__ import annotations

from dataclasses import dataclass

from stvg_ros.setting import Group, setting


@dataclass(frozen=True)
class BodyConfig(Group):
    """Keypoints of people."""

    group_name = "body"
    estimator: str = setting(
        "auto",
        "keypoints of people: 'blazepose' (after `stvg-ros models fetch body`), a pose_landmarker "
        ".task file, folder or hub id of a ViTPose, or 'off'; auto: blazepose if its weights and "
        "runtime are at hand, else off",
    )
    device: str = setting("auto", "ViTPose: 'auto', 'cpu', 'cuda', ...")
    rate_hz: float = setting(
        10.0,
        "frames a second that are measured when they arrive, for the people who are tracked then; "
        "0 measures at a command only",
        unit="Hz",
        minimum=0.0,
        maximum=60.0,
        dynamic=True,
    )
    people: int = setting(
        6,
        "people of a frame that are measured, the largest ones",
        minimum=1,
        maximum=64,
        dynamic=True,
    )
    megabytes: float = setting(
        8.0,
        "memory of the measurements that are kept; the oldest go first",
        unit="MB",
        minimum=0.1,
        maximum=1000.0,
        dynamic=True,
    )
    sides: str = setting(
        "robocup",
        "whose left and right: image: as the camera sees them; person: the described person's "
        "own; robocup: arms are the person's own, and directions are the camera's",
        choices=("robocup", "image", "person"),
        dynamic=True,
    )
