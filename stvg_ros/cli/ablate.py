"""`stvg-ros ablate`: what each part of the method contributes, on rendered scenes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from stvg_ros.cli.options import add_model_arguments, flat_settings, whole
from stvg_ros.config import Config, Value
from stvg_ros.errors import ConfigError, RecordingError

METRICS = ("m_tIoU", "m_vIoU", "vIoU@0.3", "vIoU@0.5", "m_gt_vIoU", "spatial_accuracy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--data", choices=("synthetic",), default="synthetic")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--seed", type=whole(0), default=0, help="number of the first scene")
    parser.add_argument("--count", type=whole(1), default=20, help="scenes (default 20)")
    parser.add_argument(
        "--tubes", choices=("true", "own"), default="true",
        help="candidates: the people's true boxes, or those of the package's own tracker",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    add_model_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Prints the table of rows and floors."""
    asked = flat_settings(given)
    config = Config.from_flat(asked)
    from tqdm import tqdm

    from stvg_ros.build import build_splitter
    from stvg_ros.core.grounder import LocalGrounder
    from stvg_ros.evaluation.ablation import (
        ROWS,
        Sample,
        TruePeople,
        ablation,
        proposer_for,
        samples,
    )
    from stvg_ros.mllm import load_mllm
    from stvg_ros.proposals.classical import ClassicalProposer
    from stvg_ros.types import Grounding, Query

    mllm = load_mllm(config.model, config.attention)
    proposer = proposer_for(given.tubes, ClassicalProposer(config.proposals))
    grounder = LocalGrounder(mllm, build_splitter(config.split, mllm), proposer, config)

    def ground(values: dict[str, Value], sample: Sample) -> Grounding:
        grounder.reconfigure(Config.from_flat({**asked, **values}))
        if isinstance(proposer, TruePeople):
            proposer.people = sample.people
        return grounder.ground(sample.clip, Query(sample.query.text), lambda stage, share: None)

    try:
        found = samples(given.split, given.seed, given.count)
        data = list(tqdm(found, "rendering", leave=False, disable=None))
    except ValueError as error:
        raise ConfigError(f"--seed: {error}") from error
    if all(sample.query.target is None for sample in data):
        raise ConfigError("--count: no scene of these asks for somebody present; ask for more")
    with tqdm(total=len(ROWS) * len(data), desc="grounding", leave=False, disable=None) as bar:

        def progress(name: str) -> None:
            bar.set_postfix_str(name)
            bar.update()

        rows = ablation(ground, data, seed=given.seed, progress=progress)
    print(table(rows))
    if given.json is not None:
        try:
            given.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
        except OSError as error:
            raise RecordingError(f"{given.json}: cannot be written ({error})") from error
    return 0


def table(rows: list[dict[str, Any]]) -> str:
    """Percent with half the width of the 95 % interval."""
    lines = [f"{'':<20}" + "".join(f"{name:>17}" for name in METRICS) + f"{'absence AUROC':>15}"]
    for row in rows:
        cells = ""
        for name in METRICS:
            low, high = row["intervals"][name]
            cells += f"{100 * row[name]:9.1f} +- {50 * (high - low):4.1f}"
        separation = row["absence_auroc"]
        last = f"{'-' if separation is None else format(separation, '.2f'):>15}"
        lines.append(f"{row['name']:<20}{cells}{last}")
    lines.append(f"percent of {rows[0]['samples']} questions; +- half the 95 % bootstrap interval")
    return "\n".join(lines)
