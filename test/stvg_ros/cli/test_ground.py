# SPDX-License-Identifier: Apache-2.0

"""The commands on a file say what the checkpoints in the package cannot do."""

from __future__ import annotations

import json

import pytest
from tiny_datasets import write_scene

from stvg_ros.cli.main import main

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
    assert NOTE in error
    assert "model       Qwen2-VL (embedded, rendered scenes only)" in out
    assert main([*arguments, "--end", "1", "--json"]) == 0
    out, error = capsys.readouterr()
    assert NOTE in error
    assert json.loads(out)["tubes"][0]["model"] == "Qwen2-VL (embedded, rendered scenes only)"


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
    arguments = ["demo", "--video", str(tmp_path / "none.mp4"), "--query", "the dog"]
    arguments += ["--out", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert NOTE in capsys.readouterr().out
    assert main([*arguments, "--model", "Qwen/Qwen2.5-VL-7B-Instruct"]) == 1
    assert "note:" not in capsys.readouterr().out
