# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""`stvg-ros`: ground a video, try the node, measure. Each command loads only what it needs."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from stvg_ros.errors import ConfigError, StvgError

# Name, what it does, and the module with `add_arguments(parser)` and `run(given) -> int`.
COMMANDS = (
    ("ground", "find what a sentence describes in a video or a bag, without ROS"),
    ("tubes", "the candidate tubes of a video, among which a grounding chooses"),
    ("evaluate", "accuracy on data sets, bags and videos; stopped runs go on"),
    ("convert", "a data set as bags, or annotated bags and videos as a data set"),
    ("compare", "two runs of evaluate side by side, with a paired test"),
    ("demo", "the whole loop on real ROS 2: bag, camera topic, node, command, tube"),
    ("serve", "the model for robots elsewhere, on Ray Serve"),
    ("latency", "what a server adds to a command, beside the same model here"),
    ("annotate", "mark queries, spans and boxes on a video or a bag, in a local web page"),
    ("report", "what an evaluation run gave, as an HTML page, JSON and CSV"),
    ("synthesize", "rendered scenes as a data set: videos or bags, with true tubes"),
    ("ablate", "accuracy on rendered scenes, the parts of the method added one by one"),
    ("calibrate", "from when on a target counts as present, measured on rendered scenes"),
    ("bench", "what a grounding costs on this machine, beside a slow schedule"),
    ("doctor", "checks model, memory, the running node and its topics; says what to do"),
)


class _Parser(argparse.ArgumentParser):
    """One line for a wrong argument, exit code 2."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """The command line of every command."""
    top = _Parser(
        prog="stvg-ros", description="Where and when is what a sentence describes, in a video."
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, about in COMMANDS:
        command = commands.add_parser(name, help=about, description=about[0].upper() + about[1:])
        importlib.import_module(f"stvg_ros.cli.{name}").add_arguments(command)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; 0 for success, 1 for an error of the run, 2 for wrong arguments."""
    given = parser().parse_args(arguments)
    try:
        code: int = importlib.import_module(f"stvg_ros.cli.{given.command}").run(given)
        return code
    except StvgError as error:
        print(f"stvg-ros {given.command}: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        print(f"stvg-ros {given.command}: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
