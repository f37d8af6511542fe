# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros report RUN`: the report of a run of `evaluate` as HTML, JSON and CSV."""

from __future__ import annotations

import argparse
from pathlib import Path

from stvg_ros.cli.options import whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("run", type=Path, help="the folder of a run of stvg-ros evaluate")
    parser.add_argument(
        "--out",
        type=Path,
        help="the HTML file (default: RUN/report.html); JSON and CSV are written next to it",
    )
    parser.add_argument(
        "--pictures", type=whole(0), default=20,
        help="number of samples with pictures, worst first (default 20)",
    )  # fmt: skip


def run(given: argparse.Namespace) -> int:
    """Writes the three files."""
    from stvg_lab.report import write_report

    out = given.out or given.run / "report.html"
    for path in write_report(given.run, out, pictures=given.pictures):
        print(path)
    return 0
