# SPDX-License-Identifier: Apache-2.0

"""Writes CHANGELOG.rst from CHANGELOG.md, in the form that bloom and catkin_pkg read.

    python scripts/changelog_rst.py 2026-12-31      # the day of the release

Part of a release, before its tag: bloom takes the entries of a version from the tagged commit.
"""

from __future__ import annotations

import datetime
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TITLE = "Changelog for package stvg_ros"


def converted(text: str, day: datetime.date) -> str:
    """The change log in reStructuredText.

    Args:
        text: in Markdown, `## VERSION` above `- ` entries, the newest version first.
        day: of the release of the newest version, which is "not released" before it.

    Raises:
        SystemExit: no version is in the text.
    """
    lines = ["^" * len(TITLE), TITLE, "^" * len(TITLE), ""]
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    if not sections:
        raise SystemExit("CHANGELOG.md: expected a heading such as '## 0.2.0 (not released)'")
    for number, section in enumerate(sections):
        heading, _, body = section.partition("\n")
        version = heading.split()[0]
        dated = re.search(r"\d{4}-\d\d-\d\d", heading)
        # Older versions without a day were never released: bloom needs one of each.
        head = f"{version} ({day if number == 0 or dated is None else dated.group()})"
        lines += [head, "-" * len(head), *_entries(body), ""]
    return "\n".join(lines)


def _entries(body: str) -> list[str]:
    """One line for each entry, with the heading above it; text without entries as one."""
    entries, kind = list[str](), ""
    for block in re.split(r"\n(?=- |### |\n)", body):
        words = " ".join(block.split())
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", words).replace("`", "``")
        if words.startswith("### "):
            kind = f"{words[4:]}: "
        elif words:
            entries.append(f"* {kind}{words.removeprefix('- ')}")
    return entries


def main(words: Sequence[str]) -> None:
    """Writes the file."""
    if len(words) != 1:
        raise SystemExit("usage: changelog_rst.py YEAR-MONTH-DAY")
    day = datetime.date.fromisoformat(words[0])
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (ROOT / "CHANGELOG.rst").write_text(converted(text, day), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
