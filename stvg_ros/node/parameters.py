# SPDX-License-Identifier: Apache-2.0

"""Every setting of `stvg_ros.config` as a ROS parameter of the same name."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from stvg_ros.config import Config, settings
from stvg_ros.errors import ConfigError
from stvg_ros.setting import Setting

_INT64 = 2**63 - 1


class Parameters:
    """The node's configuration, kept equal to its ROS parameters.

    Until `check` any value may be set, for `check` to judge. From then on a set of changes is
    checked as a whole, then applied under a lock and told to `on_change`; settings that are not
    dynamic stay as they are until `release`. Any thread may read `config`.
    """

    def __init__(self, node: Node, on_change: Callable[[Config], None]) -> None:
        """Declares the parameters with the values of the launch file or command line."""
        self._node = node
        self._lock = threading.Lock()
        self._on_change = on_change
        self._config = Config()
        self._fixed = False
        self._known = {item.name: item for item in settings()}
        for name, item in self._known.items():
            # Values are judged by Config, which names the remedy; rclpy's own check does not.
            node.declare_parameter(name, item.default, ParameterDescriptor(dynamic_typing=True))
        node.add_on_set_parameters_callback(self._set)

    @property
    def config(self) -> Config:
        """The configuration in force."""
        with self._lock:
            return self._config

    def check(self) -> Config:
        """Makes the parameters' values the configuration.

        Raises:
            ConfigError: a value that its setting refuses.
        """
        values = {name: self._node.get_parameter(name).value for name in self._known}
        config = Config.from_flat(values)
        for name, item in self._known.items():
            self._node.set_descriptor(name, descriptor(item))
        with self._lock:
            self._config, self._fixed = config, True
        return config

    def release(self) -> None:
        """Lets every parameter be set again, for the next `check`."""
        with self._lock:
            self._fixed = False

    def _set(self, parameters: Iterable[Parameter]) -> SetParametersResult:
        changes = {p.name: p.value for p in parameters if p.name in self._known}
        with self._lock:
            if not changes or not self._fixed:
                return SetParametersResult(successful=True)
            try:
                config = Config.from_flat({**self._config.flat(), **changes})
                self._refuse_fixed(config)
            except ConfigError as error:
                return SetParametersResult(successful=False, reason=str(error))
            self._config = config
            self._on_change(config)
        return SetParametersResult(successful=True)

    def _refuse_fixed(self, config: Config) -> None:
        old, new = self._config.flat(), config.flat()
        for name, item in self._known.items():
            if not item.dynamic and new[name] != old[name]:
                raise ConfigError(
                    f"{name}: expected no change while the node is configured, got {new[name]!r}; "
                    "deactivate and clean up the node, set it, and configure again"
                )


def descriptor(item: Setting) -> ParameterDescriptor:
    """What `ros2 param describe` shows."""
    unit = f" [{item.unit}]" if item.unit else ""
    limits = [f"One of: {', '.join(item.choices)}."] if item.choices else []
    if not item.dynamic:
        limits.append("Fixed while the node is configured.")
    result = ParameterDescriptor(
        name=item.name,
        type=Parameter.Type.from_parameter_value(item.default).value,
        description=item.description + unit,
        additional_constraints=" ".join(limits),
    )
    low, high = item.minimum, item.maximum
    if isinstance(item.default, float) and (low is not None or high is not None):
        result.floating_point_range = [
            FloatingPointRange(
                from_value=-math.inf if low is None else float(low),
                to_value=math.inf if high is None else float(high),
            )
        ]
    elif isinstance(item.default, int) and (low is not None or high is not None):
        result.integer_range = [
            IntegerRange(
                from_value=-_INT64 if low is None else int(low),
                to_value=_INT64 if high is None else int(high),
            )
        ]
    return result
