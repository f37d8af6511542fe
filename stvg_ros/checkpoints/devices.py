# SPDX-License-Identifier: Apache-2.0

"""Resolves the devices of a setting."""

from __future__ import annotations

import torch

from stvg_ros.checkpoints.files import first_line
from stvg_ros.errors import ConfigError

SPREAD = "balanced"  # a model over all GPUs


def devices_of(name: str, setting: str) -> list[torch.device]:
    """The devices of `setting`: all GPUs for "balanced", else one; see `device_of`.

    Raises:
        ConfigError: not a device, not available on this machine, or fewer than two GPUs.
    """
    if name != SPREAD:
        return [device_of(name, setting)]
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count < 2:
        raise ConfigError(
            f"{setting}: {SPREAD!r} spreads a model over all GPUs; expected at least two, found "
            f"{count}; set it to 'auto'"
        )
    return [torch.device("cuda", index) for index in range(count)]


def device_of(name: str, setting: str) -> torch.device:
    """The device of `setting`; "auto" is a GPU if there is one.

    Raises:
        ConfigError: not a device, or not available on this machine.
    """
    try:
        device = torch.device(
            ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
        )
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"{setting}: {name!r} cannot be used here ({first_line(error)}); expected 'auto', "
            "'cpu' or a device of this machine such as 'cuda:0'"
        ) from error
    return device
