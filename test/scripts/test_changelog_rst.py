# SPDX-License-Identifier: Apache-2.0

"""The change log for bloom, read by the parser that bloom uses."""

from __future__ import annotations

import datetime
import importlib.util

import pytest
from paths import ROOT

import stvg_ros

changelog = pytest.importorskip("catkin_pkg.changelog", reason="comes with the ROS wheels")
pytest.importorskip("docutils", reason="catkin_pkg reads change logs with docutils")


@pytest.fixture(scope="module")
def converted():
    path = ROOT / "scripts" / "changelog_rst.py"
    spec = importlib.util.spec_from_file_location("changelog_rst", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.converted


def test_each_version_has_its_entries(converted):
    text = (
        "# Changelog\n\nThe form.\n\n## 1.1.0 (not released)\n\n### Added\n\n- `one`, see\n"
        "  [a page](docs/a.md).\n- two\n\n### Changed\n\n- three\n\n## 1.0.0 (2026-01-02)\n\nAll.\n"
    )
    found = changelog.Changelog("p")
    changelog.populate_changelog_from_rst(found, converted(text, datetime.date(2026, 12, 31)))
    assert {(v, str(d.date())) for v, d, _ in found.foreach_version()} == {
        ("1.1.0", "2026-12-31"), ("1.0.0", "2026-01-02"),
    }  # fmt: skip
    (entries,) = found.get_content_of_version("1.1.0")
    assert entries.as_txt().splitlines() == [
        "* Added: ``one``, see a page.", "* Added: two", "* Changed: three",
    ]  # fmt: skip


def test_a_log_without_versions(converted):
    with pytest.raises(SystemExit, match="expected a heading"):
        converted("# Changelog\n", datetime.date(2026, 12, 31))


def test_our_own(converted):
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = changelog.Changelog("stvg_ros")
    changelog.populate_changelog_from_rst(found, converted(text, datetime.date(2026, 12, 31)))
    assert stvg_ros.__version__ in [version for version, _, _ in found.foreach_version()]
    (entries,) = found.get_content_of_version(stvg_ros.__version__)
    newest = text.split("\n## ")[1]
    assert len(entries.as_txt().splitlines()) == newest.count("\n- ")
