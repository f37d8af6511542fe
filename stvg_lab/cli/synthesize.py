# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros synthesize`: writes rendered scenes as a data set with true tubes and sentences."""

from __future__ import annotations

import argparse
from pathlib import Path

from stvg_ros.cli.options import whole
from stvg_ros.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--out", type=Path, required=True, help="folder to create")
    parser.add_argument(
        "--split", default="test",
        choices=("train", "val", "test", "entering", "train-hard", "val-hard", "test-hard"),
        help="entering: people also enter, leave, and are cut off by the edge; test-hard: "
        "gestures, poses, garments, relations, things; bad light, crowds, a moving camera",
    )  # fmt: skip
    parser.add_argument("--seed", type=whole(0), default=0, help="number of the first scene")
    parser.add_argument("--count", type=whole(1), default=20, help="videos or bags (default 20)")
    parser.add_argument(
        "--format", choices=("hc-stvg-v1", "hc-stvg-v2", "bag"), default="hc-stvg-v2",
        help="HC-STVG's JSON with MP4 files (default: version 2), or rosbag2 with annotations",
    )  # fmt: skip


def run(given: argparse.Namespace) -> int:
    """Writes the data set and prints its folder."""
    from tqdm import tqdm

    from stvg_lab.rendered.export import write_dataset

    with tqdm(total=given.count, leave=False, disable=None, unit="scene") as bar:
        try:
            sentences = write_dataset(
                given.out, given.format, given.split, given.seed, given.count, bar.update
            )
        except ValueError as error:
            raise ConfigError(f"--seed: {error}") from error
    print(f"{given.out}: {given.count} scenes, {sentences} sentences, as {given.format}")
    print("detectors of real people miss these; add --set proposals.people_detector=embedded")
    return 0
