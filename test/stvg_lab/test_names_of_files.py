# SPDX-License-Identifier: Apache-2.0

"""Names that a file system allows: the commands read and write files of each of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import recordings
from recordings import SquareGrounder, annotate, entry, square_bag, square_frame

import stvg_ros.build
from stvg_lab.datasets.annotations import read_annotations
from stvg_ros.cli.main import main
from stvg_ros.io.video import write_video

NAMES = (
    "two words", "ünï人", "10:30", "http:a", "pipe:0", "concat:a|b", "-dash", ".hidden", "~",
    "$HOME", "50%d", "[x]*?", "{0}", "q'uo\"te", "a\\b", "a;b", "#?a=b&c", " blanks ", "new\nline",
    "\u202eback", "x" * 200, "人" * 66,
)  # fmt: skip
# `main` with the toy grounder, in a process of its own.
PROGRAM = """
import sys, stvg_ros.build
from recordings import SquareGrounder
from stvg_ros.cli.main import main
stvg_ros.build.build_grounder = lambda config: SquareGrounder(0.5)
sys.exit(main(sys.argv[1:]))
"""
NAMED = pytest.mark.parametrize("name", NAMES, ids=ascii)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stvg_ros.build, "build_grounder", lambda config: SquareGrounder(0.5))
    monkeypatch.chdir(tmp_path)


@NAMED
@pytest.mark.usefixtures("toy")
def test_a_video_is_grounded_and_its_outputs_are_written(name: str) -> None:
    frames = [square_frame(number) for number in range(6)]
    write_video("a.mp4", [f.image for f in frames], [f.stamp_ns for f in frames])
    Path("a.mp4").rename(f"{name}.mp4")
    for _ in range(2):
        assert main(["ground", "--out", f"out/{name}", "--", f"{name}.mp4", "the red square"]) == 0
    (found, *_) = json.loads(Path("out", name, "tube.json").read_text("utf-8"))["tubes"]
    assert len(found["boxes"]) == 3


@NAMED
@pytest.mark.usefixtures("toy")
def test_a_bag_is_evaluated_and_reported(name: str) -> None:
    square_bag(Path("bag"), 12).rename(name)
    annotations = annotate(Path(f"{name}.json"), name, entry("a", 1, 9))
    assert read_annotations(annotations).recording == name
    given = f"--annotations=./{name}.json", f"--out=out/{name}"
    for _ in range(2):
        assert main(["evaluate", *given, "--set", "window.max_rate_hz=0"]) == 0
    summary = json.loads(Path("out", name, "summary.json").read_text("utf-8"))
    assert (summary["done"], summary["failures"]) == (1, [])
    for _ in range(2):
        assert main(["report", f"--out=reports/{name}.html", "--", f"out/{name}"]) == 0
    assert Path("reports", f"{name}.html").stat().st_size > 1000


@pytest.mark.usefixtures("toy")
def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"not \xff utf-8")
    square_bag(Path("bag"), 12).rename(name)
    annotate(Path(f"{name}.json"), name, entry("a", 1, 9))
    environment = {**os.environ, "PYTHONPATH": str(Path(recordings.__file__).parent)}
    for arguments in (
        ["ground", f"--out=ground/{name}", "--", name, "the red square"],
        ["evaluate", f"--annotations=./{name}.json", f"--out=out/{name}"],
        ["report", f"--out=reports/{name}.html", "--", f"out/{name}"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments], env=environment, capture_output=True
        )
        assert done.returncode == 0, ascii(done.stderr)
    assert Path("ground", name, "tube.json").stat().st_size > 100
    assert Path("reports", f"{name}.html").stat().st_size > 1000
