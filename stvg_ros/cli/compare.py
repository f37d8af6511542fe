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

"""`stvg-ros compare A B`: two runs side by side, with a paired test."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from stvg_ros.evaluation.conventions import CONVENTIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("first", type=Path, metavar="A", help="folder of a run of evaluate")
    parser.add_argument("second", type=Path, metavar="B", help="folder of another run")
    parser.add_argument(
        "--convention", choices=tuple(CONVENTIONS),
        help="how frames are counted (default: as both runs did)",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, help="also write the comparison to this file")


def run(given: argparse.Namespace) -> int:
    """Prints the table."""
    from stvg_ros.evaluation.compare import compare, table
    from stvg_ros.evaluation.records import write_json

    found = compare(given.first, given.second, given.convention)
    print(table(found))
    if given.json is not None:
        write_json(given.json, asdict(found))
    return 0
