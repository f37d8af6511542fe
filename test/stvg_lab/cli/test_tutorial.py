# SPDX-License-Identifier: Apache-2.0

"""The tutorial: its commands run, and their answers are right on its scene."""

from __future__ import annotations

import io
import re
import sys

import numpy as np
import pytest

from stvg_lab.cli import tutorial
from stvg_lab.rendered.queries import split_scene
from stvg_lab.rendered.visible_parts import visible_shares
from stvg_ros.body.estimator_choice import build_estimator
from stvg_ros.body.settings import BodyConfig
from stvg_ros.cli.main import main

SEED = 7


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """The output of the whole tutorial without a terminal, by step, and its folder."""
    out = tmp_path_factory.mktemp("tutorial") / "out"
    with pytest.MonkeyPatch.context() as patch:
        text = io.StringIO()
        patch.setattr(sys, "stdout", text)
        patch.setattr(sys, "stdin", io.StringIO())  # no terminal: nothing waits
        assert main(["tutorial", "--seed", str(SEED), "--out", str(out)]) == 0
    return text.getvalue().split("\n--- ")[1:], out


def test_every_step_is_a_command_with_its_output(said):
    steps, out = said
    commands = [re.search(r"^\$ stvg-ros (\w+)", step, re.M)[1] for step in steps]
    assert commands == ["synthesize", "understand", "tubes", *["ground"] * 4]
    assert "1 scenes, " in steps[0]
    assert "intent" in steps[1]
    assert "tubes on" in steps[2]
    for picture in (out / "tubes.png", out / "found" / "contact_sheet.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert f"picture: {picture}" in "".join(steps)


def test_the_answers_are_those_of_the_scene(said):
    steps, _ = said
    found, absent, _, follow = steps[3:]
    assert "outcome     found" in found
    start_s, end_s = map(float, re.search(r"span +([\d.]+) s to ([\d.]+) s", found).groups())
    true_s = tuple(map(float, re.search(r"truth: ([\d.]+) s to ([\d.]+) s", found).groups()))
    overlap = min(end_s, true_s[1]) - max(start_s, true_s[0])
    assert overlap > 0.5 * (true_s[1] - true_s[0])
    assert "outcome     not found" in absent
    images, last_s, seen = re.search(
        r"followed +(\d+) images to ([\d.]+) s, seen in (\d+)", follow
    ).groups()
    assert float(last_s) > 7.0
    # Somebody walks in front of the target: images in which at least half of it is seen count.
    scene, colour = split_scene("test", SEED), re.search(r"wearing (\w+)", follow)[1]
    target = next(i for i, person in enumerate(scene.people) if person.shirt == colour)
    frames = np.linspace(scene.frame_count // 2, scene.frame_count - 1, int(images)).round()
    shares = visible_shares(scene, len(scene.people), frames.astype(int).tolist())[target]
    assert int(seen) > 0.8 * np.count_nonzero(shares >= 0.5) > 10


def test_the_number_is_that_of_the_scene(said):
    steps, _ = said
    count = steps[5]
    colour = re.search(r"wearing a (\w+) shirt", count)[1]
    number = sum(person.shirt == colour for person in split_scene("test", SEED).people)
    assert number > 0
    assert f"the truth: {number}" in count
    if build_estimator(BodyConfig()) is None:
        pytest.skip("no keypoints here: `stvg-ros models fetch body`, requirements/body.txt")
    assert f"answer      {number}\n" in count


def test_without_keypoints_counting_says_what_is_missing(tmp_path, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr("stvg_ros.cli.main.main", lambda words: ran.append(words) or 0)
    monkeypatch.setattr("stvg_ros.body.estimator_choice.runtime_installed", lambda: False)
    words = ["synthesize", "--format", "bag", "--seed", str(SEED), "--count", "1"]
    assert main([*words, "--out", str(tmp_path / f"scene_{SEED}")]) == 0
    assert tutorial.run(tutorial_arguments(tmp_path, "--yes")) == 0
    (counting,) = (words for words in ran if "--targets" in words)
    assert not any("evidence" in word for word in counting)
    assert "`stvg-ros models fetch body`" in capsys.readouterr().out


def test_with_a_terminal_it_waits_and_can_be_left(tmp_path, monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    ran = []
    monkeypatch.setattr("stvg_ros.cli.main.main", lambda words: ran.append(words[0]) or 0)
    monkeypatch.setattr(sys, "stdin", Terminal("q\n"))
    given = tutorial_arguments(tmp_path)
    assert tutorial.run(given) == 0
    assert ran == []
    monkeypatch.setattr(sys, "stdin", Terminal(""))  # closed
    assert tutorial.run(given) == 0
    assert ran == []


def tutorial_arguments(folder, *more):
    import argparse

    parser = argparse.ArgumentParser()
    tutorial.add_arguments(parser)
    return parser.parse_args(["--out", str(folder), *more])


def test_a_command_that_fails_ends_it(tmp_path, monkeypatch):
    from stvg_ros.errors import ConfigError

    monkeypatch.setattr("stvg_ros.cli.main.main", lambda words: 1)
    with pytest.raises(ConfigError, match="step 1 ended with 1"):
        tutorial.run(tutorial_arguments(tmp_path, "--yes"))
