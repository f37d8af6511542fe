# SPDX-License-Identifier: Apache-2.0

"""`ground` and `tubes` on recordings: the topic, and what is lost, on standard error."""

from __future__ import annotations

from pathlib import Path

import damaged_recordings as made
import pytest
from damaged_recordings import IMAGE, TOPIC

from stvg_ros.cli.main import main

TWO = {"/left": (IMAGE, made.images(0, 6)), "/right": (IMAGE, made.images(0, 3))}


def tubes(*arguments: object) -> int:
    return main(["tubes", *map(str, arguments), "--set", "proposals.source=classical"])


def test_a_topic_of_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = made.bag(tmp_path / "run", TWO)
    assert tubes(path) == 1
    assert "several image topics (/left, /right); name one of them with --topic" in (
        capsys.readouterr().err
    )
    assert tubes(path, "--topic", "/right") == 0
    assert "on 3 images" in capsys.readouterr().out
    assert main(["ground", str(path), "the person"]) == 1
    assert "name one of them with --topic" in capsys.readouterr().err
    assert main(["ground", str(path), "the person", "--topic", "/up"]) == 1
    assert "no image topic '/up'; image topics in it: /left, /right" in capsys.readouterr().err


def test_what_is_lost_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = made.cut(made.bag(tmp_path / "run", made.images(0, 6), made.MCAP), 0.5)
    assert tubes(path) == 0
    captured = capsys.readouterr()
    assert "on 3 images" in captured.out
    assert "stvg-ros tubes: run.mcap: ends early" in captured.err
    assert "stvg-ros tubes: 3 images lost" in captured.err
    assert "stvg-ros tubes: 3 images read" in captured.err


@pytest.mark.parametrize("end", ["run.mcap", "run.db3"])
def test_a_bags_own_file(end: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugin = made.MCAP if end.endswith("mcap") else made.SQLITE
    made.bag(tmp_path / "run", {TOPIC: (IMAGE, made.images(0, 6))}, plugin)
    assert tubes(tmp_path / "run" / end) == 0
    assert "on 6 images" in capsys.readouterr().out
