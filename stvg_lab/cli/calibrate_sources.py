# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros calibrate --heads` and `--sources`."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import Any

from stvg_lab.ablation.experiment import TruePeople
from stvg_lab.ablation.head_selection import (
    HeadReader,
    head_count,
    head_rows_shown,
    head_scores,
    selected,
)
from stvg_lab.ablation.memoised_mllm import MemoisedMllm
from stvg_lab.ablation.source_weights import (
    SETTING_OF,
    SentenceEvidence,
    fitted_weight,
    right_share,
    sentence_evidence,
)
from stvg_lab.ablation.stored_settings import store
from stvg_lab.cli.calibration_scenes import of_splits
from stvg_lab.rendered.scene_questions import samples
from stvg_ros.build import build_splitter
from stvg_ros.cli.options import flat_settings
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.model_settings import HEAD_USES
from stvg_ros.models import load_mllm
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.loading import checkpoint_folder
from stvg_ros.types import Query


def run_heads(given: argparse.Namespace) -> int:
    """Prints the heads that attend most to true tubes and spans; --write makes them the table."""
    config = Config.from_flat(flat_settings(given))
    mllm = load_mllm(config.model, config.attention)
    assert isinstance(mllm, HfMllm)
    reader, readings = HeadReader(mllm, build_splitter(config.split, mllm), config), []
    try:
        for data in of_splits(given, samples):
            readings += [reader.read(sample) for sample in data if sample.present]
    except ValueError as error:
        raise ConfigError(f"--seed: {error}") from error
    try:
        tables = {use: head_scores(readings, use) for use in HEAD_USES}
    except ValueError as error:
        raise ConfigError(f"--count: {error}; ask for more scenes") from error
    count = head_count(len(readings[0].heads))
    print("\n".join([*head_rows_shown(tables, count), f"{len(readings)} sentences"]))
    if given.write:
        found = {f"{use}_heads": selected(scores, count) for use, scores in tables.items()}
        file = checkpoint_folder(config.model.path) / "stvg.json"
        store(file, found, f"write {json.dumps(found)} into it")
        print(f"stored in {file}")
    return 0


def run_sources(given: argparse.Namespace) -> int:
    """Prints the weights of what the model states; --write makes them the model's."""
    flat = {
        **flat_settings(given), "evidence.sources": "attention", "presence.enabled": False,
        "evidence.painted_ids": True, "evidence.stated_interval": True, "evidence.second_look": 0,
    }  # fmt: skip
    config, people = Config.from_flat(flat), TruePeople()
    plain = load_mllm(config.model, config.attention)
    ones: dict[str, Any] = dict.fromkeys(SETTING_OF.values(), 1.0)
    mllm = MemoisedMllm(plain, replace(plain.settings, **ones))
    grounder = LocalGrounder(mllm, build_splitter(config.split, mllm), people, config)
    found: dict[str, list[SentenceEvidence]] = {source: [] for source in SETTING_OF}
    try:
        for data in of_splits(given, samples):
            for sample in (one for one in data if one.present):
                people.people = sample.people
                query = Query(sample.query.text)
                answer = grounder.ground(sample.clip, query, lambda stage, share: None)
                for source in found:
                    one = sentence_evidence(sample, answer, source, plain.settings)
                    found[source] += [] if one is None else [one]
    except ValueError as error:
        raise ConfigError(f"--seed: {error}") from error
    stored: dict[str, float] = {}
    print("| source | weight | right by attention | by the source | by both | sentences |")
    print("| --- | --- | --- | --- | --- | --- |")
    for source, sentences in found.items():
        if not sentences:
            print(f"| {source} | the model says nothing | | | | 0 |")
            continue
        weight = fitted_weight(source, sentences)
        stored[SETTING_OF[source]] = round(weight.value, 4)
        pairs = ((0.0, 1.0), (1.0, 0.0), (weight.value, 1.0))
        shares = (f"{100 * right_share(sentences, *pair):.1f}" for pair in pairs)
        print(f"| {source} | {weight} | {' | '.join(shares)} | {len(sentences)} |")
    if given.write:
        file = checkpoint_folder(config.model.path) / "stvg.json"
        store(file, stored, f"write {json.dumps(stored)} into it")
        print(f"stored in {file}")
    return 0
