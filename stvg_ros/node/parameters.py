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

from stvg_ros.config import Config, Setting, Value, settings
from stvg_ros.errors import ConfigError

_INT64 = 2**63 - 1


class Parameters:
    """The node's configuration, kept equal to its ROS parameters.

    A set of changes is checked as a whole; then it is applied under a lock and told to
    `on_change`. Any thread may read `config`.
    """

    def __init__(self, node: Node, on_change: Callable[[Config], None]) -> None:
        """Declares the parameters with the values of the launch file or command line.

        Raises:
            ConfigError: a value that its setting refuses.
        """
        self._lock = threading.Lock()
        self._on_change = on_change
        known = {item.name: item for item in settings()}
        values: dict[str, Value] = {}
        for name, item in known.items():
            # Ranges are checked by Config, which names the remedy; rclpy's own check does not.
            node.declare_parameter(name, item.default, ParameterDescriptor(dynamic_typing=True))
            values[name] = node.get_parameter(name).value
        self._config = Config.from_flat(values)
        for name, item in known.items():
            node.set_descriptor(name, descriptor(item))
        node.add_on_set_parameters_callback(self._set)

    @property
    def config(self) -> Config:
        """The configuration in force."""
        with self._lock:
            return self._config

    def _set(self, parameters: Iterable[Parameter]) -> SetParametersResult:
        changes = {p.name: p.value for p in parameters if p.name != "use_sim_time"}
        if not changes:
            return SetParametersResult(successful=True)
        with self._lock:
            try:
                config = Config.from_flat({**self._config.flat(), **changes})
            except ConfigError as error:
                return SetParametersResult(successful=False, reason=str(error))
            self._config = config
            self._on_change(config)
        return SetParametersResult(successful=True)


def descriptor(item: Setting) -> ParameterDescriptor:
    """What `ros2 param describe` shows."""
    unit = f" [{item.unit}]" if item.unit else ""
    choices = f" One of: {', '.join(item.choices)}." if item.choices else ""
    result = ParameterDescriptor(
        name=item.name,
        type=Parameter.Type.from_parameter_value(item.default).value,
        description=item.description + unit,
        additional_constraints=choices.strip(),
        read_only=not item.dynamic,
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
