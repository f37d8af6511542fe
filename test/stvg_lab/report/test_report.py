# SPDX-License-Identifier: Apache-2.0

"""The report's three files, from results made by hand and with pictures of a small bag."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from recordings import annotate, entry, square_bag, stamp
from report_runs import (
    COUNT,
    STAMPS,
    absent,
    failed,
    found,
    run_of,
    truth,
    tube,
)

from stvg_lab.datasets.samples import annotated_samples
from stvg_lab.report import COLUMNS, worst_first, write_report
from stvg_lab.report.fragments import flat
from stvg_lab.report.pictures import draw, shown_stamps
from stvg_lab.runs.records import write_json
from stvg_ros.cli.main import main
from stvg_ros.errors import RecordingError
from stvg_ros.io.recording import Source


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return square_bag(tmp_path_factory.mktemp("bags") / "run1", COUNT)


@pytest.fixture
def run(bag: Path, tmp_path: Path) -> Path:
    return run_of(
        tmp_path / "monday", found(bag), found(bag, "bad", 0.1), failed(bag),
        absent(bag, "alarm", "found"), absent(bag, "quiet", "not_found"),
    )  # fmt: skip


class Checked(HTMLParser):
    """Counts tags and fails when they do not nest."""

    VOID = ("meta", "link", "img", "!doctype")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page(run: Path) -> None:
    out = run / "report.html"
    assert write_report(run, out) == (out, run / "report.json", run / "report.csv")
    text = out.read_text(encoding="utf-8")
    counts = Checked(text).counts
    assert "5 samples in 2 recordings with the model tiny: 3 found, 1 not found, 1 failed" in text
    assert "the square &lt;that&gt; moves" in text
    assert "cut.mcap: cannot be read &amp; repaired" in text
    assert text.count('id="bad"') == 1
    order = re.findall(r'<li id="(\w+)"', text)
    assert order == ["broken", "alarm", "bad", "good", "quiet"]
    # Frames are shown inside both spans and over the whole: eight, where no two are alike.
    assert 16 <= counts["img"] <= 32
    assert "true 1.0 to 1.9 s, predicted 0.8 to 2.0 s" in text
    assert "true none, predicted 0.0 to 0.4 s" in text
    assert text.count("2 samples without a target, of which 50.0 % were not found") == 2
    assert text.count('<th scope="row">kitchen</th>') == 1
    assert text.count('<th scope="row">answer</th>') == 3  # all, kitchen, office
    assert "<script" not in text
    assert not re.search(r'(?:src|href)="(?!data:)', text)


def test_the_numbers(run: Path) -> None:
    write_report(run, run / "report.html")
    values = json.loads((run / "report.json").read_text(encoding="utf-8"))
    groups = {group["name"]: group for group in values["groups"]}
    kitchen, office, everything = groups["kitchen"], groups["office"], groups["all"]
    assert kitchen["scores"]["answer"]["m_vIoU"]["mean"] == pytest.approx(0.35)
    assert (office["present"], office["absent"]["refused"]) == (1, 0.5)
    assert everything["samples"] == 5
    assert values["samples"][0]["id"] == "broken"
    with (run / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert list(rows["good"]) == list(COLUMNS)
    good = rows["good"]
    assert (good["t_iou"], good["whole_window_v_iou"], good["ground_s"]) == ("0.8", "0.2", "1.5")
    assert (good["true_start_s"], good["true_end_s"], good["found_end_s"]) == ("1.0", "1.9", "2.0")
    assert (rows["quiet"]["v_iou"], rows["broken"]["v_iou"]) == ("", "0")
    assert rows["broken"]["error"] == "cut.mcap: cannot be read & repaired"


def test_worst_first_of_nothing_and_of_ties(bag: Path) -> None:
    assert worst_first([]) == []
    names = [r.id for r in worst_first([found(bag, "b", 0.0), failed(bag), found(bag, "a", 0.0)])]
    assert names == ["broken", "a", "b"]


def test_boxes_and_heat_are_drawn(bag: Path) -> None:
    both, reasons = draw([found(bag)], 10**9)
    plain, _ = draw([replace(found(bag), evidence=None, tubes=(), truth=None)], 10**9)
    assert reasons == {}
    times = [picture.time_s for picture in both["good"]]
    assert times == sorted(times)
    assert both["good"][0].about == "0.0 s: no box"
    inside = [picture for picture in both["good"] if 1.0 <= picture.time_s <= 1.9]
    assert len(inside) >= 2
    assert {picture.about.split(": ")[1] for picture in inside} == {"predicted and true boxes"}
    assert {picture.about.split(": ")[1] for picture in plain["good"]} == {"no box"}
    assert both["good"][0].jpeg != plain["good"][0].jpeg  # the heat


def test_frames_of_a_short_span_are_shown(bag: Path) -> None:
    result = replace(found(bag), truth=truth(25, 25), tubes=(tube(2, 4),))
    shown = set(shown_stamps(result).tolist())
    assert stamp(25) in shown
    assert {stamp(2), stamp(3), stamp(4)} & shown
    assert {stamp(0), stamp(29)} <= shown


def test_pictures_that_cannot_be_had_have_a_reason(bag: Path, tmp_path: Path) -> None:
    gone = replace(found(bag, "gone"), source=Source(str(tmp_path / "gone")))
    other = replace(found(bag, "other"), stamps_ns=STAMPS + 7)
    drawn, reasons = draw([found(bag), gone, other, failed(bag)], 10**9)
    assert list(drawn["good"]) and not drawn.get("gone") and not drawn.get("other")
    assert "no such recording" in reasons["gone"]
    assert "has no images at the frames of the run" in reasons["other"]
    assert reasons["broken"] == "no frame of it could be read"


def test_pictures_are_found_from_another_folder(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotate(bag.parent / "run1.json", "run1", entry("q1", 2, 8))
    monkeypatch.chdir(bag.parent)
    (sample,) = annotated_samples(Path("run1.json"))
    monkeypatch.chdir(tmp_path)
    drawn, reasons = draw([replace(found(bag), source=sample.source)], 10**9)
    assert drawn["good"] and not reasons


def test_pictures_are_bounded(bag: Path) -> None:
    full, _ = draw([found(bag)], 10**9)
    size = sum(len(picture.jpeg) for picture in full["good"])
    some, reasons = draw([found(bag, "a"), found(bag, "b")], size)
    assert list(some) == ["a"]
    assert reasons == {"b": "left out to bound the size of this file"}


def test_a_run_that_is_not_finished(bag: Path, tmp_path: Path) -> None:
    folder = run_of(tmp_path / "run", found(bag))
    write_json(folder / "summary.json", {"planned": 10})
    write_report(folder, folder / "report.html", pictures=0)
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "Not finished: 9 more to do." in text
    assert "<img" not in text
    assert "1 sample in 1 recording " in text


def test_only_absent_targets(bag: Path, tmp_path: Path) -> None:
    folder = run_of(tmp_path / "run", absent(bag, "quiet", "not_found"))
    write_report(folder, folder / "report.html")
    assert "of which 100.0 % were not found" in (folder / "report.html").read_text("utf-8")


def test_wrong_arguments(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RecordingError, match="expected the folder of a run"):
        write_report(tmp_path, tmp_path / "report.html")
    with pytest.raises(RecordingError, match="choose one that ends in .html"):
        write_report(run, run / "report.csv")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "results.jsonl").touch()
    assert main(["report", str(tmp_path / "empty")]) == 1
    assert "has no results yet" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["report", str(run), "--out", str(tmp_path / "file" / "r.html")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_the_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "monday.html"
    assert main(["report", str(run), "--out", str(out), "--pictures", "1"]) == 0
    printed = capsys.readouterr().out.split()
    assert printed == [str(out.with_suffix(end)) for end in (".html", ".json", ".csv")]
    assert all(Path(path).stat().st_size for path in printed)


def test_nested_facts_become_dotted_names() -> None:
    assert flat({"a": {"b": 1, "c": [2]}, "d": None}) == [
        ("a.b", "1"),
        ("a.c", "[2]"),
        ("d", "None"),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run1.html", ""),
        ("run1.html", "<!doctype html><html><body>mine</body></html>"),
        ("run1.json", "{}"),
        ("run1.json", "[]"),
        ("run1.json", "no JSON"),
        ("run1.json", '{"format": "stvg_ros annotations 1", "entries": []}'),
        ("run1.json", '{"format": null}'),
        ("run1.csv", ""),
        ("run1.csv", "id,name"),
        ("run1.csv", "1,2,3"),
    ],
)
def test_hand_made_files_are_not_replaced(
    run: Path, tmp_path: Path, name: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text)
    assert main(["report", str(run), "--out", str(tmp_path / "run1.html")]) == 2
    assert f"{name}: no report; nothing is replaced" in capsys.readouterr().err
    assert (tmp_path / name).read_text() == text
    assert sorted(tmp_path.glob("run1*")) == [tmp_path / name]


def test_a_report_is_replaced_and_a_link_stays(run: Path, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    out = tmp_path / "run1.html"
    out.symlink_to(tmp_path / "deep" / "real.html")
    for _ in range(2):
        assert main(["report", str(run), "--out", str(out), "--pictures", "0"]) == 0
    assert out.is_symlink() and (tmp_path / "deep" / "real.html").is_file()
