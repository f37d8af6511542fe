# SPDX-License-Identifier: Apache-2.0

"""The README's tables are those of the code."""

from __future__ import annotations

import importlib.util

from paths import ROOT


def test_the_tables_are_up_to_date():
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert tables.filled(text) == text, "run docs/tables.py"
    assert "`window.duration_s`" in text
    assert "`qwen2_5_vl`" in text


def test_the_page_of_commands_shows_what_is_understood():
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert tables.filled(text) == text, "run docs/tables.py"
    table = text.split("<!-- table: understood -->")[1].split("<!-- end -->")[0]
    assert len(table.strip().splitlines()) == 2 + 20
