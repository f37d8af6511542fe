# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros convert`: converts a data set to bags, or annotated recordings to a data set."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stvg_lab.datasets import DATASETS, QUERIES, open_dataset
from stvg_ros.cli.options import at_least, whole
from stvg_ros.errors import AnnotationError, ConfigError, StvgError

if TYPE_CHECKING:
    from stvg_lab.datasets.samples import Sample

LAYOUTS = ("hcstvg-v1", "hcstvg-v2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--data", choices=tuple(DATASETS), help="a data set to make bags of")
    parser.add_argument("--root", type=Path, help="its folder or zip file, as published")
    parser.add_argument("--split", help="part of the data set (default: the one papers report)")
    parser.add_argument(
        "--queries", choices=QUERIES, default="both", help="of VidSTG (default both)"
    )
    parser.add_argument(
        "--storage", choices=("mcap", "sqlite3"), default="mcap", help="of the bags (default mcap)"
    )
    parser.add_argument("--compressed", action="store_true", help="JPEG images in the bags")
    parser.add_argument(
        "--annotations", type=Path, nargs="+", help="annotation files to make a data set of"
    )
    parser.add_argument(
        "--to", choices=LAYOUTS, default=LAYOUTS[0], help=f"its layout (default {LAYOUTS[0]})"
    )
    parser.add_argument(
        "--seconds", type=at_least(0, above=True), default=20.0,
        help="longest video, counted back from the command (default 20, as in HC-STVG)",
    )  # fmt: skip
    parser.add_argument("--limit", type=whole(1), help="only the first samples")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")


def run(given: argparse.Namespace) -> int:
    """Converts; 1 if a sample could not be converted."""
    if (given.data is None) == (given.annotations is None):
        raise ConfigError("expected either --data with --root, or --annotations")
    failures: list[str] = []

    def failed(sample: Sample, error: StvgError) -> None:
        failures.append(f"{sample.id}: {error}")

    if given.annotations is not None:
        from stvg_lab.datasets.conversion import to_hcstvg
        from stvg_lab.datasets.samples import annotated_samples

        samples = [sample for path in given.annotations for sample in annotated_samples(path)]
        present = [sample for sample in samples[: given.limit] if sample.present]
        absent = len(samples[: given.limit]) - len(present)
        if absent:
            print(f"{absent} absent targets are left out: {given.to} has no place for them")
        if not present:
            raise AnnotationError("nothing to convert: no sentence has a target that is there")
        count = to_hcstvg(present, given.out, given.to[-2:], given.seconds, failed)
        print(f"{count} videos with their annotation in {given.out}")
    else:
        print(f"{_to_bags(given, failures)} bags with their annotation files in {given.out}")
    for line in failures[:10]:
        print(f"not converted: {line}", file=sys.stderr)
    if len(failures) > 10:
        print(f"... and {len(failures) - 10} more", file=sys.stderr)
    return 1 if failures else 0


def _to_bags(given: argparse.Namespace, failures: list[str]) -> int:
    """Writes a bag for each part of a video; existing ones are kept. Returns their number."""
    from tqdm import tqdm

    from stvg_lab.datasets.conversion import to_bag

    if given.root is None:
        raise ConfigError(f"--root: expected the folder or zip file of {given.data}")
    data = open_dataset(given.data, given.root, given.split, given.queries)
    for line in data.report():
        print(line, file=sys.stderr)
    parts: dict[object, list[Sample]] = {}
    for sample in data.samples[: given.limit]:
        parts.setdefault(sample.replay_key, []).append(sample)
    count = 0
    for samples in tqdm(parts.values(), "writing bags", leave=False, disable=None, unit="bag"):
        try:
            to_bag(samples, given.out, storage=given.storage, compressed=given.compressed)
            count += 1
        except StvgError as error:
            failures.append(f"{samples[0].id}: {error}")
    return count
