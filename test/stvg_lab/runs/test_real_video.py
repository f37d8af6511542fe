# SPDX-License-Identifier: Apache-2.0

"""Sentences about a real video, answered among everybody's true boxes and by default.

`make real` fetches the video, asks all sentences, and writes the table of docs/real_video.md;
otherwise those about the first eight seconds are asked.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT, VTEST, shared

from stvg_lab.datasets.annotations import FORMAT
from stvg_lab.runs.losses import HEAD, loss_rows
from stvg_lab.runs.records import Result, read_json, read_results
from stvg_ros.cli.main import main

WHOLE = os.environ.get("STVG_ROS_REAL") == "all"
PAGE = ROOT / "docs/real_video.md"
BEGIN, END = "<!-- table: make real -->\n", "<!-- end of the table -->\n"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def with_tracks(path: Path) -> Path:
    """The annotation file with everybody who was marked, of all its windows."""
    values = json.loads(shared("real/vtest.json").read_text(encoding="utf-8"))
    assert values["format"] == FORMAT
    windows = json.loads(shared("real/tracks/vtest.json").read_text(encoding="utf-8"))
    values["tracks"] = {
        f"{window} {name}": [
            {"stamp_ns": round(1e9 * second), "box_xyxy_px": box} for second, *box in rows
        ]
        for window, people in windows.items()
        for name, rows in people.items()
    }
    if not WHOLE:
        values["entries"] = [entry for entry in values["entries"] if entry["id"].startswith("a")]
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of two runs: among the true tubes, and with all defaults."""
    if not VTEST.exists():
        pytest.skip("vtest.avi is not here: run make real, or install Debian's opencv-doc")
    folder = tmp_path_factory.mktemp("real")
    given = ["evaluate", "--annotations", str(with_tracks(folder / "vtest.json"))]
    given += ["--bag", str(VTEST)]
    assert main([*given, "--tubes", "true", "--out", str(folder / "true")]) == 0
    assert main([*given, "--out", str(folder / "default")]) == 0
    return {"true tubes": folder / "true", "default": folder / "default"}


def group(run: Path) -> dict[str, Any]:
    (found,) = read_json(run / "summary.json")["groups"]
    return dict(found)


def present(run: Path) -> list[Result]:
    return [result for result in read_results(run) if result.truth is not None]


def test_true_boxes_lose_nothing_to_the_tubes(runs: dict[str, Path]) -> None:
    found = group(runs["true tubes"])
    assert (found["samples"], found["present"]) == ((18, 12) if WHOLE else (6, 4))
    assert "failed" not in found["outcomes"]
    *_, everything = found["losses"]
    assert everything["kind"] == "all"
    assert everything["tubes"] < 0.02
    assert everything["choices"] == found["present"]


def test_a_person_who_comes_or_leaves_is_answered_with_the_time_in_view(
    runs: dict[str, Path],
) -> None:
    right = [
        result
        for result in present(runs["true tubes"])
        if result.kind == "attribute" and result.choice is not None and result.choice.right
    ]
    assert right
    for result in right:
        # A sentence's own marks may go on for some frames after its window's tracks end.
        marked = result.scores["own_track_true_span"].v_iou
        assert result.scores["answer"].t_iou > marked - 0.02
        assert marked > 0.95


def test_every_answer_names_the_limits_of_the_embedded_model(runs: dict[str, Path]) -> None:
    for result in read_results(runs["default"]):
        tube = result.tubes[0]
        assert "these pictures are not rendered" in tube.warning
        assert not tube.calibrated
        if "jeans" in result.query:
            assert "the embedded model does not know: jeans" in tube.warning


def test_the_right_person_is_found_among_the_true_boxes(runs: dict[str, Path]) -> None:
    choices = [result.choice for result in present(runs["true tubes"])]
    assert sum(choice.right for choice in choices if choice) >= 0.75 * len(choices)


def table(runs: dict[str, Path]) -> str:
    """Losses of both runs by kind of sentence, and what happens to absent targets."""
    lines = ["| " + " | ".join(["candidates, sentences", *HEAD]) + " |", "| --- " * 9 + "|"]
    for name, run in runs.items():
        lines += [
            "| " + " | ".join([f"{name}, {kind}", *cells]) + " |"
            for kind, *cells in loss_rows(group(run)["losses"])
        ]
    lines.append("")
    for name, run in runs.items():
        absent = group(run)["absent"]
        lines.append(
            f"{name.capitalize()}: {100 * absent['refused']:.0f} % of {absent['samples']} absent "
            f"targets refused, AUROC {absent['auroc']:.2f}."
        )
    return "\n".join(lines) + "\n"


@pytest.mark.skipif(not WHOLE, reason="make real asks all sentences and writes the table")
def test_the_table_of_the_docs(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    text = table(runs)
    with capsys.disabled():
        print(f"\n{text}")  # noqa: T201
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    assert before
    assert after
    PAGE.write_text(f"{before}{BEGIN}{text}{END}{after}", encoding="utf-8")
