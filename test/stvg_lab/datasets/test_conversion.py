# SPDX-License-Identifier: Apache-2.0

import json
from contextlib import closing
from pathlib import Path

import damaged_recordings as made
import numpy as np
import pytest
import tiny_datasets as tiny
from recordings import SIZE, SquareGrounder, annotate, box_at, entry, square_bag

from stvg_lab.datasets import open_dataset
from stvg_lab.datasets.annotations import Entry, read_annotations
from stvg_lab.datasets.samples import annotated_samples
from stvg_lab.runs.runner import EvaluationSettings, evaluate
from stvg_ros.cli.main import main
from stvg_ros.io.image_messages import COMPRESSED
from stvg_ros.io.outputs import PART
from stvg_ros.io.recording import open_recording
from stvg_ros.window import WindowConfig

JOB = EvaluationSettings(WindowConfig(duration_s=60.0, max_rate_hz=5.0, long_side_px=160))


def convert(*arguments: object) -> int:
    return main(["convert", *map(str, arguments)])


def test_a_data_set_as_bags_gives_the_same_scores(tmp_path: Path) -> None:
    tiny.vidstg(tmp_path / "vidstg")
    out = tmp_path / "bags"
    asked = ("--data", "vidstg", "--root", tmp_path / "vidstg", "--out", out)
    assert convert(*asked) == 0
    files = sorted(out.glob("*.json"))
    assert len(files) == 2
    data = open_dataset("vidstg", tmp_path / "vidstg")
    direct = {r.id: r for r in evaluate(data.samples, SquareGrounder(0.5), JOB)}
    samples = [sample for file in files for sample in annotated_samples(file)]
    through = {r.id.partition("/")[2]: r for r in evaluate(samples, SquareGrounder(0.5), JOB)}
    assert through.keys() == direct.keys()
    for name, result in through.items():
        assert len(result.stamps_ns) == len(direct[name].stamps_ns)
        assert vars(result.scores["answer"]) == pytest.approx(
            vars(direct[name].scores["answer"]), abs=1e-3
        )
    # Again: what is there stays.
    times = [file.stat().st_mtime_ns for file in files]
    assert convert(*asked) == 0
    assert [file.stat().st_mtime_ns for file in files] == times


def test_bags_in_another_storage_and_what_cannot_be_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.hcstvg(tmp_path / "data", "v1", "test")
    (tmp_path / "data" / "video" / "3_scene.mp4").write_bytes(b"nothing")
    out = tmp_path / "bags"
    (out / "7_scene.part").mkdir(parents=True)  # somebody's
    left = out / f".7_scene.99999999{PART}"  # of a conversion that was killed
    left.mkdir()
    assert convert(
        "--data", "hcstvg-v1", "--root", tmp_path / "data", "--out", out, "--storage", "sqlite3",
        "--compressed",
    ) == 1  # fmt: skip
    captured = capsys.readouterr()
    assert "1 bags with their annotation files" in captured.out
    assert "not converted: 3_scene.mp4: " in captured.err
    with closing(open_recording(out / "7_scene")) as bag:
        assert bag.type == COMPRESSED
    assert (out / "7_scene.part").exists() and not left.exists()
    (item,) = read_annotations(out / "7_scene.json").entries
    assert len(item.key_frames) == tiny.question(7)[1].span.sum()


@pytest.mark.parametrize("layout", ["hcstvg-v1", "hcstvg-v2"])
def test_annotated_bags_as_a_data_set(
    tmp_path: Path, layout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    square_bag(tmp_path / "run")
    path = annotate(
        tmp_path / "run.json", "run", entry("a", 5, 14, 19), entry("b", 12, 20),
        Entry("dog", "the dog", None),
    )  # fmt: skip
    out = tmp_path / "data"
    assert convert("--annotations", path, "--to", layout, "--seconds", 1.5, "--out", out) == 0
    captured = capsys.readouterr()
    assert "2 videos" in captured.out
    assert f"1 absent targets are left out: {layout} has no place for them" in captured.out
    data = open_dataset(layout, out)
    assert data.notes == ()
    assert [sample.id for sample in data.samples] == ["run_a.mp4", "run_b.mp4"]
    assert data.missing == () and not any(sample.problem for sample in data.samples)
    # Frames 4..19 and 14..29 of the bag; true from 5 and from 14 (12 is before the video).
    first, second = evaluate(data.samples, SquareGrounder(), JOB)
    assert (len(first.stamps_ns), len(second.stamps_ns), first.size_px) == (16, 16, SIZE)
    assert np.flatnonzero(first.truth.span).tolist() == list(range(1, 11))
    assert np.flatnonzero(second.truth.span).tolist() == list(range(7))
    assert first.truth.boxes_xyxy_px[1].tolist() == pytest.approx(box_at(5))
    assert np.diff(first.stamps_ns).tolist() == pytest.approx([1e8] * 15, rel=1e-3)
    file = "test.json" if layout == "hcstvg-v1" else "val_v2.json"
    values = json.loads((out / file).read_text())["run_a.mp4"]
    assert (values["st_frame"], values["img_num"], values["st_time"]) == (2, 16, 0.1)


def test_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert("--out", tmp_path) == 2
    assert "expected either --data with --root, or --annotations" in capsys.readouterr().err
    assert convert("--out", tmp_path, "--data", "vidstg") == 2
    assert "--root: expected the folder or zip file of vidstg" in capsys.readouterr().err


def only_absent(folder: Path) -> Path:
    square_bag(folder / "run")
    return annotate(folder / "run.json", "run", Entry("dog", "the dog", None))


@pytest.mark.parametrize("layout", ["hcstvg-v1", "hcstvg-v2"])
def test_nothing_is_written_where_nothing_converts(
    tmp_path: Path, layout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "data"
    path = only_absent(tmp_path)
    assert convert("--annotations", path, "--to", layout, "--out", out) == 1
    assert "no sentence has a target that is there" in capsys.readouterr().err
    assert not out.exists()


def taken(out: Path, name: str) -> Path:
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("/"):
        path.mkdir()
        (path / "mine").write_text("by hand")
        return path / "mine"
    path.write_text("by hand")
    return path


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("hcstvg-v1", "test.json"),
        ("hcstvg-v2", "val_v2.json"),
        ("hcstvg-v1", "video/run_a.mp4"),
        ("hcstvg-v2", "video/run_a.mp4"),
        ("hcstvg-v1", "test.json/"),
        ("hcstvg-v1", "video/run_a.mp4/"),
    ],
)
def test_a_data_set_that_is_there_is_not_replaced(
    tmp_path: Path, layout: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    square_bag(tmp_path / "run")
    path = annotate(tmp_path / "run.json", "run", entry("a", 5, 14, 19))
    mine = taken(tmp_path / "data", name)
    assert convert("--annotations", path, "--to", layout, "--out", tmp_path / "data") != 0
    assert "nothing is replaced" in capsys.readouterr().err
    assert mine.read_text() == "by hand"


@pytest.mark.parametrize("name", ["7_scene/", "7_scene.json", "7_scene", "7_scene.json/"])
def test_bags_that_are_there_are_not_replaced(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.hcstvg(tmp_path / "data", "v1", "test")
    mine = taken(tmp_path / "bags", name)
    asked = ("--data", "hcstvg-v1", "--root", tmp_path / "data", "--out", tmp_path / "bags")
    assert convert(*asked) == 1
    said = capsys.readouterr()
    assert "1 bags with" in said.out and "nothing is replaced" in said.err
    assert mine.read_text() == "by hand"


def test_the_own_output_is_replaced_and_is_not_odd(tmp_path: Path) -> None:
    square_bag(tmp_path / "run")
    out = tmp_path / "data"
    for last in (14, 16):
        path = annotate(tmp_path / "run.json", "run", entry("a", 5, last, 19))
        assert convert("--annotations", path, "--out", out) == 0
        data = open_dataset("hcstvg-v1", out)
        assert (data.notes, data.missing) == ((), ())
        (sample,) = data.samples
        assert sample.rate_hz == pytest.approx(10.0, rel=1e-3)
        assert sample.duration_s == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize("share", [0.55, 0.8])
def test_a_damaged_recording_is_converted_as_far_as_it_goes(tmp_path: Path, share: float) -> None:
    square_bag(tmp_path / "run")
    made.cut(tmp_path / "run", share)
    path = annotate(tmp_path / "run.json", "run", entry("a", 2, 9, 12))
    out = tmp_path / "data"
    asked = ("--annotations", path, "--to", "hcstvg-v1", "--seconds", 1.0, "--out", out)
    assert convert(*asked) == 0
    (sample,) = open_dataset("hcstvg-v1", out).samples
    (result,) = evaluate([sample], SquareGrounder(), JOB)
    assert (result.outcome, len(result.stamps_ns)) == ("found", 11)
