# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros evaluate`, with a grounder that needs no model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_datasets as tiny
from paths import ROOT
from recordings import SquareGrounder, annotate, entry, square_bag

import stvg_ros.build
from stvg_lab.runs.records import read_results
from stvg_ros.cli.main import main

SETTINGS = ["--set", "window.duration_s=2", "--set", "window.max_rate_hz=0"]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> SquareGrounder:
    grounder = SquareGrounder(share=0.5)
    monkeypatch.setattr(stvg_ros.build, "build_grounder", lambda config: grounder)
    return grounder


def material(folder: Path, count: int = 6) -> Path:
    square_bag(folder / "run")
    entries = [entry(f"{n}", n, n + 12, 12 + 2 * n) for n in range(count)]
    return annotate(folder / "run.json", "run", *entries)


def evaluate(out: Path, *arguments: object) -> int:
    return main(["evaluate", *map(str, arguments), "--out", str(out), *SETTINGS])


def tables(out: Path) -> dict:
    """The summary without what was timed."""
    values = json.loads((out / "summary.json").read_text())
    for group in values["groups"]:
        del group["latency_s"]
    return values


def test_a_bag(tmp_path: Path, toy: SquareGrounder, capsys: pytest.CaptureFixture[str]) -> None:
    path = material(tmp_path)
    out = tmp_path / "out"
    assert evaluate(out, "--annotations", path) == 0
    said = capsys.readouterr().out
    assert "run: 6 samples of 1 recording (6 found)" in said
    assert "6 of 6 samples done" in said
    assert "whole window" in said and "best track true span" in said
    assert {item.name for item in out.iterdir()} == {
        "config.json", "environment.json", "results.jsonl", "summary.json",
        "report.html", "report.json", "report.csv",
    }  # fmt: skip
    config = json.loads((out / "config.json").read_text())
    assert (config["kind"], config["convention"]) == ("bag", "frames")
    assert config["settings"]["window.duration_s"] == 2
    environment = json.loads((out / "environment.json").read_text())
    assert len(environment["model"]["sha256"]) == 64
    assert environment["versions"]["numpy"][0].isdigit()
    assert len(toy.clips) == 6
    # Again: nothing is left to do.
    assert evaluate(out, "--annotations", path) == 0
    assert "6 of 6 samples are done" in capsys.readouterr().out
    assert len(toy.clips) == 6


def test_a_data_set(
    tmp_path: Path, toy: SquareGrounder, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.vidstg(tmp_path / "vidstg")
    arguments = ["--data", "vidstg", "--root", tmp_path / "vidstg", "--set", "window.max_rate_hz=4"]
    assert main(["evaluate", *map(str, arguments), "--out", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert "VidSTG test: 4 queries of 10303 published" in captured.err
    assert "VidSTG declarative: 2 samples" in captured.out
    assert "all: 4 samples" in captured.out


def test_parts_together_give_the_table_of_the_whole(tmp_path: Path, toy: SquareGrounder) -> None:
    path = material(tmp_path)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert evaluate(whole, "--annotations", path, "--limit", 5) == 0
    for part in ("2/3", "1/3", "3/3"):
        assert evaluate(parts, "--annotations", path, "--limit", 5, "--shard", part) == 0
    assert sorted(item.name for item in parts.glob("results*")) == [
        "results.1-of-3.jsonl", "results.2-of-3.jsonl", "results.3-of-3.jsonl",
    ]  # fmt: skip
    assert tables(parts) == tables(whole)
    assert tables(whole)["planned"] == 5
    # More of the same run.
    assert evaluate(whole, "--annotations", path) == 0
    assert tables(whole)["done"] == 6


def test_failures_do_not_stop_a_run(
    tmp_path: Path, toy: SquareGrounder, capsys: pytest.CaptureFixture[str]
) -> None:
    good = material(tmp_path, 2)
    gone = annotate(tmp_path / "gone.json", "gone", entry("a", 1, 5))
    assert evaluate(tmp_path / "out", "--annotations", gone, good) == 0
    assert "1 failed, each counts 0:" in capsys.readouterr().out
    # Everything failed.
    assert evaluate(tmp_path / "none", "--annotations", gone) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected either --data with --root, or --annotations"),
        (["--data", "vidstg"], "--root: expected the folder or zip file of vidstg"),
    ],
)
def test_arguments_that_do_not_fit(
    tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(tmp_path / "out", *arguments) == 2
    assert said in capsys.readouterr().err
    with pytest.raises(SystemExit):
        evaluate(tmp_path / "out", "--shard", "3/2")
    assert "expected I/N with I from 1 to N, such as 2/4, got '3/2'" in capsys.readouterr().err


def test_another_run_is_not_mixed_in(
    tmp_path: Path, toy: SquareGrounder, capsys: pytest.CaptureFixture[str]
) -> None:
    path = material(tmp_path, 2)
    out = tmp_path / "out"
    assert evaluate(out, "--annotations", path) == 0
    assert evaluate(out, "--annotations", path, "--convention", "paper") == 2
    assert "holds another run (convention 'frames' there, 'paper' now)" in capsys.readouterr().err
    environment = out / "environment.json"
    environment.write_text(environment.read_text().replace('"sha256": "', '"sha256": "0'))
    (out / "results.jsonl").write_text("")
    assert evaluate(out, "--annotations", path) == 2
    assert "began with other weights" in capsys.readouterr().err


SLOW_RUN = """
import sys, time
sys.path.insert(0, {tests!r})
import stvg_ros.build
from recordings import SquareGrounder
from stvg_ros.cli.main import main

class Slow(SquareGrounder):
    def ground(self, *arguments):
        time.sleep({pause})
        return super().ground(*arguments)

stvg_ros.build.build_grounder = lambda config: Slow(0.5)
sys.exit(main({arguments!r}))
"""


def test_a_killed_run_goes_on_and_gives_the_same_table(tmp_path: Path, toy: SquareGrounder) -> None:
    path = material(tmp_path)
    out, whole = tmp_path / "out", tmp_path / "whole"
    script = SLOW_RUN.format(
        tests=str(ROOT / "test" / "support"), pause=0.4,
        arguments=["evaluate", "--annotations", str(path), "--out", str(out), *SETTINGS],
    )  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    results = out / "results.jsonl"
    end = time.monotonic() + 120
    while not (results.exists() and results.read_bytes().count(b"\n") >= 2):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(read_results(out))
    assert 2 <= done < 6
    with results.open("ab") as file:  # as if the kill had come in the middle of a write
        file.write(b'{"id": "run/')
    assert evaluate(out, "--annotations", path) == 0
    assert len(toy.clips) == 6 - done
    assert evaluate(whole, "--annotations", path) == 0
    assert tables(out) == tables(whole)


def test_failed_samples_are_tried_again(
    tmp_path: Path, toy: SquareGrounder, capsys: pytest.CaptureFixture[str]
) -> None:
    path = annotate(tmp_path / "run.json", "run", entry("a", 1, 9), entry("b", 2, 9))
    out = tmp_path / "out"
    assert evaluate(out, "--annotations", path) == 1  # the recording is not there
    square_bag(tmp_path / "run")
    capsys.readouterr()
    assert evaluate(out, "--annotations", path, "--keep-failed") == 1
    assert "2 of 2 samples are done" in capsys.readouterr().out
    assert evaluate(out, "--annotations", path) == 0
    assert "2 samples that failed are tried again; --keep-failed" in capsys.readouterr().out
    assert {result.outcome for result in read_results(out)} == {"found"}
    assert tables(out)["failures"] == []
    assert evaluate(out, "--annotations", path) == 0
    assert "tried again" not in capsys.readouterr().out


def test_a_failure_of_another_part_does_not_replace_an_answer(
    tmp_path: Path, toy: SquareGrounder
) -> None:
    """Shards' files come in the order of their names, not of time."""
    path = annotate(tmp_path / "run.json", "run", entry("a", 1, 9))
    out = tmp_path / "out"
    assert evaluate(out, "--annotations", path) == 1  # in results.jsonl, which is read last
    square_bag(tmp_path / "run")
    assert evaluate(out, "--annotations", path, "--shard", "1/1") == 0
    assert [result.outcome for result in read_results(out)] == ["found"]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--model", "/no/such/model"],
        ["--model", "no/such-hub-id"],
        ["--set", "proposals.source=people_detector", "--set", "proposals.people_detector=none"],
        ["--model", "."],
        ["--model", "run.json"],
        ["--set", "model.device=teapot"],
        ["--set", "model.quantization=3bit"],
        ["--set", "sampling.frames=-1"],
        ["--set", "span.topk=3"],
        ["--set", "proposals.source=open_vocabulary", "--set", "proposals.detector=none"],
        ["--set", "attention.first_layer=90"],
        ["--split", "nowhere", "--data", "vidstg"],
    ],
)
def test_a_command_that_fails_before_the_first_sample_leaves_nothing_that_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: list[str]
) -> None:
    path = material(tmp_path, 1)
    out = tmp_path / "out"
    assert evaluate(out, "--annotations", path, *wrong) != 0
    assert not (out / "config.json").exists()
    monkeypatch.setattr(stvg_ros.build, "build_grounder", lambda config: SquareGrounder())
    assert evaluate(out, "--annotations", path) == 0


WRONG_AT_EACH_SAMPLE = {
    "topic": ["--topic", "/nowhere"],
    "bag": ["--bag", "nowhere"],
    "a video": ["--bag", "run.json"],
    "a device": ["--bag", "/dev/null"],
    "an address": ["--bag", "rtsp://camera/live"],
    "an empty folder": ["--bag", "out2"],
    "another folder": ["--bag", "."],
    "long side": ["--topic", "/nowhere", "--set", "window.long_side_px=32"],
    "evidence": ["--topic", "/nowhere", "--evidence"],
    "convention": ["--topic", "/nowhere", "--convention", "paper"],
}


@pytest.mark.parametrize("name", WRONG_AT_EACH_SAMPLE)
@pytest.mark.parametrize("shard", [[], ["--shard", "1/1"]])
def test_a_run_of_failures_alone_does_not_block_the_corrected_command(
    tmp_path: Path, toy: SquareGrounder, monkeypatch, name: str, shard: list[str]
) -> None:
    path = material(tmp_path, 2)
    (tmp_path / "out2").mkdir()
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    assert evaluate(out, "--annotations", path, *WRONG_AT_EACH_SAMPLE[name]) == 1
    assert {result.outcome for result in read_results(out)} == {"failed"}
    assert evaluate(out, "--annotations", path, *shard) == 0
    assert {result.outcome for result in read_results(out)} == {"found"}
    assert tables(out)["failures"] == []
    # An answer is kept, whatever else failed.
    assert evaluate(out, "--annotations", path, *WRONG_AT_EACH_SAMPLE[name]) == 2


def test_a_configuration_without_a_result_is_replaced(tmp_path: Path, toy: SquareGrounder) -> None:
    path = material(tmp_path, 1)
    out = tmp_path / "out"
    assert evaluate(out, "--annotations", path) == 0
    (out / "results.jsonl").unlink()
    (out / "environment.json").write_text('{"model": {"sha256": "other"}}')
    assert evaluate(out, "--annotations", path, "--convention", "paper") == 0
    assert json.loads((out / "config.json").read_text())["convention"] == "paper"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", "{}"),
        ("config.json", '{"format": "mine"}'),
        ("config.json", "[]"),
        ("environment.json", "{}"),
        ("summary.json", "{}"),
        ("results.jsonl", "{}"),
        ("results.1-of-2.jsonl", "{}"),
        ("report.html", "<!doctype html>"),
        ("report.json", "{}"),
        ("report.json", "[]"),
        ("report.csv", "id,name"),
        ("report.csv", ""),
    ],
)
def test_a_folder_with_files_of_others_is_left_alone(
    tmp_path: Path, toy: SquareGrounder, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    path = material(tmp_path, 1)
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text(text)
    assert evaluate(out, "--annotations", path) != 0
    said = capsys.readouterr().err
    assert name in said and "another" in said
    assert (out / name).read_text() == text
    assert [item.name for item in out.iterdir()] == [name]
    assert toy.clips == []


def test_one_recording_for_several_annotation_files(tmp_path: Path, toy: SquareGrounder) -> None:
    square_bag(tmp_path / "moved")
    first = annotate(tmp_path / "first.json", "gone", entry("a", 1, 9))
    second = annotate(tmp_path / "second.json", "", entry("a", 2, 9), entry("b", 3, 9))
    out = tmp_path / "out"
    arguments = ("--annotations", first, second, "--bag", tmp_path / "moved")
    assert evaluate(out, *arguments) == 0
    assert {result.id for result in read_results(out)} == {"first/a", "second/a", "second/b"}
    assert len(toy.clips) == 3
