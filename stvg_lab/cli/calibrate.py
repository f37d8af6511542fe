# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros calibrate`: presence, weights and heads, on rendered scenes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stvg_lab.rendered.picture_conditions import CONDITIONS
from stvg_ros.cli.options import add_model_arguments, flat_settings, whole
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError

if TYPE_CHECKING:
    from stvg_lab.rendered.scene_questions import SceneQuestion


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "--split", choices=("train", "val", "test", "train-hard", "val-hard"), default="val"
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
        help="print how much attention and what is measured on bodies are worth beside each other, "
        "with the keypoints of body.estimator and with true joints with an estimator's noise",
    )
    parser.add_argument(
        "--sources",
        action="store_true",
        help="find how much what the model states is worth beside its attention: painted ids, "
        "stated intervals, second looks",
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
    """Prints threshold, weight and their separation; the candidates are the true people."""
    if given.conditions:
        return _run_conditions(given)
    if given.evidence:
        return _run_evidence(given)
    if given.heads or given.sources:
        from stvg_lab.cli.calibrate_sources import run_heads, run_sources

        return run_heads(given) if given.heads else run_sources(given)
    config = Config.from_flat({**flat_settings(given), "presence.enabled": False})
    from tqdm import tqdm

    from stvg_lab.ablation.calibration import Scores, calibrate
    from stvg_lab.ablation.experiment import TruePeople
    from stvg_lab.ablation.memoised_mllm import MemoisedMllm
    from stvg_lab.ablation.stored_settings import store
    from stvg_lab.rendered.queries import split_seed
    from stvg_lab.rendered.scene_questions import samples
    from stvg_ros.build import build_splitter
    from stvg_ros.method.grounder import LocalGrounder
    from stvg_ros.models import load_mllm
    from stvg_ros.types import Query

    try:
        split_seed(given.split, given.seed + given.count - 1)
    except ValueError as error:
        raise ConfigError(f"--seed: {error}") from error
    mllm, people = MemoisedMllm(load_mllm(config.model, config.attention)), TruePeople()
    grounder = LocalGrounder(mllm, build_splitter(config.split, mllm), people, config)
    found: dict[bool, list[Scores]] = {True: [], False: []}
    scenes = samples(given.split, given.seed, given.count)
    for data in tqdm(scenes, "scenes", given.count, leave=False, disable=None):
        for sample in data:
            people.people = sample.people
            query = Query(sample.query.text)
            seen = grounder.ground(sample.clip, query, lambda stage, share: None).evidence
            assert seen is not None
            scores = min(seen.margins), max(seen.track_scores.values(), default=float("-inf"))
            found[sample.present].append(scores)
    try:
        result = calibrate(found[True], found[False])
    except ValueError as error:
        raise ConfigError(f"--count: {error}; ask for more scenes") from error
    print(
        f"{len(found[True])} present and {len(found[False])} absent targets: "
        f"AUROC {result.auroc:.2f}, balanced accuracy {result.accuracy:.2f}\n"
        f"presence_threshold {result.threshold:.3f}, presence_track_weight {result.track_weight:g}"
    )
    if given.write:
        from stvg_ros.models.loading import checkpoint_folder

        file = checkpoint_folder(config.model.path) / "stvg.json"
        threshold, weight = round(result.threshold, 4), result.track_weight
        values = {"presence_threshold": threshold, "presence_track_weight": weight}
        store(file, values, f"write {json.dumps(values)} into it")
        print(f"stored in {file}")
    return 0


def _run_conditions(given: argparse.Namespace) -> int:
    """Prints the share of right targets by weight, without re-attention; one row for each kind."""
    if given.split.endswith("-hard"):
        raise ConfigError(
            f"--split: --conditions has no sentences for {given.split}; ask for train, val or test"
        )
    flat = {
        **flat_settings(given), "presence.enabled": False, "assembling.enabled": False,
        "reattention.spatial": False, "reattention.temporal": False,
    }  # fmt: skip
    config = Config.from_flat(flat)
    from tqdm import tqdm

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
        scenes = condition_questions(given.split, given.seed, given.count)
        for data in tqdm(scenes, "scenes", given.count, leave=False, disable=None):
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


def _run_evidence(given: argparse.Namespace) -> int:
    """Prints the fitted weights of both sources, with true tubes; a row each for estimator and
    condition of the pictures.
    """
    flat = {**flat_settings(given), "presence.enabled": False, "evidence.sources": "both"}
    config = Config.from_flat(flat)
    from tqdm import tqdm

    from stvg_lab.ablation.evidence_weights import (
        SourceReading,
        in_condition,
        joints_of,
        scene_questions,
        source_reading,
        weight_rows,
    )
    from stvg_lab.ablation.experiment import TruePeople
    from stvg_lab.ablation.memoised_mllm import MemoisedMllm
    from stvg_ros.body.body_evidence import BodyEvidence
    from stvg_ros.body.tracks import BodyMeter
    from stvg_ros.build import build_sources, build_splitter
    from stvg_ros.commands.reader import grammar_reader
    from stvg_ros.method.grounder import LocalGrounder
    from stvg_ros.models import load_mllm
    from stvg_ros.types import Query

    estimated, reader = build_sources(config), grammar_reader("rules")
    mllm, people = MemoisedMllm(load_mllm(config.model, config.attention)), TruePeople()
    splitter = build_splitter(config.split, mllm)
    readings: dict[str, list[SourceReading]] = {}

    def add(name: str, sources: tuple[BodyEvidence, ...], asked: Sequence[SceneQuestion]) -> None:
        grounder = LocalGrounder(mllm, splitter, people, config, sources=sources)
        for sample in asked:
            people.people = sample.people
            query = Query(sample.query.text)
            answer = grounder.ground(sample.clip, query, lambda stage, share: None)
            reading = source_reading(sample, answer)
            readings.setdefault(name, []).extend([] if reading is None else [reading])

    try:
        scenes = scene_questions(given.split, given.seed, given.count)
        for scene, clean in tqdm(scenes, "scenes", given.count, leave=False, disable=None):
            for pictures in given.pictures if clean else ():
                asked = in_condition(clean, CONDITIONS[pictures])
                add(f"estimated keypoints, {pictures}", estimated, asked)
                meter = BodyMeter(joints_of(scene, asked[0]), config.body.megabytes)
                sources = (BodyEvidence(meter, reader, config.body),)
                add(f"true joints, {pictures}", sources, asked)
    except ValueError as error:
        raise ConfigError(f"--seed: {error}") from error
    try:
        print("\n".join(weight_rows(readings)))
    except ValueError as error:
        raise ConfigError(f"--count: {error}; ask for more scenes") from error
    return 0
