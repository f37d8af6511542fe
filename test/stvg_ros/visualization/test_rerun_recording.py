# SPDX-License-Identifier: Apache-2.0

"""What the commands wrote or sent is read back with Rerun's own reader."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from fakes import FixedProposer, ToyMllm
from recordings import annotate, entry, square_bag
from tiny_datasets import write_scene

import stvg_ros.build
from stvg_ros.cli.main import main
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.query import RuleSplitter
from stvg_ros.types import (
    Clip,
    Evidence,
    Frame,
    Grounding,
    Query,
    Status,
    Tube,
    TubeBox,
)
from stvg_ros.visualization.rerun_recording import RerunRecording, viewer_address

pytest.importorskip("rerun", reason="rerun-sdk is missing: run `make libraries`")
from rerun_viewer import Receiver, entities, free_port, rows


@pytest.fixture
def grounded() -> tuple[Clip, Grounding]:
    """Three frames, stored at half their size; the second and third are sampled."""
    frames = tuple(
        Frame(1_000 + number, np.full((20, 40, 3), 80 * number, np.uint8), 80, 40)
        for number in range(3)
    )
    boxes = (TubeBox(1_001, (10.0, 20.0, 30.0, 40.0), 1.0),)
    tube = Tube(
        Query("the person"), Status.FOUND, boxes=boxes, start_ns=1_001, end_ns=1_001,
        confidence=0.75,
    )  # fmt: skip
    grid = np.zeros((2, 2, 2), np.float32)
    absent = [np.nan] * 4
    evidence = Evidence(
        np.array([1_001, 1_002]), ((0,), (1,)), grid, grid, np.array([2.5, np.nan], np.float32),
        {7: 0.5, 8: 0.25}, "newline",
        track_boxes={
            7: np.array([[10, 20, 30, 40], [12, 20, 32, 40]], np.float32),
            8: np.array([absent, [0, 0, 8, 8]], np.float32),
        },
    )  # fmt: skip
    return Clip(frames), Grounding((tube,), evidence)


def test_a_grounding_is_read_back(grounded, tmp_path):
    path = tmp_path / "a.rrd"
    with RerunRecording("test", file=path) as file:
        file.add(*grounded)
    assert entities(path) >= {
        "/camera", "/camera/candidates", "/camera/answer", "/S_frame", "/answer",
    }  # fmt: skip
    pictures = rows(path, "/camera", "EncodedImage:blob")
    assert [time for time, _ in pictures] == [0, 1, 2]
    decoded = cv2.imdecode(np.array(pictures[2][1][0], np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (20, 40, 3)
    assert abs(int(decoded.mean()) - 160) <= 2
    answers = rows(path, "/camera/answer", "Boxes2D:centers")
    assert [len(boxes) for _, boxes in answers] == [0, 1, 0]
    assert answers[1] == (1, [[10.0, 15.0]])  # in pixels of the stored image
    assert rows(path, "/camera/answer", "Boxes2D:half_sizes")[1] == (1, [[5.0, 5.0]])
    labels = rows(path, "/camera/candidates", "Boxes2D:labels")
    assert [text for _, text in labels][1:] == [["7: 0.50"], ["7: 0.50", "8: 0.25"]]
    assert rows(path, "/S_frame", "Scalars:scalars") == [(1, [2.5])]
    ((_, (text,)),) = rows(path, "/answer", "TextDocument:text")
    assert "outcome     found" in text


def test_only_the_sampled_frames_of_several_groundings(grounded, tmp_path):
    path = tmp_path / "a.rrd"
    with RerunRecording("test", file=path) as file:
        file.add(*grounded, "run/1", every=False)
        file.add(*grounded, "run/2", every=False)
    assert len(rows(path, r"/run\/1/camera", "EncodedImage:blob")) == 2
    assert len(rows(path, r"/run\/2/S_frame", "Scalars:scalars")) == 1


@pytest.fixture
def toy(monkeypatch):
    """The commands ground with a model of a few weights."""
    config = Config.from_flat({"presence.enabled": False})
    tubes = FixedProposer((0.0, 0.0, 20.0, 40.0), (20.0, 0.0, 40.0, 40.0))
    grounder = LocalGrounder(ToyMllm(), RuleSplitter(), tubes, config)
    monkeypatch.setattr(stvg_ros.build, "build_grounder", lambda config: grounder)


def test_ground_writes_its_answer(tmp_path, capsys, toy):
    write_scene(tmp_path / "a.mp4", 7)
    path = tmp_path / "a.rrd"
    arguments = ["ground", str(tmp_path / "a.mp4"), "the person who waves", "--device", "cpu"]
    assert main([*arguments, "--end", "2", "--json", "--rrd", str(path)]) == 0
    answer = json.loads(capsys.readouterr().out)
    curve = rows(path, "/S_frame", "Scalars:scalars")
    expected = [score for score in answer["evidence"]["frame_scores"] if score is not None]
    assert [score for _, (score,) in curve] == pytest.approx(expected)
    boxes = [row for _, row in rows(path, "/camera/answer", "Boxes2D:centers") if row]
    assert len(boxes) == len(answer["tubes"][0]["boxes"])
    # A file that another program wrote is kept.
    path.write_text("mine")
    assert main([*arguments, "--rrd", str(path)]) == 2
    assert path.read_text() == "mine"


def test_evaluate_writes_each_sample(tmp_path, toy):
    square_bag(tmp_path / "run")
    annotations = annotate(tmp_path / "run.json", "run", entry("a", 1, 13), entry("b", 2, 14))
    path = tmp_path / "a.rrd"
    arguments = ["evaluate", "--annotations", annotations, "--out", tmp_path / "out"]
    arguments += ["--device", "cpu"]
    assert main([*map(str, arguments), "--rrd", str(path)]) == 0
    names = {name.split("/camera")[0] for name in entities(path) if name.endswith("/camera")}
    assert len(names) == 2
    for name in names:
        assert rows(path, f"{name}/answer", "TextDocument:text")


def test_ground_and_evaluate_send_the_same_to_a_viewer(tmp_path, capsys, toy):
    write_scene(tmp_path / "a.mp4", 7)
    square_bag(tmp_path / "run")
    annotations = annotate(tmp_path / "run.json", "run", entry("a", 1, 13))
    file = tmp_path / "a.rrd"
    with Receiver(tmp_path) as viewer:
        arguments = ["ground", tmp_path / "a.mp4", "the person who waves", "--end", "2"]
        arguments += ["--rrd", file, "--rerun", viewer.address, "--device", "cpu"]
        assert main(list(map(str, arguments))) == 0
        viewer.until("/answer", "TextDocument:text")
        for entity, column in (
            ("/camera", "EncodedImage:blob"), ("/S_frame", "Scalars:scalars"),
            ("/camera/answer", "Boxes2D:centers"), ("/camera/candidates", "Boxes2D:labels"),
        ):  # fmt: skip
            assert rows(file, entity, column)
            viewer.until(entity, column, len(rows(file, entity, column)))
            assert rows(viewer.file, entity, column) == rows(file, entity, column)
        arguments = ["evaluate", "--annotations", annotations, "--out", tmp_path / "out"]
        arguments += ["--rerun", viewer.address, "--device", "cpu"]
        assert main(list(map(str, arguments))) == 0
        viewer.until(r"/run\/a/answer", "TextDocument:text")


def test_a_viewer_that_does_not_listen_is_named_before_the_work(tmp_path, capsys):
    write_scene(tmp_path / "a.mp4", 7)
    for address, said in (
        (f"127.0.0.1:{free_port()}", "no viewer listens at 127.0.0.1:"),
        ("nonsense at all", "expected the address of a viewer"),
    ):
        arguments = ["ground", str(tmp_path / "a.mp4"), "the person", "--rerun", address]
        assert main(arguments) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("laptop", ("laptop", 9876)),
        ("10.0.0.5:9000", ("10.0.0.5", 9000)),
        ("rerun+http://laptop:9877/proxy", ("laptop", 9877)),
        ("[::1]:9876", ("[::1]", 9876)),
        ("", None), ("a:0", None), ("a:99999", None), ("http://a:1", None), ("a b", None),
    ],
)  # fmt: skip
def test_addresses(text, address):
    if address is None:
        with pytest.raises(ConfigError, match="expected the address of a viewer"):
            viewer_address(text, "--rerun")
    else:
        assert viewer_address(text, "--rerun") == address
