# SPDX-License-Identifier: Apache-2.0

"""The tutorial: its answers are right on its scene, and the commands that it shows work."""

from __future__ import annotations

import io
import shlex
import sys

import pytest

from stvg_lab.cli.tutorial import World, lessons
from stvg_ros.cli.main import main, modules, parser
from stvg_ros.cli.options import flat_settings
from stvg_ros.config import Config


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """The output of the whole tutorial without waiting, and its folder."""
    out = tmp_path_factory.mktemp("tutorial") / "out"
    with pytest.MonkeyPatch.context() as patch:
        text = io.StringIO()
        patch.setattr(sys, "stdout", text)
        assert main(["tutorial", "--no-wait", "--out", str(out)]) == 0
    return text.getvalue(), out


def test_the_answers_are_those_of_the_scene(said):
    text, out = said
    world = World(7, out)
    people = len(world.scene.people)
    assert "outcome     found" in text
    assert f"how many people are there? {people}; in the scene are {people}" in text
    assert f"{world.absent.text}: not found" in text
    start_s = float(text.partition("span        ")[2].split()[0])
    truth_s = float(text.partition("the truth   ")[2].split()[0])
    assert abs(start_s - truth_s) < 1.0
    following = text.partition("[6 of 6]")[2]
    assert following.count("seen") >= 4
    assert {path.name for path in out.iterdir()} >= {"scene.mp4", "contact_sheet.png"}


def test_the_shown_commands_are_commands(said, tmp_path):
    shown = [lesson.command for lesson in lessons(World(7, tmp_path))]
    ours = [shlex.split(line)[1:] for line in shown if line.startswith("stvg-ros ")]
    assert [words[0] for words in ours] == ["understand", "tubes", "ground", "ground"]
    for words in ours:
        given = parser(modules()).parse_args(words)
        if hasattr(given, "settings"):
            Config.from_flat(flat_settings(given))


def test_it_waits_and_can_be_left(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("\nq\n"))
    assert main(["tutorial", "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "intent      find" in text
    assert "[2 of 6]" in text and "[3 of 6]" not in text
    assert not (tmp_path / "out").exists()


def test_a_scene_that_does_not_exist(tmp_path, capsys):
    assert main(["tutorial", "--seed", "99999999", "--out", str(tmp_path)]) == 2
    assert "--seed" in capsys.readouterr().err
