# SPDX-License-Identifier: Apache-2.0

"""The commands on a file say what the checkpoints in the package cannot do."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_datasets import write_scene

from stvg_ros.cli.main import main
from stvg_ros.extras import install_command
from stvg_ros.io.video import write_video

NOTE = "note: model.path 'embedded': this model was trained on rendered scenes only"


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "street.mp4"
    write_scene(path, 7)
    return path


def test_an_answer_of_the_embedded_model_says_that_it_knows_rendered_scenes_only(video, capsys):
    arguments = ["ground", str(video), "the person who waves", "--device", "cpu"]
    assert main([*arguments, "--end", "2"]) == 0
    out, error = capsys.readouterr()
    assert "note:" not in error  # it is one
    assert "warning" not in out
    assert "model       Qwen2-VL (embedded, rendered scenes only)" in out


def test_what_the_model_does_not_know_is_in_the_answer_and_on_the_command_line(tmp_path, capsys):
    path = tmp_path / "texture.mp4"
    rng = np.random.default_rng(0)
    texture = np.kron(rng.integers(0, 256, (24, 32, 1), np.uint8), np.ones((4, 4, 3), np.uint8))
    images = [texture] * 10
    write_video(path, images, [100_000_000 * number for number in range(10)])
    arguments = ["ground", str(path), "the man in jeans", "--device", "cpu"]
    arguments += ["--set", "proposals.source=classical"]
    assert main(arguments) == 0
    said = "the embedded model does not know: jeans; the embedded model knows rendered scenes only"
    assert f"warning     {said}" in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    out, error = capsys.readouterr()
    (tube,) = json.loads(out)["tubes"]
    assert tube["warning"].startswith(said)
    assert tube["calibrated"] is False
    assert f"note: {said}" in error
    assert tube["model"] == "Qwen2-VL (embedded, rendered scenes only)"


def test_a_question_is_answered_in_words(video, tmp_path, capsys):
    arguments = ["ground", str(video), "how many people are there", "--device", "cpu", "--end", "2"]
    arguments += ["--set", "proposals.people_detector=embedded", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    answer = json.loads((tmp_path / "out/tube.json").read_text())
    found = [tube for tube in answer["tubes"] if tube["status"] == "found"]
    assert answer["number"] == len(found)
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"answer      {answer['text']}" == f"answer      {answer['number']}"


def test_an_error_stays_one_line(tmp_path, capsys):
    assert main(["ground", str(tmp_path / "none.mp4"), "the dog"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(("source", "noted"), [("people_detector", True), ("classical", False)])
def test_tubes_of_the_embedded_detector_say_so(video, capsys, source, noted):
    given = ["--set", f"proposals.source={source}", "--set", "proposals.people_detector=embedded"]
    assert main(["tubes", str(video), "--end", "1", *given]) == 0
    error = capsys.readouterr().err
    assert ("proposals.people_detector 'embedded'" in error) is noted
    assert "model.path" not in error


def test_the_demo_of_ones_own_video_says_so_before_it_runs(tmp_path, capsys):
    pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
    arguments = ["demo", "--video", str(tmp_path / "none.mp4"), "--query", "the dog"]
    arguments += ["--out", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert NOTE in capsys.readouterr().out
    assert main([*arguments, "--model", "Qwen/Qwen2.5-VL-7B-Instruct"]) == 1
    assert "note:" not in capsys.readouterr().out


def test_a_recording_for_rerun_needs_its_library(video, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    arguments = ["ground", str(video), "the person", "--rrd", str(tmp_path / "a.rrd")]
    assert main(arguments) == 2
    assert install_command("rerun") in capsys.readouterr().err
