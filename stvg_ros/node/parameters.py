# SPDX-License-Identifier: Apache-2.0

"""The settings of `stvg_ros.config` as ROS parameters of the same names."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rcl_interfaces import msg, srv
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from stvg_ros.config import Config, node_settings
from stvg_ros.errors import ConfigError, bounded, said
from stvg_ros.setting import Setting, nearest

_INT64 = 2**63 - 1


class Parameters:
    """The node's configuration, kept equal to its ROS parameters.

    Before `check`, any value can be set; `check` validates them. After it, a set of changes is
    validated as a whole, then applied under a lock and passed to `on_change`; settings that are
    not dynamic cannot change until `release`. An integer is accepted for a double; no parameter
    can be unset. Any thread may read `config`.
    """

    def __init__(self, node: Node, on_change: Callable[[Config], None]) -> None:
        """Declares the parameters with the values of the launch file or command line.

        Logs a warning for each given value whose name is not a parameter of the node.
        """
        self._node = node
        self._lock = threading.Lock()
        self._on_change = on_change
        self._config = Config()
        self._fixed = False
        self._known = {item.name: item for item in node_settings()}
        for name, item in self._known.items():
            # Config validates the values, since its errors name the remedy; rclpy's do not.
            node.declare_parameter(name, item.default, ParameterDescriptor(dynamic_typing=True))
        if hasattr(node, "add_pre_set_parameters_callback"):  # Humble's rclpy has none
            node.add_pre_set_parameters_callback(self._as_meant)
        node.add_on_set_parameters_callback(self._set)
        # A whole number gets the type of its parameter.
        declared = [node.get_parameter(name) for name in self._known]
        numbers = (Parameter.Type.INTEGER, Parameter.Type.DOUBLE)
        node.set_parameters(self._as_meant(p for p in declared if p.type_ in numbers))
        self._answer_in_own_words()
        for name in node._parameter_overrides:  # rclpy offers no other way to read them
            if not node.has_parameter(name):
                node.get_logger().warning(
                    f"parameter {bounded(name, 256)!r} is not one of this node and has no effect"
                    f"{nearest(name, self._known)}"
                )

    @property
    def config(self) -> Config:
        """The current configuration."""
        with self._lock:
            return self._config

    def check(self) -> Config:
        """Builds the configuration from the parameters' values.

        Raises:
            ConfigError: a setting refuses its value.
        """
        values = {name: self._node.get_parameter(name).value for name in self._known}
        config = Config.from_flat(values)
        for name, item in self._known.items():
            self._node.set_descriptor(name, descriptor(item))
        with self._lock:
            self._config, self._fixed = config, True
        return config

    def release(self) -> None:
        """Allows every parameter to be set again, until the next `check`."""
        with self._lock:
            self._fixed = False

    def _answer_in_own_words(self) -> None:
        """Replaces rclpy's services, which raise on value types that do not exist."""

        def one_by_one(request: Any, response: Any) -> Any:
            response.results = [self._attempt([item]) for item in request.parameters]
            return response

        def together(request: Any, response: Any) -> Any:
            response.result = self._attempt(request.parameters)
            return response

        own = {srv.SetParameters: one_by_one, srv.SetParametersAtomically: together}
        for service in self._node.services:
            if service.srv_type in own:
                service.callback = own[service.srv_type]

    def _attempt(self, messages: Sequence[msg.Parameter]) -> SetParametersResult:
        if not messages:
            return SetParametersResult(successful=True)
        try:
            for item in messages:
                self._check_message(item)
            changes = [Parameter.from_parameter_msg(item) for item in messages]
            return self._node.set_parameters_atomically(self._as_meant(changes))
        except Exception as error:
            return SetParametersResult(successful=False, reason=said(error))

    def _check_message(self, item: msg.Parameter) -> None:
        name, kind = bounded(item.name, 256), item.value.type
        if not self._node.has_parameter(item.name):
            raise ConfigError(
                f"{name}: this node has no such parameter{nearest(item.name, self._known)}"
            )
        if kind not in {known.value for known in Parameter.Type}:
            raise ConfigError(
                f"{name}: expected a value of one of the types of rcl_interfaces/ParameterType, "
                f"got type {kind}"
            )
        if kind == Parameter.Type.NOT_SET.value:
            raise ConfigError(self._unset(item.name))
        if self._fixed and item.name in self._known:
            self._known[item.name].checked(Parameter.from_parameter_msg(item).value)

    def _unset(self, name: str) -> str:
        known = self._known.get(name)
        remedy = f"; its default is {known.default!r}" if known is not None else ""
        return f"{name}: expected a value, a parameter cannot be unset{remedy}"

    def _as_meant(self, parameters: Iterable[Parameter]) -> list[Parameter]:
        """The same changes, with whole numbers converted to the type of their parameter."""

        def meant(item: Parameter) -> Parameter:
            known = self._known.get(item.name)
            kind = None if known is None else type(known.default)
            if kind is float and item.type_ is Parameter.Type.INTEGER:
                return Parameter(item.name, value=float(item.value))
            if kind is int and item.type_ is Parameter.Type.DOUBLE and item.value.is_integer():
                return Parameter(item.name, value=int(item.value))
            return item

        return [meant(item) for item in parameters]

    def _set(self, parameters: Iterable[Parameter]) -> SetParametersResult:
        parameters = list(parameters)
        for item in parameters:
            if item.type_ is Parameter.Type.NOT_SET and self._node.has_parameter(item.name):
                return SetParametersResult(successful=False, reason=self._unset(item.name))
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
    """The descriptor that `ros2 param describe` shows."""
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
    low, high = item.lowest, item.maximum
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
