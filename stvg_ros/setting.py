# SPDX-License-Identifier: Apache-2.0

"""What a setting is: its type, unit, range and description; groups that check their values."""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import Any, cast

from stvg_ros.errors import ConfigError

Value = bool | int | float | str


@dataclass(frozen=True)
class Setting:
    """What is known about one setting besides its value."""

    name: str
    default: Value
    description: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    dynamic: bool = False

    def checked(self, value: object) -> Value:
        """`value` in the setting's type.

        Raises:
            ConfigError: wrong type, outside the range, or not one of the choices.
        """
        kind = type(self.default)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not kind:
            raise ConfigError(
                f"{self.name}: expected {kind.__name__}, got {value!r} ({type(value).__name__})"
            )
        assert isinstance(value, (bool, int, float, str))
        if self.choices and value not in self.choices:
            raise ConfigError(
                f"{self.name}: expected one of {', '.join(self.choices)}, got {value!r}"
            )
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            low, high = self.minimum, self.maximum
            # Written so that NaN fails too.
            if not ((low is None or value >= low) and (high is None or value <= high)):
                raise ConfigError(
                    f"{self.name}: expected a value from {_bound(low)} to {_bound(high)}"
                    f"{' ' + self.unit if self.unit else ''}, got {value!r}"
                )
        return value


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def setting(
    default: Value,
    description: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    dynamic: bool = False,
) -> Any:
    """A dataclass field with its description; `dynamic` settings may change while running."""
    return field(
        default=default,
        metadata={
            "description": description,
            "unit": unit,
            "minimum": minimum,
            "maximum": maximum,
            "choices": choices,
            "dynamic": dynamic,
        },
    )


def setting_of(group: str, item: Field[Any]) -> Setting:
    """What a group's field was declared as, under its full name."""
    name = f"{group}.{item.name}" if group else item.name
    return Setting(name=name, default=cast(Value, item.default), **item.metadata)


class Group:
    """Base of the setting groups: checks every value on construction.

    A setting's full name is that of its group, a dot, and its own; the group "" adds nothing.
    """

    group_name: str

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            value = setting_of(self.group_name, item).checked(getattr(self, item.name))
            object.__setattr__(self, item.name, value)
