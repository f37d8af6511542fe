# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros calibrate` without a kind: presence, and what counts as one of several."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence

from stvg_lab.ablation.calibration import (
    Scores,
    calibrate,
    match_threshold,
    presence_scores,
    tube_scores_of,
)
from stvg_lab.ablation.experiment import TruePeople
from stvg_lab.ablation.memoised_mllm import MemoisedMllm
from stvg_lab.ablation.stored_settings import store
from stvg_lab.cli.calibration_scenes import of_splits
from stvg_lab.rendered.queries import HARD_SPLITS, split_seed
from stvg_lab.rendered.scene_questions import (
    CountSample,
    SceneQuestion,
    count_samples,
    samples,
)
from stvg_ros.build import build_sources, build_splitter
from stvg_ros.cli.options import flat_settings
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.models import load_mllm
from stvg_ros.models.loading import checkpoint_folder
from stvg_ros.types import Grounding, Query


def run_presence(given: argparse.Namespace) -> int:
    """Prints threshold, weights and their separation; the candidates are the true people."""
    config = Config.from_flat({**flat_settings(given), "presence.enabled": False})
    try:
        for split in given.split:
            split_seed(split, given.seed + given.count - 1)
    except ValueError as error:
        raise ConfigError(f"--seed: {error}") from error
    mllm, people = MemoisedMllm(load_mllm(config.model, config.attention)), TruePeople()
    sources = build_sources(config)
    grounder = LocalGrounder(
        mllm, build_splitter(config.split, mllm), people, config, sources=sources
    )

    def ground(sample: SceneQuestion) -> Grounding:
        people.people = sample.people
        return grounder.ground(sample.clip, Query(sample.query.text), lambda stage, share: None)

    found: dict[bool, list[Scores]] = {True: [], False: []}
    counts: list[tuple[list[Scores], int]] = []
    for data, counted in of_splits(given, _with_counts):
        for sample in data:
            found[sample.present].append(presence_scores(ground(sample)))
        for one in counted:
            counts.append((tube_scores_of(one.question, ground(one.question)), one.number))
    try:
        result = calibrate(found[True], found[False])
    except ValueError as error:
        raise ConfigError(f"--count: {error}; ask for more scenes") from error
    settings = dict(result.settings)
    settings["presence_match_threshold"], exact = match_threshold(counts, settings)
    if math.isfinite(exact):
        print(f"{len(counts)} questions for a number: {100 * exact:.1f} % exact")
    print(
        f"{len(found[True])} present and {len(found[False])} absent targets: "
        f"AUROC {result.auroc:.3f}, {100 * result.found:.1f} % of the present found, "
        f"{100 * result.refused:.1f} % of the absent refused\n"
        f"{', '.join(f'{name} {value:g}' for name, value in settings.items())}"
    )
    if given.write:
        file = checkpoint_folder(config.model.path) / "stvg.json"
        store(file, settings, f"write {json.dumps(settings)} into it")
        print(f"stored in {file}")
    return 0


def _with_counts(
    split: str, seed: int, count: int
) -> Iterator[tuple[Sequence[SceneQuestion], Sequence[CountSample]]]:
    """The questions about each scene, and those for a number, which hard splits have."""
    for number in range(seed, seed + count):
        counted = count_samples(split, number, 1) if split in HARD_SPLITS else iter([()])
        yield next(samples(split, number, 1)), next(counted)
