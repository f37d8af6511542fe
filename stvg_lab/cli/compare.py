# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros compare A B`: compares two runs with a paired test."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from stvg_lab.runs.conventions import CONVENTIONS


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
    from stvg_lab.runs.comparison import compare, comparison_table
    from stvg_ros.io.outputs import check_outputs, write_json_output

    if given.json is not None:
        check_outputs("compare", [given.json])
    found = compare(given.first, given.second, given.convention)
    print(comparison_table(found))
    if given.json is not None:
        write_json_output("compare", given.json, asdict(found))
    return 0
