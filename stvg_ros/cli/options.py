# SPDX-License-Identifier: Apache-2.0

"""Arguments that several commands share, and the configuration made of them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

from stvg_ros.config import Config, settings
from stvg_ros.errors import ConfigError
from stvg_ros.setting import Value


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """`--model`, `--device` and `--set`."""
    parser.add_argument(
        "--model", default="embedded",
        help="a local folder, a hub id, or 'embedded' (default) for the model in the package",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, ...")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="any setting by its name, such as span.method=top_k; may be repeated",
    )  # fmt: skip


def at_least(low: float, *, above: bool = False) -> Callable[[str], float]:
    """An argparse type: a finite number from `low` on (or above it)."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < low or (above and value == low):
            word = "more than" if above else "at least"
            raise argparse.ArgumentTypeError(f"expected a number of {word} {low:g}, got {text!r}")
        return value

    return number


def whole(low: int) -> Callable[[str], int]:
    """An argparse type: a whole number from `low` on."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at least {low}, got {text!r}"
            )
        return int(text)

    return number


def flat_settings(given: argparse.Namespace) -> dict[str, Value]:
    """What `--model`, `--device` and `--set` ask for, by setting name.

    Raises:
        ConfigError: a `--set` without "=", an unknown name, or a refused value.
    """
    known = {item.name: item for item in settings()}
    values: dict[str, Value] = {"model.path": given.model, "model.device": given.device}
    for pair in given.settings:
        name, sign, text = pair.partition("=")
        if not sign:
            raise ConfigError(f"--set: expected NAME=VALUE, got {pair!r}")
        if name not in known:
            raise ConfigError(f"--set: unknown setting {name!r}; see docs/parameters.md")
        values[name] = known[name].checked(_parsed(text, known[name].default))
    return values


def _parsed(text: str, default: Value) -> Value:
    """`text` in the type of `default`, or as it is, for the setting to refuse."""
    if isinstance(default, bool):
        return {"true": True, "false": False}.get(text.lower(), text)
    if isinstance(default, (int, float)):
        try:
            return type(default)(text)
        except ValueError:
            return text
    return text


def config_of(given: argparse.Namespace) -> Config:
    """The configuration that the arguments ask for. Raises: ConfigError."""
    return Config.from_flat(flat_settings(given))
