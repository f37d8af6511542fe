# SPDX-License-Identifier: Apache-2.0

"""The table: floors, rows and controls on a perfect, a blind and a real grounder."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from paths import ROOT

from stvg_lab.ablation.ablation_rows import CONTROLS, FAST, rows_of
from stvg_lab.ablation.experiment import (
    FLOORS,
    Ablation,
    TruePeople,
    floor,
    right_person,
    whole_track,
)
from stvg_lab.rendered.scene_questions import ASKED, SceneQuestion, samples
from stvg_lab.runs.conventions import scored
from stvg_lab.runs.scores import FrameTube
from stvg_ros.cli.main import main
from stvg_ros.config import Config
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.types import Grounding, Query, SplitQuery, Status, Tube, TubeBox


@pytest.fixture(scope="module")
def data() -> list[SceneQuestion]:
    return [sample for scene in samples("test", 3, 3) for sample in scene]


def test_samples_are_seeded_and_hold_present_and_absent_targets_of_each_kind(
    data: list[SceneQuestion],
) -> None:
    again = [sample for scene in samples("test", 3, 3) for sample in scene]
    assert [s.query for s in again] == [s.query for s in data]
    assert {(s.query.kind, s.present) for s in data} == {(k, p) for k in ASKED for p in (0, 1)}
    assert not [s for s in data if s.query.act == "stand"]
    assert list(samples("test", 3, 0)) == []
    for sample in data:
        whole = sample.query.kind in ("attribute", "relation")
        assert sample.timed != whole
        if sample.present:
            assert sample.truth.span.all() == whole


def test_a_sample_without_images_keeps_its_times(data: list[SceneQuestion]) -> None:
    small = data[0].without_images()
    assert small.clip.frames[0].image.nbytes == 3
    np.testing.assert_array_equal(small.clip.stamps_ns, data[0].clip.stamps_ns)


def test_floors(data: list[SceneQuestion]) -> None:
    sample = next(s for s in data if s.present and s.timed)
    rng = np.random.default_rng(0)
    oracle = scored(floor("oracle tube", sample, sample.people, rng), sample.truth)
    share = sample.truth.span.mean()
    assert (oracle.t_iou, oracle.v_iou, oracle.gt_v_iou) == pytest.approx((share, share, 1.0))
    whole = scored(floor("whole window", sample, sample.people, rng), sample.truth)
    assert whole.t_iou == pytest.approx(share)
    for name in FLOORS:
        assert not floor(name, sample, (), rng).present.any()
    with pytest.raises(ValueError, match="floor: expected one of"):
        floor("none", sample, sample.people, rng)


def test_the_oracle_takes_the_best_candidate(data: list[SceneQuestion]) -> None:
    sample = next(s for s in data if s.present)
    target = sample.people[sample.query.target or 0]
    shifted = replace(target, boxes_xyxy_px=target.boxes_xyxy_px + 8)
    far = replace(target, boxes_xyxy_px=target.boxes_xyxy_px + 200)
    found = floor("oracle tube", sample, (far, shifted), np.random.default_rng(0))
    np.testing.assert_array_equal(found.boxes_xyxy_px, shifted.boxes_xyxy_px)
    assert right_person(found, sample.truth) == 1


def perfect(sample: SceneQuestion) -> Grounding:
    query = Query(sample.query.text)
    if not sample.present:
        return Grounding((Tube(query, Status.NOT_FOUND, confidence=0.1),))
    stamps = sample.clip.stamps_ns[sample.truth.span]
    boxes = sample.truth.boxes_xyxy_px[sample.truth.span].tolist()
    row = tuple(TubeBox(int(s), tuple(b), 1.0) for s, b in zip(stamps, boxes, strict=True))
    times = {"start_ns": int(stamps[0]), "end_ns": int(stamps[-1])}
    return Grounding((Tube(query, Status.FOUND, boxes=row, confidence=0.9, **times),))


ALL = rows_of(MllmSettings(grounding_heads=((0, 0),)), body=True)
BLIND = Grounding((Tube(Query("x"), Status.NOT_FOUND),))


def test_a_perfect_grounder_scores_one_and_a_blind_one_zero(data: list[SceneQuestion]) -> None:
    calls: list[str] = []
    ablation = Ablation(
        lambda row, sample: perfect(sample) if row.model == "own" else BLIND,
        lambda sample: sample.people,
        lambda sample: True,
        rows=ALL,
    )
    ablation.add(data, calls.append)
    table = ablation.table()
    names = [*FLOORS, *(row.name for row in (*ALL, *CONTROLS))]
    assert [row["name"] for row in table["rows"]] == names
    assert len(calls) == len((*ALL, *CONTROLS)) * len(data)
    lines = {row["name"]: row for row in table["rows"]}
    assert {row.over for row in (*ALL, *CONTROLS)} <= {"", *names}
    last = lines["+ absence"]
    for metric in (
        "m_tIoU", "m_vIoU", "vIoU@0.3", "vIoU@0.5", "gt_vIoU", "spatial_accuracy",
        "no_action_tIoU", "no_action_vIoU",
    ):  # fmt: skip
        assert last[metric] == pytest.approx(1)
        assert last["intervals"][metric] == pytest.approx([1, 1])
    assert (last["absence_auroc"], last["absent_found"], last["group"]) == (1.0, 0.0, "method")
    present = [sample for sample in data if sample.present]
    assert last["samples"] == {
        "timed": sum(sample.timed for sample in present),
        "no_action": sum(not sample.timed for sample in present),
        "present": len(present),
        "of_four": sum(len(sample.people) == 4 for sample in present),
        "absent": len(data) - len(present),
    }
    blind = lines["adaptive span, untrained model"]
    assert (blind["m_vIoU"], blind["vIoU@0.3"], blind["absence_auroc"]) == (0.0, 0.0, 0.5)
    gains = {row["name"]: row for row in table["gains"]}
    assert gains["+ TAS"]["over"] == "+ both prompts"
    assert gains["+ TAS"]["m_vIoU"] == 0
    lost = gains["adaptive span, untrained model"]
    assert (lost["over"], lost["m_vIoU"], lost["spatial_accuracy"]) == ("+ adaptive span", -1, -1)
    assert lost["intervals"]["m_vIoU"] == [-1, -1]
    kinds = {row["name"]: row for row in table["by_kind"]}
    assert list(kinds) == list(ASKED)
    for row in kinds.values():
        assert (row["yes_accuracy"], row["no_accuracy"]) == (1.0, 0.0)
        assert row["m_vIoU"] == pytest.approx(1)


def test_a_table_without_targets_is_refused(data: list[SceneQuestion]) -> None:
    ablation = Ablation(lambda row, sample: BLIND, lambda sample: (), lambda sample: True)
    ablation.add([sample for sample in data if not sample.present], lambda name: None)
    with pytest.raises(ValueError, match="no question with a span"):
        ablation.table()


def test_an_answer_elsewhere_is_the_wrong_person() -> None:
    span = np.ones(4, np.bool_)
    truth = FrameTube(np.tile(np.array([0, 0, 10, 10], np.float32), (4, 1)), span, span)
    near = FrameTube(truth.boxes_xyxy_px + 2, span, span)
    assert right_person(near, truth) == 0  # IoU 64 / 136
    assert right_person(FrameTube(truth.boxes_xyxy_px + 1, span, span), truth) == 1
    assert right_person(FrameTube.nothing(4), truth) == 0


def test_an_answer_has_the_boxes_of_its_candidate_everywhere(data: list[SceneQuestion]) -> None:
    sample = next(s for s in data if s.present and s.timed)
    best = replace(perfect(sample).best, track_id=sample.query.target or 0)
    found = whole_track(best, sample, sample.people)
    assert found.present.all()
    np.testing.assert_array_equal(found.span, sample.truth.span)
    begin = best.start_ns - 10**9
    early = replace(best, start_ns=begin, end_ns=begin + 10**8, boxes=())
    assert scored(whole_track(early, sample, sample.people), sample.truth).gt_v_iou == 1
    assert scored(whole_track(early, sample, ()), sample.truth).gt_v_iou < 1
    gone = whole_track(replace(best, status=Status.NOT_FOUND), sample, sample.people)
    assert not gone.present.any()


def test_true_people_are_those_of_the_sample(data: list[SceneQuestion]) -> None:
    source = TruePeople()
    source.people = data[0].people
    split = SplitQuery("x", "x", "x", "rules")
    assert source.propose(data[0].clip, split) is data[0].people


def test_equal_seeds_give_equal_tables(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    files = [tmp_path / name for name in ("a.json", "b.json")]
    rows = ["mean of the tokens", "+ token selection", "+ both prompts", "+ TAS", "default", "fast",
            "both prompts, random direction"]  # fmt: skip
    for file in files:
        few = ["--count", "1", "--device", "cpu", "--set", "sampling.frames=4", "--rows", *rows]
        assert main(["ablate", *few, "--json", str(file)]) == 0
    first, second = (json.loads(file.read_text()) for file in files)
    assert first == second
    assert {"name", "m_tIoU", "m_vIoU", "vIoU@0.3", "vIoU@0.5", "gt_vIoU"} <= set(first["rows"][0])
    methods = {row["name"]: row for row in first["rows"] if row["group"] != "floor"}
    assert len({json.dumps({**row, "name": ""}) for row in methods.values()}) > 5


def test_the_rows_that_a_table_is_read_by() -> None:
    names = [row.name for row in ALL]
    assert len(set(names)) == len(names)
    sources = ("stated interval", "painted ids", "second look", "selected heads", "gate", "body")
    assert {"paper", "says it", "default", "fast", *(f"+ {one}" for one in sources)} <= set(names)
    few = {row.name for row in rows_of(MllmSettings(), body=False)}
    assert set(names) - few == {"+ selected heads", "+ body", "body alone"}
    flat = Config().flat()
    for row in ALL:
        assert set(row.values) <= set(flat)
        Config.from_flat({**flat, **row.values})


def test_only_the_rows_that_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "few.json"
    few = ["ablate", "--count", "1", "--json", str(path), "--rows", "default", "fast"]
    assert main(few) == 0
    table = json.loads(path.read_text())
    names = [row["name"] for row in table["rows"] if row["group"] != "floor"]
    assert names == ["default", "fast"]
    assert (table["detailed"], table["gains"]) == ("default", [])  # both are over the paper's row
    assert "default, by kind" in capsys.readouterr().out
    assert main([*few[:3], "--rows", "paper", "slow"]) == 2
    assert "--rows: expected some of mean of the tokens, " in (said := capsys.readouterr().err)
    assert "got 'slow'" in said


def test_fast_is_the_preset() -> None:
    preset = yaml.safe_load((ROOT / "config/fast.yaml").read_text())["/**"]["ros__parameters"]
    assert preset == FAST


def test_a_seed_outside_the_split_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablate", "--seed", "10000000"]) == 2
    assert "--seed: index: expected 0 to 9999999" in capsys.readouterr().err
