# SPDX-License-Identifier: Apache-2.0

import json
import math

import numpy as np
import pytest

from stvg_ros.commands.command import Command, Feature, Relation, TimeSpan
from stvg_ros.io.tube_json import (
    evidence_from_json,
    evidence_to_json,
    table,
    tube_from_json,
    tube_to_json,
)
from stvg_ros.types import Evidence, Picture, Query, SplitQuery, Status, Tube, TubeBox


def test_tube_there_and_back() -> None:
    tube = Tube(
        Query("find it", id="7"), Status.FOUND,
        SplitQuery("find it", "it", "it moves", "mllm", tokens=812),
        boxes=(TubeBox(1_500_000_000, (1.0, 2.0, 3.0, 4.5), 0.5, True),),
        start_ns=1_500_000_000, end_ns=1_600_000_000, confidence=0.75,
        timings_s={"split": 0.25, "forward pass": 0.5}, cost={"passes": 5, "tokens": 0},
    )  # fmt: skip
    back = tube_from_json(json.loads(json.dumps(tube_to_json(tube), allow_nan=False)))
    assert math.isnan(back.consistency)
    assert (back.boxes, back.split, back.query) == (tube.boxes, tube.split, tube.query)
    assert (back.start_ns, back.end_ns, back.timings_s) == (
        tube.start_ns,
        tube.end_ns,
        {"split": 0.25, "forward pass": 0.5},
    )
    assert back.cost == {"passes": 5, "tokens": 0}
    text = table(back, 1_000_000_000)
    assert "cost        5 passes" in text
    assert "0.50 s to 0.60 s, 1 boxes" in text
    assert "0.75 s in all: split 0.25 (812 tokens), forward pass 0.50" in text


def test_a_picture_and_its_origin_there_and_back() -> None:
    picture = Picture(5, b"\xff\xd8 jpeg \x00")
    tube = Tube(Query("x"), Status.FOUND, from_memory=True, picture=picture)
    values = json.loads(json.dumps(tube_to_json(tube)))
    back = tube_from_json(values)
    assert (back.from_memory, back.picture) == (True, picture)
    del values["from_memory"], values["picture"]  # an answer of an earlier version
    assert (tube_from_json(values).from_memory, tube_from_json(values).picture) == (False, None)


def test_failed_tube_shows_its_reason() -> None:
    text = table(Tube(Query("x"), Status.FAILED, error="no images yet"))
    assert "outcome     failed" in text
    assert "no images yet" in text
    assert "span" not in text


def test_evidence_there_and_back() -> None:
    maps = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    scores = np.array([0.5, np.nan], np.float32)
    points = np.arange(2 * 17 * 3, dtype=np.float32).reshape(2, 17, 3)
    points[1] = np.nan
    evidence = Evidence(
        np.array([1, 2]), ((0,), (1,)), maps, maps + 1, scores, {3: 0.25}, "assistant",
        keypoints={3: points}, looks={3: -0.5, 7: 2.0},
    )  # fmt: skip
    back = evidence_from_json(json.loads(json.dumps(evidence_to_json(evidence), allow_nan=False)))
    assert back.looks == {3: -0.5, 7: 2.0}
    assert np.array_equal(back.spatial, maps)
    assert np.array_equal(back.temporal, maps + 1)
    assert np.array_equal(back.frame_scores, scores, equal_nan=True)
    assert back.slots == ((0,), (1,))
    assert back.track_scores == {3: 0.25}
    assert list(back.keypoints) == [3]
    assert np.array_equal(back.keypoints[3], points, equal_nan=True)
    earlier = {k: v for k, v in evidence_to_json(evidence).items() if k != "keypoints"}
    assert evidence_from_json(earlier).keypoints == {}


def test_the_table_names_the_model() -> None:
    absent = Tube(Query("x"), Status.NOT_FOUND, model="Qwen2-VL (embedded, rendered scenes only)")
    assert "model       Qwen2-VL (embedded, rendered scenes only)" in table(absent)
    assert "model" not in table(Tube(Query("x"), Status.FAILED, error="no images yet"))


def test_the_table_says_what_decided() -> None:
    decided = "body 'in red' -5.0; not measured: hat"
    tube = Tube(Query("in a red hat"), Status.NOT_FOUND, decided=decided)
    assert f"decided     {decided}" in table(tube).splitlines()
    assert "decided" not in table(Tube(Query("in red"), Status.NOT_FOUND))


def test_the_table_and_the_file_name_the_source_of_the_candidates() -> None:
    source = "people_detector ssdlite: the small detector of real people"
    absent = Tube(Query("x"), Status.NOT_FOUND, candidates=source)
    assert f"candidates  {source}" in table(absent)
    assert tube_from_json(tube_to_json(absent)).candidates == source


COMMANDS = [
    None,
    Command("find", "the man"),
    Command("follow", "the man in red", "the man in red", "who waves", number="all"),
    Command("count", "people", number=3, negated="sitting", problems=("cut", "odd")),
    Command("find", "the dog", relation=Relation("left of", "the cat", "left of the cat")),
    Command("find", "the man", time=TimeSpan("just now", 5.0, 0.0), place="the kitchen"),
    Command("describe", "the man", asked="pose", then="tell them the time", refusal="a name"),
    Command("find", "x", features=(Feature("garment", "coat", "a red coat", ("red", "black")),)),
    Command("watch", "someone", features=(Feature("gesture", "raise arm", "x", side="left"),)),
    Command("exists", "anyone", noun="anyone", name="Morgan", clause="he waves", reader="rules"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_asks_for_comes_back(command: Command | None) -> None:
    split = SplitQuery("Q", "Q_s", "Q_t", "rules", command=command)
    tube = Tube(
        Query("Q"), Status.FOUND, split, warning="no images of 'left'", camera="right",
        image_age_s=0.25, calibrated=False,
    )  # fmt: skip
    back = tube_from_json(json.loads(json.dumps(tube_to_json(tube), allow_nan=False)))
    assert back.split == split
    assert (back.warning, back.camera, back.image_age_s) == ("no images of 'left'", "right", 0.25)
    assert back.calibrated is False
