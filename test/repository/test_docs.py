# SPDX-License-Identifier: Apache-2.0

"""The pages: their tables are those of the code, their links lead somewhere."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys

import pytest
from paths import ROOT

from stvg_lab.training.model_card import detector_card, model_card

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_up_to_date(tables):
    texts = [page.read_text(encoding="utf-8") for page in tables.PAGES]
    for text in texts:
        assert tables.filled(text) == text, "run docs/tables.py"
    whole = "".join(texts)
    assert "`window.duration_s`" in whole
    assert "`qwen2_5_vl`" in whole


def test_every_generated_table_stands_on_a_page_that_is_written(tables):
    marked = {
        (page.name, match[1])
        for page in PAGES
        for match in tables.TABLE.finditer(page.read_text(encoding="utf-8"))
    }
    written = {page.name for page in tables.PAGES}
    assert {name for _, name in marked} >= set(tables.TABLES)
    assert {page for page, _ in marked} <= written


def test_check_finds_a_table_that_is_out_of_date(tables, monkeypatch, tmp_path, capsys):
    page = tmp_path / "README.md"
    page.write_text("<!-- table: families -->\nold\n<!-- end -->\n")
    monkeypatch.setattr(tables, "PAGES", (page,))
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["tables.py", "--check"])
    assert tables.main() == 1
    assert "README.md: the tables are out of date" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["tables.py"])
    assert tables.main() == 0
    assert "`qwen2_vl`" in page.read_text()
    monkeypatch.setattr(sys, "argv", ["tables.py", "--check"])
    assert tables.main() == 0


def test_the_summary_repeats_a_table_of_hard_scenes(tables):
    accuracy = tables.HARD.read_text(encoding="utf-8")
    for line in tables.accuracy_summary().splitlines()[2:]:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows = [row for row in accuracy.splitlines() if row.startswith(f"| {name} | ")]
        assert any(all(cell in row for cell in cells if cell) for row in rows)


def test_what_a_step_adds_is_in_points_with_its_interval(tables):
    intervals = {"m_vIoU": [0.008, 0.046], "spatial_accuracy": [-0.005, 0.065]}
    gain = {"name": "+ TAS", "over": "+ both prompts", "m_vIoU": 0.027, "spatial_accuracy": 0.033}
    *_, line = tables.step_gains({"gains": [{**gain, "intervals": intervals}]}).splitlines()
    assert line == "| + TAS | + both prompts | +2.7 (+0.8 to +4.6) | +3.3 (-0.5 to +6.5) |"


def test_what_rows_cost_is_shown_where_it_was_counted(tables):
    metrics = (
        "m_tIoU", "m_vIoU", "vIoU@0.3", "vIoU@0.5", "gt_vIoU", "spatial_accuracy",
        "spatial_accuracy_of_four",
    )  # fmt: skip
    row = {
        "name": "paper", "group": "method", "absence_auroc": 0.5,
        **dict.fromkeys(metrics, 0.25), "intervals": {one: [0.2, 0.3] for one in metrics},
    }  # fmt: skip
    cost = {"images": 16.0, "passes": 4.5, "gradients": 3.0, "tokens": 0.0}
    counted = {"tubes": "true", "rows": [{**row, "cost": cost, "seconds": 1.234}]}
    header, _, line = tables.methods(counted).splitlines()
    assert header.endswith("| passes | gradients | images | generated tokens | seconds |")
    assert line.endswith("| 0.500 | 4.5 | 3 | 16 | 0 | 1.23 |")
    assert len(tables.parts(counted).splitlines()) == 2  # whole methods have their own table
    old = {"tubes": "true", "rows": [{**row, "name": "+ TAS"}]}
    assert tables.parts(old).splitlines()[0].endswith("| absence AUROC |")


def test_the_readme_is_short():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 250


def slugs(page):
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\n")
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if file.is_file() and tracked != [""]:
            assert str(file.relative_to(ROOT)) in tracked, f"{target} is not in the repository"
        if anchor:
            assert anchor in slugs(file), target


def test_every_page_is_reached_from_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in PAGES:
        if page.name != "README.md":
            assert f"({page.relative_to(ROOT)})" in text


def test_every_picture_is_shown():
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    kinds = (".jpg", ".png", ".svg")
    pictures = [file for file in (ROOT / "docs").iterdir() if file.suffix in kinds]
    assert len(pictures) >= 6
    for picture in pictures:
        assert picture.name in shown


def test_the_model_cards_are_made_from_the_reports_of_training():
    cards = {"stvg_ros/models/embedded": model_card}
    cards["stvg_ros/proposals/people/embedded"] = detector_card
    for folder, card in cards.items():
        report = json.loads((ROOT / folder / "training_report.json").read_text(encoding="utf-8"))
        assert (ROOT / folder / "README.md").read_text(encoding="utf-8") == card(report)


def test_the_page_of_commands_shows_what_is_understood(tables):
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert tables.filled(text) == text, "run docs/tables.py"
    table = text.split("<!-- table: understood -->")[1].split("<!-- end -->")[0]
    assert len(table.strip().splitlines()) == 2 + 20
