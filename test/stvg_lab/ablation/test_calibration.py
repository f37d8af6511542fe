# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from stvg_lab.ablation.calibration import Scores, calibrate, presence_scores
from stvg_lab.ablation.stored_settings import store
from stvg_ros.cli.main import main
from stvg_ros.errors import ModelError
from stvg_ros.method.evidence import ABSENT
from stvg_ros.method.presence import confidence, evidence
from stvg_ros.models.embedded_checkpoint import read_settings
from stvg_ros.types import Evidence, Grounding, Query, SourceFinding, Status, Tube, TubeBox


def test_threshold_is_the_middle_of_the_widest_gap() -> None:
    found = calibrate([Scores(3.0, 1.0), Scores(5.0, 1.0)], [Scores(-1.0, 1.0), Scores(1.0, 1.0)])
    assert (found.threshold, found.track_weight) == (2.0, 0.0)
    assert (found.auroc, found.accuracy) == (1.0, 1.0)


def test_the_kinds_count_alike_whatever_their_numbers() -> None:
    # 1 of 4 present ones lies among the absent: better to lose it than half of the absent.
    found = calibrate(
        [Scores(-3.0, 1.0), Scores(2.0, 1.0), Scores(2.5, 1.0), Scores(3.0, 1.0)],
        [Scores(-1.0, 1.0), Scores(0.0, 1.0)],
    )
    assert found.threshold == 1.0
    assert found.accuracy == pytest.approx((3 / 4 + 1) / 2)


def test_a_track_counts_where_it_helps() -> None:
    present = [Scores(0.0, math.e**2), Scores(1.0, math.e**1.5)]
    absent = [Scores(1.0, 1.0), Scores(0.5, 1.1)]
    found = calibrate(present, absent)
    assert found.track_weight > 0
    assert found.accuracy == 1.0
    for scores, there in ((present, True), (absent, False)):
        for margin, track, _ in scores:
            nats = evidence((margin,), track, found.track_weight)
            assert (confidence(nats, found.threshold) >= 0.5) is there


def test_measured_words_count_where_they_separate() -> None:
    present = [Scores(0.0, 1.0, 3.0), Scores(-1.0, 1.0, 2.5), Scores(0.4, 1.0, 0.0)]
    absent = [Scores(0.5, 1.0, -2.0), Scores(0.2, 1.0, -1.0)]
    found = calibrate(present, absent)
    assert (found.body_weight > 0, found.accuracy) == (True, 1.0)
    for scores, there in ((present, True), (absent, False)):
        for margin, track, body in scores:
            nats = evidence((margin,), track, found.track_weight) + found.body_weight * body
            assert (confidence(nats, found.threshold) >= 0.5) is there
    # Bodies that say the contrary do not count; without any, the weight stays 1.
    contrary = calibrate([Scores(2.0, 1.0, -9.0)], [Scores(0.0, 1.0, 9.0)])
    assert (contrary.body_weight, contrary.auroc) == (0.0, 1.0)
    assert calibrate([Scores(2.0, 1.0)], [Scores(0.0, 1.0)]).body_weight == 1.0


def test_scores_of_an_answer() -> None:
    def answered(*findings: SourceFinding, boxes: int = 1) -> Scores:
        box = TubeBox(0, (0.0, 0.0, 1.0, 1.0), 1.0)
        tube = Tube(Query("x"), Status.FOUND, track_id=3, score=2.0, boxes=(box,) * boxes)
        heat = np.ones((1, 1, 1), np.float32)
        seen = Evidence(
            np.zeros(1, np.int64), ((0,),), heat, heat, np.ones(1, np.float32), {}, ".",
            margins=(1.0, -2.0, 0.5), findings=findings,
        )  # fmt: skip
        return presence_scores(Grounding((tube,), seen))

    assert answered() == Scores(-2.0, 2.0, 0.0)
    assert answered(boxes=0) == Scores(-2.0, -math.inf, 0.0)
    attention = SourceFinding("attention", "x", {3: 9.0})
    red, tall = (SourceFinding("body", "red", {3: nats}) for nats in (1.5, 4.0))
    assert answered(attention, red, tall) == Scores(-2.0, 2.0, 1.5 - ABSENT)


def test_noise_gives_chance() -> None:
    draw = np.random.default_rng(0)
    present, absent = ([Scores(float(m), 1.0) for m in draw.standard_normal(200)] for _ in range(2))
    assert 0.4 < calibrate(present, absent).auroc < 0.6


def test_both_kinds_are_needed() -> None:
    with pytest.raises(ValueError, match="got 1 and 0"):
        calibrate([Scores(0.0, 1.0)], [])


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


@pytest.mark.parametrize("value", [-3.0, 0.0, 2.5])
def test_beyond_the_values_no_gap_is_wide(value: float) -> None:
    # Every threshold is as good; the first is taken, and not the one above all values.
    found = calibrate([Scores(value, 1.0)], [Scores(value, 1.0)])
    assert found.threshold == pytest.approx(value - 1)
    assert found.accuracy == pytest.approx(0.5)
