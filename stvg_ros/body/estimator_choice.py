# SPDX-License-Identifier: Apache-2.0

"""Which estimator of keypoints `body.estimator` selects."""

from __future__ import annotations

import logging
from pathlib import Path

from stvg_ros.body.blazepose import BlazePose, runtime_installed
from stvg_ros.body.keypoint_weights import cached_weights
from stvg_ros.body.keypoints import KeypointEstimator
from stvg_ros.body.settings import BodyConfig

_LOG = logging.getLogger(__name__)
_FILES = (".task", ".tflite")


def build_estimator(config: BodyConfig) -> KeypointEstimator | None:
    """The selected estimator; None if keypoints are off.

    Raises:
        ModelError, ConfigError: it cannot be loaded.
    """
    name = config.estimator
    if name == "auto":
        if not runtime_installed() or not cached_weights().is_file():
            _LOG.info("keypoints: off; `stvg-ros models fetch body` brings a network for them")
            return None
        return BlazePose()
    if name == "off":
        return None
    if name == "blazepose":
        return BlazePose()
    if name.endswith(_FILES):
        return BlazePose(Path(name).expanduser())
    from stvg_ros.body.vitpose import VitPose

    return VitPose(name, config.device)
