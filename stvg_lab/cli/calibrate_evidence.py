# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros calibrate --evidence`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace

from stvg_lab.ablation.evidence_weights import (
    SourceReading,
    fitted_settings,
    in_condition,
    joints_of,
    scene_questions,
    source_reading,
    weight_rows,
)
from stvg_lab.ablation.experiment import TruePeople
from stvg_lab.ablation.memoised_mllm import MemoisedMllm
from stvg_lab.ablation.stored_settings import store
from stvg_lab.cli.calibration_scenes import of_splits
from stvg_lab.rendered.picture_conditions import CONDITIONS
from stvg_lab.rendered.scene_questions import SceneQuestion
from stvg_ros.body.body_evidence import BodyEvidence
from stvg_ros.body.tracks import BodyMeter
from stvg_ros.build import build_sources, build_splitter
from stvg_ros.cli.options import flat_settings
from stvg_ros.commands.reader import grammar_reader
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.models import load_mllm
from stvg_ros.models.loading import checkpoint_folder
from stvg_ros.types import Query

ESTIMATED = "estimated keypoints"  # of the rows by body.estimator


def run_evidence(given: argparse.Namespace) -> int:
    """Prints the fitted weights of both sources, with true tubes; a row each for estimator and
    condition of the pictures. --write stores those of the estimated keypoints, all conditions
    together.
    """
    flat = {**flat_settings(given), "presence.enabled": False, "evidence.sources": "both"}
    config = Config.from_flat(flat)
    estimated, reader = build_sources(config), grammar_reader("rules")
    plain, people = load_mllm(config.model, config.attention), TruePeople()
    own = plain.settings
    mllm = MemoisedMllm(plain, replace(own, look_level_weight=1.0, look_level_inside=0.0))
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
        for scene, clean in of_splits(given, scene_questions):
            for pictures in given.pictures if clean else ():
                asked = in_condition(clean, CONDITIONS[pictures])
                add(f"{ESTIMATED}, {pictures}", estimated, asked)
                meter = BodyMeter(joints_of(scene, asked[0]), config.body.megabytes)
                sources = (BodyEvidence(meter, reader, config.body),)
                add(f"true joints, {pictures}", sources, asked)
    except ValueError as error:
        raise ConfigError(f"--seed: {error}") from error
    try:
        print("\n".join(weight_rows(readings, own)))
    except ValueError as error:
        raise ConfigError(f"--count: {error}; ask for more scenes") from error
    if given.write:
        found = fitted_settings([
            one for name, rows in readings.items() if name.startswith(ESTIMATED) for one in rows
        ])  # fmt: skip
        file = checkpoint_folder(config.model.path) / "stvg.json"
        store(file, found, f"write {json.dumps(found)} into it")
        print(f"stored in {file}")
    return 0
