# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros calibrate`: presence, weights and heads, on rendered scenes."""

from __future__ import annotations

import argparse

from stvg_lab.rendered.picture_conditions import CONDITIONS
from stvg_ros.cli.options import add_model_arguments, flat_settings, whole
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "--split",
        nargs="+",
        choices=("train", "val", "test", "train-hard", "val-hard"),
        default=["val"],
        help="splits of rendered scenes; of several, --count of each (default val)",
    )
    parser.add_argument("--seed", type=whole(0), default=0, help="number of the first scene")
    parser.add_argument("--count", type=whole(1), default=20, help="scenes (default 20)")
    parser.add_argument(
        "--write", action="store_true", help="store the result in the model folder's stvg.json"
    )
    _add_kinds(parser)
    add_model_arguments(parser)


def _add_kinds(parser: argparse.ArgumentParser) -> None:
    """Declares what is calibrated other than presence."""
    parser.add_argument(
        "--conditions",
        action="store_true",
        help="print the share of right targets of sentences with a negation or a relation, for "
        "weights of `conditions.*`",
    )
    parser.add_argument(
        "--evidence",
        action="store_true",
        help="find how much attention, what is measured on bodies, and second looks are worth "
        "beside each other, with the keypoints of body.estimator and with true joints with an "
        "estimator's noise",
    )
    parser.add_argument(
        "--sources",
        action="store_true",
        help="find how much what the model states is worth beside its attention: painted ids, "
        "stated intervals",
    )
    parser.add_argument(
        "--heads",
        action="store_true",
        help="find the heads that attend to the true tube and to the true span, for "
        "attention.heads: selected",
    )
    parser.add_argument(
        "--pictures",
        nargs="+",
        choices=tuple(CONDITIONS),
        default=["clean"],
        metavar="CONDITION",
        help=f"with --evidence: how the pictures are taken, a row each: {', '.join(CONDITIONS)} "
        "(default clean)",
    )


def run(given: argparse.Namespace) -> int:
    """Calibrates what is asked for, by default presence."""
    if given.conditions:
        return _run_conditions(given)
    if given.evidence:
        from stvg_lab.cli.calibrate_evidence import run_evidence

        return run_evidence(given)
    if given.heads or given.sources:
        from stvg_lab.cli.calibrate_sources import run_heads, run_sources

        return run_heads(given) if given.heads else run_sources(given)
    from stvg_lab.cli.calibrate_presence import run_presence

    return run_presence(given)


def _run_conditions(given: argparse.Namespace) -> int:
    """Prints the share of right targets by weight, without re-attention; one row for each kind."""
    if hard := [split for split in given.split if split.endswith("-hard")]:
        raise ConfigError(
            f"--split: --conditions has no sentences for {hard[0]}; ask for train, val or test"
        )
    flat = {
        **flat_settings(given), "presence.enabled": False, "assembling.enabled": False,
        "reattention.spatial": False, "reattention.temporal": False,
    }  # fmt: skip
    config = Config.from_flat(flat)
    from stvg_lab.ablation.condition_weights import (
        KINDS,
        WEIGHTS,
        ConditionQuestion,
        best_weight,
        condition_questions,
        right_targets,
    )
    from stvg_lab.ablation.experiment import TruePeople
    from stvg_lab.ablation.memoised_mllm import MemoisedMllm
    from stvg_lab.cli.calibration_scenes import of_splits
    from stvg_ros.build import build_splitter
    from stvg_ros.method.grounder import LocalGrounder
    from stvg_ros.models import load_mllm
    from stvg_ros.types import Query

    mllm, people = MemoisedMllm(load_mllm(config.model, config.attention)), TruePeople()
    grounder = LocalGrounder(mllm, build_splitter(config.split, mllm), people, config)

    def ground(question: ConditionQuestion, weight: float) -> int:
        people.people = question.people
        names = ("conditions.negation_weight", "conditions.relation_weight")
        grounder.reconfigure(Config.from_flat({**flat, **dict.fromkeys(names, weight)}))
        answer = grounder.ground(question.clip, Query(question.text), lambda stage, share: None)
        return answer.best.track_id

    right: dict[str, list[list[bool]]] = {kind: [] for kind in KINDS}
    try:
        for data in of_splits(given, condition_questions):
            for question in data:
                right[question.kind].append(right_targets(ground, question))
    except ValueError as error:
        raise ConfigError(f"--seed: {error}") from error
    print(f"| right of | {' | '.join(f'weight {w:g}' for w in WEIGHTS)} | sentences | best |")
    print(f"| {' | '.join(['---'] * (len(WEIGHTS) + 3))} |")
    for kind, found in right.items():
        if not found:
            raise ConfigError("--count: no question of a kind; ask for more scenes")
        shares = {w: sum(row[i] for row in found) / len(found) for i, w in enumerate(WEIGHTS)}
        cells = " | ".join(f"{100 * share:.1f}" for share in shares.values())
        print(f"| {kind} | {cells} | {len(found)} | {best_weight(shares):g} |")
    return 0
