# SPDX-License-Identifier: Apache-2.0

"""Settings with type, unit, range and description, and groups that validate their values."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields
from typing import Any, cast

from stvg_ros.errors import ConfigError

Value = bool | int | float | str
MAX_TEXT_CHARACTERS = 4096


@dataclass(frozen=True)
class Setting:
    """The description of one setting.

    ROS parameters and command lines have no None; they use `sentinel` instead.

    Attributes:
        default: as shown by parameters and command lines.
        minimum, maximum: of values other than the sentinel.
        sentinel: the value that represents None ("the model's own" or "none"); None for a setting
            that always has a value.
    """

    name: str
    default: Value
    description: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    dynamic: bool = False
    sentinel: Value | None = None

    @property
    def lowest(self) -> float | None:
        """The smallest valid value of a parameter, including the sentinel."""
        if self.minimum is None or not isinstance(self.sentinel, (int, float)):
            return self.minimum
        return min(self.minimum, self.sentinel)

    def is_sentinel(self, value: object) -> bool:
        """Whether a parameter's value represents None."""
        return self.sentinel is not None and type(value) is not bool and value == self.sentinel

    def outside(self, value: Value | None) -> Value:
        """A group's value as shown by parameters and command lines."""
        if value is not None:
            return value
        assert self.sentinel is not None
        return self.sentinel

    def checked(self, value: object) -> Value:
        """A parameter's value, converted to the setting's type.

        Raises:
            ConfigError: wrong type, outside the range, or not one of the choices.
        """
        if self.is_sentinel(value) and self.sentinel is not None:
            return self.sentinel
        kind = type(self.default)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        elif kind is int and isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not kind:
            raise ConfigError(
                f"{self.name}: expected {kind.__name__}, got {value!r} ({type(value).__name__})"
            )
        assert isinstance(value, (bool, int, float, str))
        if isinstance(value, str) and len(value) > MAX_TEXT_CHARACTERS:
            raise ConfigError(
                f"{self.name}: expected at most {MAX_TEXT_CHARACTERS} characters, got {len(value)}"
            )
        if self.choices and value not in self.choices:
            raise ConfigError(
                f"{self.name}: expected one of {', '.join(self.choices)}, got {value!r}"
            )
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            low, high = self.minimum, self.maximum
            # Written so that NaN fails too.
            if not ((low is None or value >= low) and (high is None or value <= high)):
                raise ConfigError(
                    f"{self.name}: expected a value from {_bound(self.lowest)} to {_bound(high)}"
                    f"{' ' + self.unit if self.unit else ''}, got {value!r}"
                )
        return value


def nearest(name: str, known: Iterable[str]) -> str:
    """The suffix of an error about an unknown name: suggests the most similar known name."""
    names = list(known)
    close = difflib.get_close_matches(name[:256].lower(), names, 1)
    # A name without its group, or in the wrong one.
    close = close or [item for item in names if item.split(".")[-1] == name.split(".")[-1]]
    return f"; did you mean {close[0]!r}?" if close else ""


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def setting(
    default: Value | None,
    description: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    dynamic: bool = False,
    sentinel: Value | None = None,
) -> Any:
    """A dataclass field with its description; `dynamic` settings may change at run time.

    A setting that may be None has a `sentinel`, see `Setting`.
    """
    return field(
        default=default,
        metadata={
            "description": description,
            "unit": unit,
            "minimum": minimum,
            "maximum": maximum,
            "choices": choices,
            "dynamic": dynamic,
            "sentinel": sentinel,
        },
    )


def setting_of(group: str, item: Field[Any]) -> Setting:
    """The `Setting` of a group's field, with its full name."""
    name = f"{group}.{item.name}" if group else item.name
    default = item.metadata["sentinel"] if item.default is None else item.default
    return Setting(name=name, default=cast(Value, default), **item.metadata)


class Group:
    """Base of the setting groups: validates every value on construction.

    A setting's full name is GROUP.NAME; in the group "" it is NAME.
    """

    group_name: str

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            known, value = setting_of(self.group_name, item), getattr(self, item.name)
            if known.sentinel is not None and value is None:
                continue
            if known.is_sentinel(value):
                raise ConfigError(
                    f"{known.name}: expected None in place of {value!r}, which is for parameters"
                )
            object.__setattr__(self, item.name, known.checked(value))
