# SPDX-License-Identifier: Apache-2.0

"""The command `stvg-ros`. Each subcommand imports only what it needs."""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points

from stvg_ros import __version__
from stvg_ros.errors import ConfigError, StvgError

# The robot's commands: modules of `stvg_ros.cli` with a docstring "`stvg-ros NAME ...`:
# DESCRIPTION", `add_arguments(parser)` and `run(given) -> int`.
COMMANDS = ("ground", "understand", "tubes", "serve", "models", "doctor", "mcp")
# Commands of other packages are entry points of this group.
GROUP = "stvg_ros.commands"
# Commands of `stvg_lab`, for the error message where that package is not installed.
LAB_COMMANDS = (
    "tutorial", "demo", "evaluate", "convert", "compare", "annotate", "report", "synthesize",
    "ablate", "calibrate", "bench", "latency", "identity",
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """Prints one line for a wrong argument; exit code 2."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def modules() -> dict[str, str]:
    """The module of each installed command, by name."""
    found = {entry.name: entry.value for entry in entry_points(group=GROUP)}
    listed = [name for name in LAB_COMMANDS if name in found]
    own = {name: f"stvg_ros.cli.{name}" for name in COMMANDS}
    return {**own, **{name: found[name] for name in [*listed, *sorted({*found} - {*listed})]}}


def parser(modules: Mapping[str, str]) -> argparse.ArgumentParser:
    """The command line of the commands whose modules are given."""
    top = _Parser(
        prog="stvg-ros", description="Finds where and when a video shows what a sentence describes."
    )
    top.add_argument("--version", action="version", version=f"stvg_ros {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, path in modules.items():
        module = importlib.import_module(path)
        first = (module.__doc__ or "").split("\n\n")[0].replace("\n", " ").strip()
        about = first.partition(": ")[2] or first
        command = commands.add_parser(name, help=about.rstrip("."), description=about)
        module.add_arguments(command)
    return top


def _check_installed(arguments: Sequence[str], installed: Mapping[str, str]) -> None:
    missing = next(iter(arguments[:1]), "")
    if missing in LAB_COMMANDS and missing not in installed:
        raise ConfigError(
            f"{missing}: expected the package stvg_lab, which is not installed; build with the "
            "CMake option -DSTVG_LAB=ON, or install stvg_ros[lab] with pip"
        )


def _drop_output() -> None:
    """Drops what could not be printed, which Python would try again when it ends."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; 0 for success, 1 for an error of the run, 2 for wrong arguments."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name of a file may not be in UTF-8
        sys.stdout.reconfigure(errors="surrogateescape")
    if sys.stderr is None:  # closed by the shell
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if not sys.stderr.isatty():  # no progress bars in logs
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    installed = modules()
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        _check_installed(arguments, installed)
    except ConfigError as error:
        print(f"stvg-ros {error}", file=sys.stderr)
        return 2
    given = parser(installed).parse_args(arguments)
    try:
        code: int = importlib.import_module(installed[given.command]).run(given)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # of the output, such as before "| head"
        _drop_output()
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _drop_output()
        print(f"stvg-ros {given.command}: {error.strerror}", file=sys.stderr)
        return 1
    except StvgError as error:
        print(f"stvg-ros {given.command}: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        print(f"stvg-ros {given.command}: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
