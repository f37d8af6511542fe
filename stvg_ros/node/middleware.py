# SPDX-License-Identifier: Apache-2.0

"""Bounds the memory that Fast DDS keeps for large messages in the node's process."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

PROFILE = Path(__file__).with_name("fast_dds.xml")
_PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_USE_PROFILE = "RMW_FASTRTPS_USE_QOS_FROM_XML"
# Set by users who configure Fast DDS themselves.
_CONFIGURED = (*_PROFILE_VARIABLES, _USE_PROFILE, "RMW_FASTRTPS_PUBLICATION_MODE")
_IN_FOLDER = ("DEFAULT_FASTRTPS_PROFILES.xml", "DEFAULT_FASTDDS_PROFILES.xml")


def free_messages(environment: MutableMapping[str, str], folder: Path) -> bool:
    """Makes Fast DDS free the memory of each message; returns whether it was changed.

    By default rmw_fastrtps never frees a buffer, and each of them grows to the largest message that
    it held: with queues for bursts of a thousand service calls, a few large requests would stay
    in memory for good. Call it before `rclpy.init`. A user's own configuration of Fast DDS is kept,
    and other middleware ignores these variables.

    Args:
        environment: variables of the process.
        folder: the current folder, where Fast DDS looks for a configuration as well.
    """
    named = any(environment.get(name) for name in _CONFIGURED)
    if named or any((folder / name).is_file() for name in _IN_FOLDER):
        return False
    for name in _PROFILE_VARIABLES:
        environment[name] = str(PROFILE)
    environment[_USE_PROFILE] = "1"
    return True
