# SPDX-License-Identifier: Apache-2.0

"""Arguments shared by several commands, and the configuration from them."""

from __future__ import annotations

import argparse
import importlib.util
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stvg_ros.config import Config, settings
from stvg_ros.errors import ConfigError
from stvg_ros.setting import Value, nearest


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """`--model`, `--device` and `--set`."""
    parser.add_argument(
        "--model", default="embedded",
        help="local folder, hub id, or 'embedded' (default; rendered scenes only)",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, balanced, ...")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="a setting (docs/parameters.md), such as span.method=top_k; may be repeated",
    )  # fmt: skip


def check_ros() -> None:
    """Raises: ConfigError: ROS 2 or the messages of this package are not installed here."""
    for name in ("rclpy", "stvg_ros.msg"):
        if importlib.util.find_spec(name) is None:
            raise ConfigError(
                f"{name} is not installed here; source the workspace with stvg_ros, or use "
                "`make setup`"
            )


@contextmanager
def reading_progress(until_s: float | None) -> Iterator[Callable[[float], None]]:
    """Shows on a terminal how much of a recording is read; yields the receiver of the time in s.

    Args:
        until_s: end of the part, if it is known.
    """
    from tqdm import tqdm

    shape = "{l_bar}{bar}| {n:.1f} of {total:.1f} s" if until_s else "{desc}: {n:.1f} s"
    with tqdm(desc="reading", total=until_s, leave=False, disable=None, bar_format=shape) as bar:

        def show(time_s: float) -> None:
            bar.update(max(0.0, min(time_s, until_s or time_s) - bar.n))

        yield show


def at_least(low: float, *, above: bool = False) -> Callable[[str], float]:
    """An argparse type: a finite number of at least `low` (or more than `low`)."""

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
    """An argparse type: a whole number of at least `low`."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at least {low}, got {text!r}"
            )
        return int(text)

    return number


def flat_settings(given: argparse.Namespace) -> dict[str, Value]:
    """The values of `--model`, `--device` and `--set`, by setting name.

    Raises:
        ConfigError: a `--set` without "=", an unknown name, or a refused value.
    """
    known = {item.name: item for item in settings()}
    values: dict[str, Value] = {"model.path": _located(given.model), "model.device": given.device}
    for pair in given.settings:
        name, sign, text = pair.partition("=")
        if not sign:
            raise ConfigError(f"--set: expected NAME=VALUE, got {pair!r}")
        if name not in known:
            raise ConfigError(
                f"--set: unknown setting {name[:256]!r}{nearest(name, known)}; see "
                "docs/parameters.md"
            )
        values[name] = known[name].checked(_parsed(text, known[name].default))
    return values


def _located(model: str) -> str:
    """The absolute path of a model's folder, for processes in other folders; else unchanged."""
    folder = Path(model).expanduser()
    return str(folder.resolve()) if model not in ("", "embedded") and folder.is_dir() else model


def _parsed(text: str, default: Value) -> Value:
    """`text` in the type of `default`, or unchanged, to be refused by the setting."""
    if isinstance(default, bool):
        return {"true": True, "false": False}.get(text.lower(), text)
    if isinstance(default, (int, float)):
        try:
            return type(default)(text)
        except ValueError:
            return text
    return text


def config_of(given: argparse.Namespace) -> Config:
    """The configuration from the arguments. Raises: ConfigError."""
    return Config.from_flat(flat_settings(given))
