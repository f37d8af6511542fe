# SPDX-License-Identifier: Apache-2.0

"""Names that a file system allows: the commands read and write files of each of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from recordings import SquareGrounder, annotate, entry, square_bag, square_frame

import stvg_ros.build
from stvg_lab.datasets.annotations import read_annotations
from stvg_ros.cli.main import main
from stvg_ros.io.video import write_video

NAMES = (
    "two words", "ünï人", "10:30", "http:a", "pipe:0", "concat:a|b", "-dash", ".hidden", "~",
    "$HOME", "50%d", "[x]*?", "{0}", "q'uo\"te", "a\\b", "a;b", "#?a=b&c", " blanks ", "new\nline",
    "\u202eback", "x" * 200, "人" * 66, os.fsdecode(b"not \xff utf-8"),
)  # fmt: skip
NAMED = pytest.mark.parametrize("name", NAMES, ids=ascii)


@pytest.fixture
def toy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> Iterator[None]:
    monkeypatch.setattr(stvg_ros.build, "build_grounder", lambda config: SquareGrounder(0.5))
    monkeypatch.chdir(tmp_path)
    yield
    capfdbinary.readouterr()  # pytest-xdist cannot send output that is not UTF-8


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
