# SPDX-License-Identifier: Apache-2.0

"""An ablation in two runs is that of one run; the file of another one is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stvg_lab.ablation.experiment import Ablation
from stvg_lab.ablation.saved_answers import SavedAnswers
from stvg_lab.rendered.scene_questions import SceneQuestion, samples
from stvg_ros.cli.main import main
from stvg_ros.errors import ConfigError
from stvg_ros.types import Grounding, Query, Status, Tube, TubeBox


@pytest.fixture(scope="module")
def scenes() -> list[tuple[SceneQuestion, ...]]:
    return list(samples("test-hard", 4, 2))


def ablation() -> Ablation:
    """Answers each question with the tube of somebody, which depends on the sentence."""

    def ground(row: object, sample: SceneQuestion) -> Grounding:
        stamps = sample.clip.stamps_ns
        tube = sample.people[len(sample.query.text) % len(sample.people)]
        boxes = tuple(
            TubeBox(int(at), tuple(box), 1.0)
            for at, box in zip(stamps, tube.boxes_xyxy_px.tolist(), strict=True)
        )
        sure = 0.9 if sample.present else 0.2
        times = {"start_ns": int(stamps[0]), "end_ns": int(stamps[-1])}
        query = Query(sample.query.text)
        return Grounding((Tube(query, Status.FOUND, boxes=boxes, confidence=sure, **times),))

    return Ablation(ground, lambda sample: sample.people, lambda sample: True)


def test_two_runs_give_the_table_of_one(
    scenes: list[tuple[SceneQuestion, ...]], tmp_path: Path
) -> None:
    whole, first, second = ablation(), ablation(), ablation()
    for data in scenes:
        whole.add(data, lambda name: None)
    path = tmp_path / "answers"
    saved = SavedAnswers(path, {"split": "test-hard"})
    assert saved.restored(first) == 0
    first.add(scenes[0], lambda name: None)
    saved.store(first, 1)
    assert SavedAnswers(path, {"split": "test-hard"}).restored(second) == 1
    second.add(scenes[1], lambda name: None)
    assert second.table() == whole.table()
    assert [each.name for each in tmp_path.iterdir()] == ["answers"]
    assert path.read_bytes()[:2] == b"\x80\x04"  # the protocol, which every Python reads alike


def test_the_table_of_hard_scenes_has_their_kinds_and_conditions(
    scenes: list[tuple[SceneQuestion, ...]],
) -> None:
    made = ablation()
    for data in scenes:
        made.add(data, lambda name: None)
    table = made.table()
    present = [one for data in scenes for one in data if one.present]
    assert {row["name"] for row in table["by_kind"]} == {one.query.kind for one in present}
    counted = {row["name"]: row["samples"] for row in table["by_condition"]}
    expected = [name for one in present for name in one.conditions]
    assert counted == {name: expected.count(name) for name in expected}
    for row in table["by_condition"]:
        assert np.isfinite([row["spatial_accuracy"], row["m_tIoU"], row["m_vIoU"]]).all()


def test_answers_of_another_ablation_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "answers"
    SavedAnswers(path, {"split": "test"}).store(ablation(), 3)
    with pytest.raises(ConfigError, match="is of .*test"):
        SavedAnswers(path, {"split": "val"}).restored(ablation())
    path.write_bytes(b"\x80\x04nothing")
    with pytest.raises(ConfigError, match="holds no answers"):
        SavedAnswers(path, {"split": "test"}).restored(ablation())


@pytest.mark.parametrize("command", ["ablate", "synthesize", "demo"])
def test_commands_know_the_hard_splits(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "test-hard" in capsys.readouterr().out


def test_conditions_are_not_calibrated_on_hard_scenes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "--conditions", "--split", "val-hard"]) == 2
    assert "ask for train, val or test" in capsys.readouterr().err


def test_a_file_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return Path.touch, (tmp_path / "made",)  # type: ignore[return-value]

    path = tmp_path / "answers"
    path.write_bytes(pickle.dumps({"asked": Evil(), "scenes": 1, "answers": {}}))
    with pytest.raises(ConfigError, match="holds no answers of an ablation"):
        SavedAnswers(path, {}).restored(ablation())
    assert not (tmp_path / "made").exists()
