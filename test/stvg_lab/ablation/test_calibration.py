# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from stvg_lab.ablation.calibration import (
    PRESENT_SHARE,
    Calibration,
    Scores,
    calibrate,
    match_threshold,
    presence_scores,
)
from stvg_lab.ablation.stored_settings import store
from stvg_ros.cli.main import main
from stvg_ros.errors import ModelError
from stvg_ros.method.evidence import ABSENT
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.presence import evidence
from stvg_ros.models.embedded_checkpoint import read_settings
from stvg_ros.types import Evidence, Grounding, Query, SourceFinding, Status, Tube, TubeBox


def nats_of(found: Calibration, one: Scores) -> float:
    """The evidence as the method computes it."""
    own = MllmSettings(**found.settings)
    margin_weight = own.presence_margin_weight
    nats = evidence((one.margin,), one.track, own.presence_track_weight, margin_weight)
    nats += own.presence_body_weight * one.body
    if not math.isnan(one.look):
        nats += own.presence_look_weight * (one.look - own.presence_look_threshold)
    return nats - own.presence_threshold


def drawn(count: int, seed: int = 0, **weights: float) -> tuple[list[Scores], list[Scores]]:
    """Targets that are present with the probability that weighted scores give."""
    rng, kinds = np.random.default_rng(seed), ([], [])  # type: ignore[var-annotated]
    for _ in range(count):
        margin, log_track, body, look = rng.normal(size=4)
        nats = (
            weights.get("margin", 0) * margin + weights.get("track", 0) * log_track
            + weights.get("body", 0) * body + weights.get("look", 0) * look
        )  # fmt: skip
        there = rng.random() < 1 / (1 + math.exp(-nats))
        kinds[not there].append(Scores(margin, math.exp(log_track), body, look))
    return kinds


def test_the_weights_are_those_that_the_targets_were_drawn_by() -> None:
    found = calibrate(*drawn(6000, margin=1.0, track=0.5, body=2.0, look=1.5)).settings
    assert found["presence_margin_weight"] == pytest.approx(1.0, abs=0.15)
    assert found["presence_track_weight"] == pytest.approx(0.5, abs=0.15)
    assert found["presence_body_weight"] == pytest.approx(2.0, abs=0.15)
    assert found["presence_look_weight"] == pytest.approx(1.5, abs=0.15)


def test_the_shares_are_those_of_the_method() -> None:
    present, absent = drawn(400, margin=1.0, look=1.0, body=0.5)
    found = calibrate(present, absent)
    assert found.found == pytest.approx(np.mean([nats_of(found, one) >= 0 for one in present]))
    assert found.refused == pytest.approx(np.mean([nats_of(found, one) < 0 for one in absent]))
    assert found.found > found.refused  # most targets are there
    assert 0.7 < found.auroc < 1


def test_a_source_against_the_truth_counts_nothing() -> None:
    found = calibrate(*drawn(800, margin=1.0, look=-1.0)).settings
    assert found["presence_look_weight"] == 0.0
    assert found["presence_margin_weight"] > 0.4


def test_the_kinds_count_alike_whatever_their_numbers() -> None:
    rng = np.random.default_rng(3)
    present = [Scores(float(m), 1.0) for m in rng.normal(1, 1, 2000)]
    absent = [Scores(float(m), 1.0) for m in rng.normal(-1, 1, 100)]
    found = calibrate(present, absent)
    weight = found.settings["presence_margin_weight"]
    assert weight == pytest.approx(2.0, abs=0.3)
    # In the middle, but for the share of targets that are there.
    odds = math.log(PRESENT_SHARE / (1 - PRESENT_SHARE))
    assert (found.settings["presence_threshold"] + odds) / weight == pytest.approx(0.0, abs=0.15)
    assert found.settings["presence_body_weight"] == 1.0  # nothing was measured
    assert found.settings["presence_look_weight"] == 1.0  # nor looked at


def test_an_answer_without_a_look_has_the_same_threshold() -> None:
    present = [Scores(2.0, 1.0, 0.0, 5.0), Scores(1.0, 1.0, 0.0, 3.0)]
    absent = [Scores(-2.0, 1.0, 0.0, 1.0), Scores(-1.0, 1.0, 0.0, -1.0)]
    found = calibrate(present, absent)
    assert found.settings["presence_look_threshold"] == 2.0
    middle = [Scores(0.0, 1.0, 0.0, look) for look in (2.0, math.nan)]
    assert nats_of(found, middle[0]) == nats_of(found, middle[1])


def test_separable_targets_have_finite_weights() -> None:
    found = calibrate([Scores(3.0, 1.0), Scores(5.0, 1.0)], [Scores(-1.0, 1.0)])
    assert (found.auroc, found.found, found.refused) == (1.0, 1.0, 1.0)
    assert 0 < found.settings["presence_margin_weight"] < 20


def test_noise_gives_chance() -> None:
    draw = np.random.default_rng(0)
    kinds = ([Scores(float(m), 1.0) for m in draw.standard_normal(200)] for _ in range(2))
    assert 0.4 < calibrate(*kinds).auroc < 0.6


def test_both_kinds_are_needed() -> None:
    with pytest.raises(ValueError, match="got 1 and 0"):
        calibrate([Scores(0.0, 1.0)], [])


def test_scores_of_an_answer() -> None:
    def answered(*findings: SourceFinding, boxes: int = 1, look: float | None = None) -> Scores:
        box = TubeBox(0, (0.0, 0.0, 1.0, 1.0), 1.0)
        tube = Tube(Query("x"), Status.FOUND, track_id=3, score=2.0, boxes=(box,) * boxes)
        heat = np.ones((1, 1, 1), np.float32)
        seen = Evidence(
            np.zeros(1, np.int64), ((0,),), heat, heat, np.ones(1, np.float32), {}, ".",
            margins=(1.0, -2.0, 0.5), findings=findings,
            looks={} if look is None else {3: look},
        )  # fmt: skip
        return presence_scores(Grounding((tube,), seen))

    assert answered()[:3] == (-2.0, 2.0, 0.0)
    assert math.isnan(answered().look)
    assert answered(boxes=0)[:3] == (-2.0, -math.inf, 0.0)
    attention = SourceFinding("attention", "x", {3: 9.0})
    red, tall = (SourceFinding("body", "red", {3: nats}) for nats in (1.5, 4.0))
    assert answered(attention, red, tall)[:3] == (-2.0, 2.0, 1.5 - ABSENT)
    assert answered(look=0.5) == Scores(-2.0, 2.0, 0.0, 0.5)


def test_store_changes_two_settings_only(tmp_path: Path) -> None:
    file = tmp_path / "stvg.json"
    file.write_text(json.dumps({"step": "rms", "presence_threshold": 9.0}))
    store(file, {"presence_threshold": 1.2346, "presence_track_weight": 0.5}, "set it by hand")
    settings = read_settings(file)
    assert (settings.step, settings.presence_threshold) == ("rms", 1.2346)
    assert settings.presence_track_weight == 0.5
    file.write_text("[1]")
    with pytest.raises(ModelError, match=r"stvg\.json.*expected a writable .*; set it by hand"):
        store(file, {"presence_threshold": 1.0}, "set it by hand")


def test_command_prints_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["--set", "sampling.frames=2", "--set", "assembling.enabled=false"]
    assert main(["calibrate", "--count", "1", "--split", "val", "train", *quick]) == 0
    said = capsys.readouterr().out
    assert "presence_threshold" in said
    assert "AUROC" in said
    assert main(["calibrate", "--seed", "100000000"]) == 2
    assert "--seed" in capsys.readouterr().err


def test_numbers_decide_from_which_evidence_on_a_tube_counts() -> None:
    settings = {
        "presence_look_threshold": 1.0, "presence_margin_weight": 0.0, "presence_track_weight": 0.0,
        "presence_body_weight": 0.0, "presence_look_weight": 2.0, "presence_threshold": 0.5,
    }  # fmt: skip
    looks = ([3.0, 0.0, -1.0], 1), ([3.2, 2.9, 0.2], 2), ([0.1, -2.0], 0), ([0.15], 1)
    counts = [([Scores(0.0, 1.0, 0.0, look) for look in said], number) for said, number in looks]
    bar, exact = match_threshold(counts, settings)
    assert exact == 0.75  # the last one looks as little as others that do not count
    assert 2 * (0.5 - 1) - 0.5 < bar < 2 * (2.9 - 1) - 0.5
    assert match_threshold([([], 0)], settings)[0] == 0.0
