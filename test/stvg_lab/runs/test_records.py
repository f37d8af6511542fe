# SPDX-License-Identifier: Apache-2.0

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stvg_lab.runs.records import (
    RESULTS,
    Result,
    ResultFile,
    Source,
    read_json,
    read_results,
    result_from_json,
    result_to_json,
    results_name,
    write_json,
)
from stvg_lab.runs.scores import FrameTube, Score
from stvg_ros.errors import RecordingError
from stvg_ros.types import Evidence, Query, Status, Tube, TubeBox

STAMPS = np.array([1_700_000_000_000_000_001, 1_700_000_000_100_000_001, 1_700_000_000_200_000_001])


def result(name: str = "a") -> Result:
    span = np.array([False, True, True])
    truth = FrameTube(np.array([[0, 0, 0, 0], [1, 2, 3, 4], [2, 2, 5.5, 4]]), span.copy(), span)
    box = TubeBox(int(STAMPS[1]), (1.0, 2.0, 3.0, 4.0), 0.5)
    tube = Tube(
        Query("the person who waves", "q"), Status.FOUND, boxes=(box,), start_ns=int(STAMPS[1]),
        end_ns=int(STAMPS[2]), confidence=0.75, timings_s={"forward pass": 0.25},
    )  # fmt: skip
    heat = np.ones((2, 1, 3), np.float32)
    evidence = Evidence(STAMPS[:2], ((0,), (1,)), heat, heat, heat[:, 0, 0], {3: 0.5}, ".")
    return Result(
        name, "run", "the person who waves", Source("run.mcap", topic="/cam"), "found", (64, 48),
        STAMPS, truth, (tube,), evidence, {"answer": Score(1.0, 0.5, 0.5)}, {"read": 3},
        {"read": 0.5},
    )  # fmt: skip


def test_a_line_comes_back_with_exact_stamps_and_boxes() -> None:
    values = json.loads(json.dumps(result_to_json(result()), allow_nan=False))
    back = result_from_json(values)
    assert result_to_json(back) == values
    assert back.stamps_ns.tolist() == STAMPS.tolist()
    assert back.truth is not None
    assert back.truth.span.tolist() == [False, True, True]
    assert back.truth.boxes_xyxy_px[2].tolist() == [2, 2, 5.5, 4]
    assert back.tubes[0].boxes == result().tubes[0].boxes
    assert back.scores == {"answer": Score(1.0, 0.5, 0.5)}


def test_absent_targets_and_failures_come_back() -> None:
    failed = Result(
        "b", "run", "x", Source("gone.mp4"), "failed", error_code="NO_IMAGES", error="?"
    )
    back = result_from_json(result_to_json(failed))
    assert (back.outcome, back.error_code, back.error, back.truth) == (
        "failed", "NO_IMAGES", "?", None,
    )  # fmt: skip
    nowhere = replace(result(), truth=FrameTube.nothing(3))
    back = result_from_json(result_to_json(nowhere))
    assert back.truth is not None
    assert not back.truth.span.any()
    with pytest.raises(ValueError, match="expected one of .* got 'fine'"):
        replace(failed, outcome="fine")


def test_a_line_that_a_kill_cut_short_is_not_done_and_goes(tmp_path: Path) -> None:
    path = tmp_path / RESULTS
    with ResultFile(path) as file:
        file.add(result("a"))
        file.add(result("b"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert [item.id for item in read_results(tmp_path)] == ["a"]
    with ResultFile(path) as file:
        file.add(result("b"))
    assert path.read_bytes() == whole


def test_numbers_that_are_not_finite_fail_the_sample(tmp_path: Path) -> None:
    tube = replace(result().tubes[0], confidence=float("nan"))
    with ResultFile(tmp_path / RESULTS) as file:
        file.add(replace(result(), tubes=(tube,)))
        file.add(result("b"))
    broken, fine = read_results(tmp_path)
    assert (broken.outcome, broken.error_code, broken.tubes) == ("failed", "INTERNAL", ())
    assert broken.scores == {"answer": Score(0.0, 0.0, 0.0)}
    assert fine.outcome == "found"


def test_parts_are_read_together_and_the_last_of_an_id_counts(tmp_path: Path) -> None:
    for shard, names in (((1, 2), "ac"), ((2, 2), "b")):
        with ResultFile(tmp_path / results_name(shard)) as file:
            for name in names:
                file.add(result(name))
    with ResultFile(tmp_path / results_name((2, 2))) as file:
        file.add(replace(result("a"), query="again"))
    assert {item.id: item.query for item in read_results(tmp_path)} == {
        "a": "again", "b": result().query, "c": result().query,
    }  # fmt: skip


def test_wrong_folders_and_lines_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="expected the folder of a run"):
        read_results(tmp_path)
    (tmp_path / RESULTS).write_text('{"id": "a"}\n')
    with pytest.raises(RecordingError, match=r"results\.jsonl, line 1: not a result \(KeyError"):
        read_results(tmp_path)
    with pytest.raises(RecordingError, match="cannot be written"):
        ResultFile(tmp_path / RESULTS / "below")


def test_other_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "run" / "summary.json"
    write_json(path, {"a": 1})
    write_json(path, {"a": 2})
    assert read_json(path) == {"a": 2}
    assert [item.name for item in path.parent.iterdir()] == ["summary.json"]
    with pytest.raises(RecordingError, match="expected a file of a run"):
        read_json(tmp_path / "none.json")
