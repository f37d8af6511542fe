# SPDX-License-Identifier: Apache-2.0

"""Weights of what the model states: by hand, on drawn sentences, and by the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from stvg_lab.ablation.evidence_weights import Weight
from stvg_lab.ablation.source_weights import (
    SentenceEvidence,
    choice_weight,
    fitted_weight,
    frame_weight,
    right_share,
)
from stvg_ros.cli.main import main
from stvg_ros.models.embedded_checkpoint import FOLDER, read_settings
from stvg_ros.types import PAINTED_IDS, STATED_INTERVAL


def choice(attention: list[float], own: list[float], right: int) -> SentenceEvidence:
    rows = np.arange(len(own)) == right
    return SentenceEvidence(np.array(attention), np.array(own), rows)


def drawn(true_weight: float, count: int, seed: int = 0) -> list[SentenceEvidence]:
    """Sentences whose right tube is drawn by the attention and the weighted source."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        attention, own = rng.normal(0, 1, (2, 4))
        p = np.exp(attention + true_weight * own)
        found.append(choice(list(attention), list(own), int(rng.choice(4, p=p / p.sum()))))
    return found


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_the_weight_of_a_choice_is_found(weight: float) -> None:
    assert choice_weight(drawn(weight, 2000)) == pytest.approx(weight, abs=0.15)
    found = fitted_weight(PAINTED_IDS, drawn(weight, 300))
    assert isinstance(found, Weight)
    assert found.low <= found.value <= found.high
    assert found.low - 0.1 <= weight <= found.high + 0.1


def test_the_weight_of_frames_is_found() -> None:
    rng = np.random.default_rng(1)
    attention, own = rng.normal(0, 1, (2, 400, 10))
    inside = rng.random((400, 10)) < 1 / (1 + np.exp(-(attention + 0.7 * own)))
    found = [SentenceEvidence(*each) for each in zip(attention, own, inside, strict=True)]
    assert frame_weight(found) == pytest.approx(0.7, abs=0.1)
    assert fitted_weight(STATED_INTERVAL, found).value == frame_weight(found)


def test_a_source_against_the_truth_counts_nothing() -> None:
    assert choice_weight([choice([0.0, 0.0], [2.0, -2.0], 1)] * 5) == 0.0
    assert choice_weight([choice([0.0, 0.0], [2.0, -2.0], 0)] * 5000) < 20.0
    assert choice_weight([choice([0.0, 0.0], [0.01, -0.01], 0)] * 500000) == 20.0


def test_the_share_of_right_choices() -> None:
    sentences = [choice([1.0, 0.0], [0.0, 0.9], 1), choice([0.0, 2.0], [1.0, 0.0], 1)]
    assert right_share(sentences, 0.0, 1.0) == 0.5
    assert right_share(sentences, 1.5, 1.0) == 1.0
    assert right_share(sentences, 1.0, 0.0) == 0.5


def test_the_command_stores_the_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers")
    folder = shutil.copytree(FOLDER, tmp_path / "model")
    few = [
        "--set", "sampling.frames=4", "--set", "assembling.enabled=false",
        "--set", "reattention.spatial=false", "--set", "reattention.temporal=false",
        "--model", str(folder), "--device", "cpu",
    ]  # fmt: skip
    assert main(["calibrate", "--sources", "--count", "1", "--write", *few]) == 0
    said = capsys.readouterr().out
    assert "| painted ids | " in said
    assert "second look" not in said  # its weight is fitted beside those of the other sources
    table = json.loads((folder / "stvg.json").read_text())
    assert {"painted_ids_weight", "stated_interval_weight"} <= set(table)
    settings = read_settings(folder / "stvg.json")
    assert settings.painted_ids_weight == table["painted_ids_weight"]
